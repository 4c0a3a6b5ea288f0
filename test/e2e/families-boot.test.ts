import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guestAdapter } from '../../guest/adapter';
import { projectRoot } from '../../host/project-root';
import { toolOutput } from '../../host/run-tool';
import { consoleOutput, killMachine, powerDown, startMachine } from '../../machines/machine';
import { publish } from '../../machines/network/publish';
import {
  ensureSegment,
  ensureTap,
  namespaceName,
  relaySocket,
  removeSegment,
  setLease,
} from '../../machines/network/segment';
import { aboutGuest, keepNote, notesOf } from '../../sandbox/demo/other-guests';
import { buildFamilyGuests } from '../../sandbox/guests/families/build';
import { type FamilyName, familyNames } from '../../sandbox/guests/families/families';
import { type SampleGuest } from '../../sandbox/guests/sample-guest';
import { eventually } from '../support/eventually';

/** Guests take about a minute each to boot under emulation, several on a busy machine. */
const BOOT_SECONDS = 400;
const STEP_MS = 900_000;
/** Packages of two releases, and two disks, where the cache has none. */
const BUILD_MS = 1_800_000;

/** As the guests' own files have the data centre's network. */
const SEGMENT = { name: 'dc', cidr: '192.168.10.0/24', gateway: '192.168.10.1', dhcp: true };

/** Last number of a guest's address in the data centre (its own files say so), and on EC2 (by DHCP). */
const HOSTS: Record<FamilyName, { home: number; ec2: number; ec2Mac: string }> = {
  'rhel-like': { home: 40, ec2: 140, ec2Mac: '02:00:00:00:00:40' },
  'suse-like': { home: 50, ec2: 150, ec2Mac: '02:00:00:00:00:50' },
};

/** What a guest says of its file systems. */
const SAYS: Record<FamilyName, Record<string, string>> = {
  'rhel-like': {
    hostname: 'rhel-like',
    root: 'xfs on /dev/mapper/rhel-root',
    data: 'xfs on /dev/mapper/rhel-data',
    selinux: 'enforcing',
  },
  'suse-like': { hostname: 'suse-like', root: expect.stringMatching(/^btrfs on /) as string },
};

/** Namespaces and taps need root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

/**
 * The families' guests without the rest of the product: `families.test.ts` takes the same two through backup, restore, failover and
 * failback, and shows that they do not boot from NVMe as they are, for which dracut has to be waited for.
 */
asRoot('guests of other families, each by itself (needs root)', () => {
  const network = { id: randomBytes(5).toString('hex'), runDirectory: '' };
  const published: { close(): Promise<void> }[] = [];
  const machines = new Set<string>();
  let directory = '';
  let guests: SampleGuest[] = [];

  beforeAll(async () => {
    const cacheDirectory = join(projectRoot(), '.lifeboat', 'cache');
    guests = await buildFamilyGuests({ cacheDirectory, log: () => {} });
    // Under 107 bytes with a socket's name; the disks go where there is room for them.
    network.runDirectory = await mkdtemp(join(tmpdir(), 'lifeboat-families-'));
    directory = join(projectRoot(), '.lifeboat', 'test', `families-boot-${network.id}`);
    await mkdir(directory, { recursive: true });
    await ensureSegment(network, SEGMENT);
  }, BUILD_MS);

  afterAll(async () => {
    for (const machine of machines) await killMachine(machine);
    for (const port of published) await port.close();
    await removeSegment(network, SEGMENT.name);
    for (const path of [directory, network.runDirectory]) await rm(path, { recursive: true, force: true });
  }, 120_000);

  /** A machine of the guest's, whose firmware has not seen its disk before. @returns where it answers */
  async function start(vm: FamilyName, site: 'home' | 'ec2', path: string): Promise<string> {
    const { configuration } = guests.find(({ name }) => name === vm) as SampleGuest;
    const machine = join(directory, `${vm}-${site}`);
    const host = HOSTS[vm];
    const mac = site === 'home' ? (configuration.nics[0]?.mac ?? '') : host.ec2Mac;
    const tap = `${site}${host.home}${network.id}`.slice(0, 15);
    const targetAddress = `192.168.10.${host[site]}`;
    if (site === 'ec2') await setLease(network, SEGMENT.name, { mac, address: targetAddress });
    await ensureTap(network, SEGMENT.name, tap);
    machines.add(machine);
    await startMachine({
      directory: machine,
      runDirectory: network.runDirectory,
      namespace: namespaceName(network, SEGMENT.name),
      name: vm,
      profile: site === 'home' ? 'vmware' : 'ec2',
      ...(configuration.diskController === undefined
        ? {}
        : { diskController: configuration.diskController as 'sata' }),
      firmware: configuration.firmware,
      cpus: 1,
      memoryMiB: configuration.memoryMiB,
      // New hardware at both: by this the disk was not known to the guest when it was made.
      disks: [{ path, format: 'raw', serial: `${vm}-${site}`, wwn: '6000c29f5d0f3aff', slot: 0, boot: true }],
      nics: [{ tap, mac }],
    });
    const address = `127.251.${Number.parseInt(network.id.slice(0, 2), 16)}.${host[site]}`;
    const relay = relaySocket(network, SEGMENT.name);
    published.push(await publish({ address, port: 80, relaySocket: relay, targetAddress, targetPort: 80 }));
    return address;
  }

  async function stop(vm: FamilyName, site: 'home' | 'ec2'): Promise<void> {
    const machine = join(directory, `${vm}-${site}`);
    if (!(await powerDown(machine, 120))) throw new Error(`${vm} does not shut down.`);
    machines.delete(machine);
  }

  /** What a guest answers, once it does; what its console says where it does not. */
  async function asked<T>(vm: FamilyName, site: 'home' | 'ec2', question: () => Promise<T>): Promise<T> {
    try {
      return await eventually(BOOT_SECONDS, question);
    } catch (error) {
      const console = (await consoleOutput(join(directory, `${vm}-${site}`))).toString('latin1').slice(-4096);
      throw new Error(`${vm} does not answer at ${site}:\n${console}`, { cause: error });
    }
  }

  it.each(familyNames)(
    '%s serves on EC2’s hardware once it is adapted, and comes home to new hardware and blank firmware with what it stored',
    async (vm) => {
      const disk = join(directory, `${vm}.raw`);
      const original = guests.find(({ name }) => name === vm)?.rawDisks[0]?.path ?? '';
      await toolOutput('cp', ['--sparse=always', '--reflink=auto', original, disk]);
      const adapter = guestAdapter();
      const { modules } = await adapter.adaptForRecoverySite({
        ...{ diskPath: disk, dataDisks: [], bootScripts: [], hosts: [], runId: 'run-1' },
      });
      expect(modules).toContain('nvme');
      const ec2 = await start(vm, 'ec2', disk);
      expect(await asked(vm, 'ec2', () => aboutGuest(ec2))).toMatchObject(SAYS[vm]);
      await keepNote(ec2, 'on EC2');
      await stop(vm, 'ec2');

      await adapter.revertForPrimarySite(disk, { slot: 0, dataDisks: [] });
      const home = await start(vm, 'home', disk);
      expect(await asked(vm, 'home', () => aboutGuest(home))).toMatchObject(SAYS[vm]);
      expect(await notesOf(home)).toEqual(['on EC2']);
      await stop(vm, 'home');
    },
    STEP_MS,
  );
});
