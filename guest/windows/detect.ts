import { type GuestFiles } from '../files/port';
import { GuestNotAdaptableError } from '../port';
import { readGuestHive, understood, type GuestHive } from './guest-hive';
import { findPath, isThere } from './paths';
import { controlSets } from './registry-plan';

/** The script that an administrator runs once in the guest, as refusals name it. */
export const PREPARE_SCRIPT = 'Prepare-LifeboatGuest.ps1';
const PREPARE = `Run ${PREPARE_SCRIPT} once in the guest, as Administrator, and back it up again (docs/guests.md, "Windows")`;

/** Windows 8.1 and Server 2012 R2: the first with an NVMe driver, and with registry logs that can be replayed. */
const OLDEST_BUILD = 9600;
/** Windows 11, whose ProductName still says 10. */
const WINDOWS_11_BUILD = 22000;
const VERSION_KEY = 'Microsoft\\Windows NT\\CurrentVersion';
const DRIVER_STORE = '/Windows/System32/DriverStore/FileRepository';
const POWERSHELL_POLICY = 'Policies\\Microsoft\\Windows\\PowerShell';
/** Destination, mask, gateway and metric, each of a route's name. */
const METADATA_ROUTE = /^169\.254\.(0\.0|169\.254),[0-9.]{7,15},[0-9.]{7,15},[0-9]{1,10}$/;
const HIBERNATION = '/hiberfil.sys';

/** What the guest runs, and what speaks against running it on EC2 although it does not prevent it. */
export interface WindowsGuest {
  /** For people, such as "Windows Server 2022 Datacenter (build 20348)". */
  name: string;
  system: GuestHive;
  warnings: string[];
  /** Why no PowerShell script would run, as half a sentence; undefined where nothing speaks against it. */
  scriptsForbidden: string | undefined;
  /** Lasting routes to where EC2's metadata service is, as Windows writes them. */
  metadataRoutes: string[];
}

/** Whether the file system is that of a Windows, which starts from no other place, and through no link. */
export async function looksLikeWindows(files: GuestFiles): Promise<boolean> {
  for (const directory of ['/Windows', '/Windows/System32', '/Windows/System32/config'])
    if ((await files.stat(directory))?.type !== 'directory') return false;
  return (await files.stat('/Windows/System32/config/SYSTEM'))?.type === 'file';
}

/**
 * Reads the guest's version and registry, and checks what an instance cannot do without.
 * @throws GuestNotAdaptableError where something is missing; the message says what to do about it
 */
export async function readWindows(files: GuestFiles): Promise<WindowsGuest> {
  await expectNotHibernated(files);
  const { name, scriptsForbidden } = await readSoftware(files);
  const system = await readGuestHive(files, 'SYSTEM');
  const controlSet = understood('SYSTEM', () => controlSets(system.reader)[0] ?? '');
  const environment = `${controlSet}\\Control\\Session Manager\\Environment`;
  const architecture = understood('SYSTEM', () => system.reader.text(environment, 'PROCESSOR_ARCHITECTURE'));
  if (architecture !== 'AMD64') {
    throw new GuestNotAdaptableError(
      `The guest runs ${name} for ${printable(architecture) ?? 'an unknown architecture'}; only 64-bit x86 (AMD64) runs on the instances that Lifeboat starts.`,
    );
  }
  await expectDriverFile(files, '/Windows/System32/drivers/stornvme.sys');
  await expectEna(files, name);
  const warnings = await warningsOf(files, system, controlSet);
  if (scriptsForbidden !== undefined)
    warnings.push(
      `In the guest ${scriptsForbidden}: no boot script that ends in .ps1 will run, and its runner neither.`,
    );
  const metadataRoutes = understood('SYSTEM', () => routesToMetadata(system));
  return { name, system, warnings, scriptsForbidden, metadataRoutes };
}

async function readSoftware(files: GuestFiles): Promise<Pick<WindowsGuest, 'name' | 'scriptsForbidden'>> {
  const software = await readGuestHive(files, 'SOFTWARE');
  const { product, build, scriptsForbidden } = understood('SOFTWARE', () => ({
    scriptsForbidden: forbidden(software),
    product: printable(software.reader.text(VERSION_KEY, 'ProductName')) ?? 'Windows of an unknown edition',
    build: Number(
      software.reader.text(VERSION_KEY, 'CurrentBuildNumber') ??
        software.reader.text(VERSION_KEY, 'CurrentBuild'),
    ),
  }));
  if (!Number.isInteger(build) || build < OLDEST_BUILD) {
    throw new GuestNotAdaptableError(
      `The guest runs ${product} (build ${Number.isInteger(build) ? build : 'unknown'}), which has no NVMe driver: ` +
        'Windows has one since 8.1 and Server 2012 R2 (build 9600). Upgrade the guest; older versions are not supported.',
    );
  }
  const edition = build >= WINDOWS_11_BUILD ? product.replace('Windows 10', 'Windows 11') : product;
  return { name: `${edition} (build ${build})`, scriptsForbidden };
}

/** A policy goes before what whoever starts a script asks for (about_Group_Policy_Settings of PowerShell). */
function forbidden({ reader }: GuestHive): string | undefined {
  if (reader.dword(POWERSHELL_POLICY, 'EnableScripts') === 0) return 'a policy forbids PowerShell scripts';
  return reader.text(POWERSHELL_POLICY, 'ExecutionPolicy')?.toLowerCase() === 'allsigned'
    ? 'a policy lets signed PowerShell scripts only run'
    : undefined;
}

/** What an instance's own tools wrote on another subnet, or a person: it would be asked by a gateway that is not there. */
function routesToMetadata({ reader }: GuestHive): string[] {
  return controlSets(reader).flatMap((controlSet) => {
    const routes = reader.key(`${controlSet}\\Services\\Tcpip\\Parameters\\PersistentRoutes`);
    return (routes === undefined ? [] : reader.values(routes))
      .map(({ name }) => name)
      .filter((name) => METADATA_ROUTE.test(name));
  });
}

/**
 * A hibernated guest takes its disks for those that it left, and what is changed on them meanwhile is lost or worse.
 * @throws GuestNotAdaptableError
 */
export async function expectNotHibernated(files: GuestFiles): Promise<void> {
  const path = await findPath(files, HIBERNATION);
  const stat = path === undefined ? undefined : await files.stat(path);
  if (path === undefined || stat?.type !== 'file' || stat.size < 4) return;
  const signature = (await files.readStart(path, 4))?.toString('latin1').toLowerCase();
  // "wake" or zeros say that Windows has started from it since.
  if (signature !== undefined && signature !== 'hibr') return;
  throw new GuestNotAdaptableError(
    'The guest was hibernated, or shut down with fast startup, and not switched off (hiberfil.sys). ' +
      'Run "powercfg /hibernate off" in it as Administrator, shut it down, and back it up again.',
  );
}

async function expectDriverFile(files: GuestFiles, path: string): Promise<void> {
  if (await isThere(files, path)) return;
  throw new GuestNotAdaptableError(
    `The guest has no ${path.replaceAll('/', '\\')}, the driver of an instance's disks. Repair Windows in the guest ("sfc /scannow"), and back it up again.`,
  );
}

async function expectEna(files: GuestFiles, name: string): Promise<void> {
  if (await isInDriverStore(files, 'ena')) return;
  throw new GuestNotAdaptableError(
    `The guest runs ${name}, and its driver store has no driver of AWS's network card (ENA): on an instance it would have no network. ${PREPARE}.`,
  );
}

/** Whether a driver package, with a driver in it, is in the store from which Windows installs new devices. */
async function isInDriverStore(files: GuestFiles, driver: string): Promise<boolean> {
  const store = await findPath(files, DRIVER_STORE);
  if (store === undefined) return false;
  const package64 = new RegExp(`^${driver}\\.inf_amd64_[0-9a-f]{16}$`, 'i');
  for (const name of await files.list(store)) {
    if (!package64.test(name)) continue;
    const inside = await files.list(`${store}/${name}`);
    if (inside.some((one) => new RegExp(`^${driver}.*\\.sys$`, 'i').test(one))) return true;
  }
  return false;
}

async function warningsOf(files: GuestFiles, system: GuestHive, controlSet: string): Promise<string[]> {
  const warnings = [
    'Windows guests are prepared by what their files say; how this one starts on EC2 is known only after a test failover.',
  ];
  if (system.leftOut) {
    warnings.push(
      'The log of the registry hive SYSTEM is torn, and what was written after the tear is left out, as Windows would leave it out.',
    );
  }
  if (!(await isInDriverStore(files, 'awsnvme'))) {
    warnings.push(
      `The guest has no NVMe driver of AWS and will use Microsoft's. ${PREPARE} to have AWS's, which AWS recommends.`,
    );
  }
  if (await isThere(files, '/Windows/WinSxS/pending.xml')) {
    warnings.push('Windows updates wait for a restart in the guest: its first start on EC2 may take long.');
  }
  return understood('SYSTEM', () => [...warnings, ...networkWarnings(system, controlSet)]);
}

function networkWarnings({ reader }: GuestHive, controlSet: string): string[] {
  const tcpip = `${controlSet}\\Services\\Tcpip\\Parameters`;
  const warnings: string[] = [];
  // One for all cards goes before what DHCP says; those of a card stay with the card that is gone.
  const nameServer = printable(reader.text(tcpip, 'NameServer'));
  if (nameServer !== undefined) {
    warnings.push(
      `The guest asks the name server ${nameServer} for all its network cards, also for the one on EC2 (Tcpip\\Parameters\\NameServer).`,
    );
  }
  if (reader.key(`${controlSet}\\Services\\NTDS\\Parameters`) !== undefined) {
    warnings.push(
      'The guest is a domain controller: after a failover from a copy, look at its replication before anything is changed in the domain.',
    );
  }
  return warnings;
}

/** Text of the guest's as it may stand in a message; undefined where there is none. */
function printable(text: string | undefined): string | undefined {
  const plain = text
    ?.replace(/[^\x20-\x7e]/g, '')
    .trim()
    .slice(0, 100);
  return plain === '' ? undefined : plain;
}
