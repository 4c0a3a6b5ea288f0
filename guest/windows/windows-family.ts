import { type OpenableGuest, type OperatingSystemFamily, type RecordedState } from '../family';
import { withGuest } from '../files/open-guest';
import { type GuestFiles } from '../files/port';
import { checkHosts } from '../linux/stay/hosts';
import {
  GuestNotAdaptableError,
  type AdaptationReport,
  type HostEntry,
  type RecoverySiteAdaptation,
} from '../port';
import { bootFiles, checkWindowsBootScripts, RUNNER } from './boot-scripts';
import { expectNotHibernated, looksLikeWindows, PREPARE_SCRIPT, readWindows } from './detect';
import { inWords, readGuestHive, understood } from './guest-hive';
import {
  isOnlyOurs,
  isUnchangedHosts,
  windowsHostsForPrimarySite,
  windowsHostsForRecoverySite,
} from './hosts';
import { editHive, type RegistryEdit } from './hive/edit';
import { expectLaunchable, launchFiles } from './launch';
import { HOSTS_FILE, readWindowsManifest, sha256Hex, type WindowsManifest } from './manifest';
import { findPath } from './paths';
import { planForPrimarySite, planForRecoverySite } from './registry-plan';
import {
  finishApplying,
  finishReverting,
  isHosts,
  PATHS,
  readOriginalHosts,
  replaceFiles,
  settle,
  type Addition,
  type Replacement,
} from './replace';

/** A hosts file that blocks advertisements has some; nothing that a person wrote is larger. */
const MAX_HOSTS_BYTES = 4 * 1024 * 1024;
const FAMILY = 'Windows';
/** Windows starts services in an order of its own, which nothing offline can put a script into. */
const NAMES_COME_LATE =
  'Names of other VMs lead nowhere until Windows has started and read its launch data: services that ask for one at their start have to ask again, or be started again by a boot script.';

/**
 * Windows 8.1, Server 2012 R2 and later, prepared by their registry and files.
 * @returns undefined where the file system is no Windows'
 */
export async function windowsFamily(files: GuestFiles): Promise<OperatingSystemFamily | undefined> {
  if (!(await looksLikeWindows(files))) return undefined;
  return { name: FAMILY, efi: { kind: 'windows' }, recordedState, adapt, revert };
}

async function recordedState(files: GuestFiles): Promise<RecordedState> {
  const manifest = await readWindowsManifest(files);
  if (manifest === undefined) return 'never adapted';
  return manifest.state === 'applied' ? 'adapted' : 'cut off';
}

async function adapt(guest: OpenableGuest, adaptation: RecoverySiteAdaptation): Promise<AdaptationReport> {
  checkWindowsBootScripts(adaptation.bootScripts, adaptation.runId);
  const hosts = checkHosts(adaptation.hosts);
  await revert(guest);

  const plan = await withGuest(guest.openReadOnly, (files) => planAdaptation(files, adaptation, hosts));
  const { manifest, replacements, additions } = plan;
  await finishApplying(guest.open, await replaceFiles(guest.open, manifest, replacements, additions));
  return {
    family: manifest.family,
    kernels: [plan.name],
    modules: plan.drivers,
    changed: [...replacements.map(({ file }) => PATHS[file]), ...additions.map(({ path }) => path)],
    warnings: plan.warnings,
  };
}

interface AdaptationPlan {
  name: string;
  manifest: WindowsManifest;
  replacements: Replacement[];
  additions: Addition[];
  drivers: string[];
  warnings: string[];
}

async function planAdaptation(
  files: GuestFiles,
  { bootScripts, runId, launchCopy }: RecoverySiteAdaptation,
  hosts: HostEntry[],
): Promise<AdaptationPlan> {
  const guest = await readWindows(files);
  const { name, system, warnings } = guest;
  if (launchCopy === true) await expectLaunchable(files, guest);
  if ((await findPath(files, RUNNER)) === undefined) {
    if (bootScripts.length > 0) {
      throw new GuestNotAdaptableError(
        `The guest runs ${name}, and nothing in it would run the boot scripts. ` +
          `Run ${PREPARE_SCRIPT} once in the guest, as Administrator, and back it up again (docs/guests.md, "Windows").`,
      );
    }
    warnings.push(
      'Nothing in the guest runs boot scripts, or tells the console of the instance that Windows has started: a failover with boot scripts is refused. ' +
        `Run ${PREPARE_SCRIPT} once in the guest, as Administrator (docs/guests.md, "Windows").`,
    );
  }
  const { edits, record, drivers } = understood('SYSTEM', () => planForRecoverySite(system.reader));
  const replacements: Replacement[] = [];
  const edited = await edit(system.hive, edits);
  if (!edited.equals(system.stored)) {
    replacements.push({ file: 'SYSTEM', before: system.stored, after: edited });
  }
  const additions: Addition[] = bootFiles(bootScripts, runId, hosts);
  const changedHosts = await planHosts(files, hosts);
  if (changedHosts?.before !== undefined) {
    replacements.push({ file: 'hosts', before: changedHosts.before, after: changedHosts.after });
  } else if (changedHosts !== undefined) {
    additions.push({ path: HOSTS_FILE, content: changedHosts.after });
  }
  if (launchCopy === true) {
    additions.push(...launchFiles(runId, additions, changedHosts?.after));
    if (hosts.length > 0) warnings.push(NAMES_COME_LATE);
  }
  const manifest: WindowsManifest = {
    version: 1,
    state: 'applying',
    family: name,
    runId,
    registry: record,
    added: additions.map(({ path, content }) => ({ path, sha256: sha256Hex(content) })),
    ...(changedHosts?.before && {
      hosts: { ours: sha256Hex(changedHosts.after), original: sha256Hex(changedHosts.before) },
    }),
    replacing: [],
  };
  return { name, manifest, replacements, additions, drivers: [...drivers, 'ena'], warnings };
}

async function planHosts(
  files: GuestFiles,
  hosts: HostEntry[],
): Promise<{ before?: Buffer; after: Buffer } | undefined> {
  if (hosts.length === 0) return undefined;
  const path = await findPath(files, HOSTS_FILE);
  const before = path === undefined ? undefined : await files.read(path, MAX_HOSTS_BYTES);
  const after = Buffer.from(windowsHostsForRecoverySite(before?.toString('latin1') ?? '', hosts), 'latin1');
  return before === undefined ? { after } : { before, after };
}

async function revert(guest: OpenableGuest): Promise<AdaptationReport> {
  const nothing: AdaptationReport = { family: FAMILY, kernels: [], modules: [], changed: [], warnings: [] };
  const found = await withGuest(guest.openReadOnly, readWindowsManifest);
  const manifest = await settle(guest.open, found);
  if (manifest === undefined) return found === undefined ? nothing : { ...nothing, changed: [PATHS.SYSTEM] };

  const replacements = await withGuest(guest.openReadOnly, (files) => planReturn(files, manifest));
  const reverting: WindowsManifest = { ...manifest, state: 'reverting' };
  const recorded = await replaceFiles(guest.open, reverting, replacements, []);
  await finishReverting(guest.open, recorded);
  return {
    ...nothing,
    family: manifest.family,
    changed: [...replacements.map(({ file }) => PATHS[file]), ...manifest.added.map(({ path }) => path)],
  };
}

async function planReturn(files: GuestFiles, manifest: WindowsManifest): Promise<Replacement[]> {
  await expectNotHibernated(files);
  const system = await readGuestHive(files, 'SYSTEM');
  const edits = understood('SYSTEM', () => planForPrimarySite(system.reader, manifest.registry));
  const replacements: Replacement[] = [];
  if (edits.length > 0) {
    replacements.push({ file: 'SYSTEM', before: system.stored, after: await edit(system.hive, edits) });
  }
  const path = await findPath(files, HOSTS_FILE);
  const current = path === undefined ? undefined : await files.read(path, MAX_HOSTS_BYTES);
  const added = manifest.added.find((one) => isHosts(one.path));
  if (current === undefined || (manifest.hosts === undefined && added === undefined)) return replacements;
  const text = current.toString('latin1');
  if (added !== undefined && isOnlyOurs(text)) return replacements; // removed at the end, as it was not there before
  const original =
    manifest.hosts === undefined ? undefined : await readOriginalHosts(files, manifest.hosts.original);
  // A launch has filled our part in; what a person changed since stays, without our part.
  const after =
    original !== undefined && isUnchangedHosts(text, original.toString('latin1'))
      ? original
      : Buffer.from(windowsHostsForPrimarySite(text), 'latin1');
  if (!after.equals(current)) replacements.push({ file: 'hosts', before: current, after });
  return replacements;
}

async function edit(hive: Buffer, edits: RegistryEdit[]): Promise<Buffer> {
  try {
    return await editHive(hive, edits);
  } catch (error) {
    throw inWords('SYSTEM', error);
  }
}
