import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { consoleOutput, killMachine, startMachine } from '../../machines/machine';
import { loadPlanFile } from '../../plan/load';
import { familyPrimaryAddress } from '../../sandbox/application';
import { aboutGuest, keepNote, notesOf } from '../../sandbox/demo/other-guests';
import { familyGuests, type FamilyName, familyNames } from '../../sandbox/guests/families/families';
import { type RestoreSummary } from '../../workflows/restore';
import { snapshotToFile } from '../support/e2e-disks';
import { type E2eSandbox, openE2eSandbox, SANDBOX_SECONDS } from '../support/e2e-sandbox';
import { eventually } from '../support/eventually';

/** Guests of these families take about a minute each to boot under emulation, several on a busy machine. */
const STEP_MS = 900_000;
const BOOT_SECONDS = 400;
/** Packages of two releases, and two disks, where the cache has none. */
const BUILD_MS = 1_800_000;

/** What a guest says instead of going on where it finds no disk, or firmware no loader. */
const GIVES_UP: Record<FamilyName, { firmware: 'bios' | 'uefi'; words: RegExp }> = {
  'rhel-like': {
    firmware: 'bios',
    words: /dracut-initqueue.*(timeout|starting timeout scripts)|Timed out waiting for device/,
  },
  'suse-like': { firmware: 'uefi', words: /BdsDxe: (failed to load|No bootable option)/ },
};

/** Namespaces, taps and FUSE need root; and all of it takes ten minutes, of the half hour that there is for all tests. */
const asRoot = process.getuid?.() === 0 && process.env.LIFEBOAT_LONG_TESTS === '1' ? describe : describe.skip;

// One story: each test goes on where the one before ended.
asRoot('VMs of other families, failed over and brought home (needs root and LIFEBOAT_LONG_TESTS=1)', () => {
  let sandbox: E2eSandbox;
  let argument: { plan: string; digest: string };
  let protection: RestoreSummary;
  const home = (vm: FamilyName) => familyPrimaryAddress(sandbox.config, vm);

  beforeAll(
    async () => {
      sandbox = await openE2eSandbox('families', { runner: 'qemu', application: 'families' });
      const loaded = await loadPlanFile(join(projectRoot(), 'examples/families/plan.yaml'));
      argument = await sandbox.publish(loaded.plan, loaded.scripts);
    },
    SANDBOX_SECONDS * 1000 + BUILD_MS,
  );

  afterAll(async () => {
    await sandbox?.close();
  }, SANDBOX_SECONDS * 1000);

  it(
    'serve from the file systems of their families, and are replicated',
    async () => {
      expect(await asked(aboutGuest, home('rhel-like'))).toMatchObject({
        hostname: 'rhel-like',
        root: 'xfs on /dev/mapper/rhel-root',
        data: 'xfs on /dev/mapper/rhel-data',
        selinux: 'enforcing',
      });
      const suse = await asked(aboutGuest, home('suse-like'));
      expect(suse).toMatchObject({ hostname: 'suse-like', root: 'btrfs on /dev/sda2' });
      expect(suse.options).toMatch(/subvol=\/@(,|$)/);
      for (const vm of familyNames) await keepNote(home(vm), 'before the backup');
      await (await sandbox.client.backup(argument)).result();
      protection = await (await sandbox.client.restore(argument)).result();
      expect(protection.vms.map(({ vm, kind }) => [vm, kind]).sort()).toEqual(
        familyNames.map((vm) => [vm, 'full']),
      );
    },
    STEP_MS,
  );

  /** What each says on EC2's hardware without an adaptation; started as soon as there are copies. */
  const asTheyAre = new Map<FamilyName, Promise<string>>();

  async function bootAsItIs(vm: FamilyName): Promise<string> {
    const [disk] = protection.vms.find((result) => result.vm === vm)?.disks ?? [];
    const directory = join(sandbox.config.directory, `as-it-is-${vm}`);
    const path = `${directory}.raw`;
    const sizeBytes = familyGuests[vm].configuration.disks[0]?.sizeBytes ?? 0;
    await snapshotToFile(sandbox.aws.ebs, disk?.snapshotId ?? '', path, sizeBytes);
    const { firmware, words } = GIVES_UP[vm];
    await startMachine({
      directory,
      runDirectory: sandbox.config.network.runDirectory,
      name: vm,
      profile: 'ec2',
      firmware,
      cpus: 1,
      memoryMiB: 512,
      disks: [{ path, format: 'raw', serial: 'as-it-is', slot: 0, boot: true }],
      nics: [],
    });
    try {
      return await eventually(BOOT_SECONDS, async () => {
        const text = (await consoleOutput(directory)).toString('latin1');
        return words.test(text) || /login:|Reached target.*Multi-User/.test(text) ? text : undefined;
      });
    } finally {
      await killMachine(directory);
      await rm(path);
    }
  }

  it(
    'serve on EC2 after the data centre is lost, with what they had stored',
    async () => {
      await sandbox.site.destroy();
      // dracut waits for minutes: meanwhile this goes on. What becomes of them is the last tests'.
      for (const vm of familyNames) {
        asTheyAre.set(vm, bootAsItIs(vm));
        asTheyAre.get(vm)?.catch(() => undefined);
      }
      const { vms } = await (await sandbox.client.failover({ ...argument, mode: 'disaster' })).result();
      expect(vms.map(({ vm }) => vm).sort()).toEqual(familyNames);
      for (const { vm, publicAddress = '' } of vms) {
        expect(await asked(aboutGuest, publicAddress)).toMatchObject({ hostname: vm });
        expect(await asked(notesOf, publicAddress)).toEqual(['before the backup']);
        await keepNote(publicAddress, 'on EC2');
      }
      const rhel = vms.find(({ vm }) => vm === 'rhel-like')?.publicAddress ?? '';
      expect(await asked(aboutGuest, rhel)).toMatchObject({
        selinux: 'enforcing',
        data: 'xfs on /dev/mapper/rhel-data',
      });
    },
    STEP_MS,
  );

  it(
    'come home into an empty data centre, whose disks and firmware are new',
    async () => {
      await sandbox.site.open();
      await (await sandbox.client.failback(argument)).result();
      for (const vm of familyNames) {
        expect(await asked(notesOf, home(vm))).toEqual(['before the backup', 'on EC2']);
        await keepNote(home(vm), 'home again');
      }
      const { diskController, firmware } = await sandbox.site.hypervisor.describeVm('suse-like');
      expect([diskController, firmware]).toEqual(['sata', 'uefi']);
      expect(await asked(aboutGuest, home('rhel-like'))).toMatchObject({ selinux: 'enforcing' });
      await (await sandbox.client.commit(argument)).result();
    },
    STEP_MS,
  );

  it.each(familyNames)(
    '%s does not boot from NVMe as it is',
    async (vm) => expect(await asTheyAre.get(vm)).toMatch(GIVES_UP[vm].words),
    STEP_MS,
  );
});

/** What a guest answers, once it does. */
const asked = <T>(question: (address: string) => Promise<T>, address: string): Promise<T> =>
  eventually(BOOT_SECONDS, () => question(address));
