import { paginateDescribeVolumes } from '@aws-sdk/client-ec2';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { decode } from 'jpeg-js';
import { look } from '../../client/progress';
import { siteStatus } from '../../client/site-status';
import { loadPlanFile, type LoadedPlan } from '../../plan/load';
import { type DrPlan } from '../../plan/schema';
import { readConsoleOutput, readScreenshot } from '../../repository/plans/consoles';
import { openBlockMap, readManifest } from '../../repository/backups/backups';
import { shopPrimaryAddress } from '../../sandbox/application';
import {
  LICENSED_BIOS_IMAGE_ID,
  PRODUCTION_SUBNET_ID,
  SECOND_AVAILABILITY_ZONE,
  SECOND_ZONE_SUBNET_ID,
} from '../../sandbox/aws/fixtures';
import { toolOutput } from '../../host/run-tool';
import { projectRoot } from '../../host/project-root';
import { consoleOutput, killMachine, startMachine } from '../../machines/machine';
import { type RecoveredVm } from '../../workflows/failover-vm';
import { type RestoreSummary } from '../../workflows/restore';
import { fileDifferences, mapDifferences, snapshotDifferences, snapshotToFile } from '../support/e2e-disks';
import { accountLines, allSnapshots, everything } from '../support/e2e-inventory';
import { type E2eSandbox, openE2eSandbox, SANDBOX_SECONDS } from '../support/e2e-sandbox';
import {
  ARCHIVE,
  archiveFile,
  installShopWithArchive,
  letKernelTalk,
  orders,
  ordersInTest,
  page,
  placeOrder,
  shopAddress,
} from '../support/e2e-shop';
import { eventually } from '../support/eventually';

/** Guests boot under emulation; on a busy machine two of them take minutes. */
const STEP_MS = 400_000;
/** Of a boot: 10 s to the initramfs, and the 30 s that it waits for its disk. */
const GIVE_UP_SECONDS = 240;

/** As the guest itself tells it on its serial console. */
const WEB_SCRIPT_ENDED = [{ name: 'web.sh', status: 0 }];
/** Orders of the first recovery point, and what stands for an attacker's work, which the DR copy has as well. */
const BEFORE_ATTACK = ['before the backup'];
const BOTH_DAYS = [...BEFORE_ATTACK, 'encrypted'];

const bootScriptsOf = (vms: RecoveredVm[], name: string) => vms.find(({ vm }) => vm === name)?.bootScripts;

/** Namespaces, taps and FUSE need root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

// One story: each test goes on where the one before ended.
asRoot('the sample application, failed over and brought home (needs root)', () => {
  let sandbox: E2eSandbox;
  let plan: DrPlan;
  let scripts: LoadedPlan['scripts'];
  let argument: { plan: string; digest: string };
  let protection: RestoreSummary;
  /** Instant of the last backup before the attack. */
  let beforeAttack: string;
  let emptyAccount: string[];

  beforeAll(
    async () => {
      sandbox = await openE2eSandbox('failover', { runner: 'qemu', application: 'none' });
      emptyAccount = await accountLines(sandbox);
      await installShopWithArchive(sandbox);
      const loaded = await loadPlanFile(join(projectRoot(), 'examples/shop/plan.yaml'));
      scripts = loaded.scripts;
      // Without launch copies at first, and web from a licensed image, so that all ways are gone.
      plan = {
        ...loaded.plan,
        replication: { ...loaded.plan.replication, launchCopy: undefined },
        vms: loaded.plan.vms.map((vm) =>
          vm.name === 'web' ? { ...vm, licensedImage: LICENSED_BIOS_IMAGE_ID } : vm,
        ),
      };
      argument = await sandbox.publish(plan, scripts);
    },
    SANDBOX_SECONDS * 1000 + STEP_MS,
  );

  afterAll(async () => {
    await sandbox?.close();
  }, SANDBOX_SECONDS * 1000);

  const drCopyOf = (vm: string, key: string): string =>
    protection.vms.find((result) => result.vm === vm)?.disks.find((disk) => disk.key === key)?.snapshotId ??
    '';

  it(
    'is replicated while it serves, disk by disk as the backup has it',
    async () => {
      await placeOrder(sandbox, 'before the backup');
      const first = await (await sandbox.client.backup(argument)).result();
      beforeAttack =
        first.vms
          .map(({ takenAt }) => takenAt)
          .sort()
          .at(-1) ?? '';
      await placeOrder(sandbox, 'encrypted');
      await (await sandbox.client.backup(argument)).result();
      protection = await (await sandbox.client.restore(argument)).result();
      expect(protection.vms.map(({ vm, kind }) => [vm, kind]).sort()).toEqual([
        ['db', 'full'],
        ['web', 'full'],
      ]);

      const compared: string[] = [];
      for (const { vm, recoveryPoint, disks } of protection.vms) {
        const manifest = await readManifest(sandbox.store, vm, recoveryPoint);
        for (const disk of manifest?.disks ?? []) {
          const { snapshotId = '' } = disks.find(({ key }) => key === disk.key) ?? {};
          const map = await openBlockMap(sandbox.store, vm, disk);
          expect([vm, disk.key, await mapDifferences(sandbox.aws.ebs, snapshotId, map)]).toEqual([
            vm,
            disk.key,
            [],
          ]);
          compared.push(`${vm}/${disk.key}`);
        }
      }
      expect(compared.sort()).toEqual(['db/archive', 'db/data', 'db/system', 'web/system']);
      const archive = { path: archiveFile(sandbox), sizeBytes: ARCHIVE.sizeBytes };
      expect(await snapshotDifferences(sandbox.aws.ebs, drCopyOf('db', 'archive'), archive)).toEqual([]);
    },
    STEP_MS,
  );

  /** Of db's system on EC2's hardware, without an adaptation; started as soon as there is a copy of it. */
  let asItIs: Promise<string>;

  async function bootAsItIs(): Promise<string> {
    const directory = join(sandbox.config.directory, 'as-it-is');
    const path = join(sandbox.config.directory, 'as-it-is.raw');
    await snapshotToFile(sandbox.aws.ebs, drCopyOf('db', 'system'), path, 2 ** 30);
    await letKernelTalk(path);
    await startMachine({
      directory,
      runDirectory: sandbox.config.network.runDirectory,
      name: 'as-it-is',
      profile: 'ec2',
      firmware: 'bios',
      cpus: 1,
      memoryMiB: 384,
      disks: [{ path, format: 'raw', serial: 'as-it-is', slot: 0, boot: true }],
      nics: [],
    });
    try {
      return await eventually(GIVE_UP_SECONDS, async () => {
        const text = (await consoleOutput(directory)).toString('latin1');
        return /ALERT!|login:|systemd\[1\]/.test(text) ? text : undefined;
      });
    } finally {
      await killMachine(directory);
      await rm(path);
    }
  }

  it(
    'is tested as it was before an attack, in the other subnet while it serves, and nothing of the test is left',
    async () => {
      // The shell image stays on purpose: it is registered once for all failovers. So does what proves that it was a test.
      const ofTheTest = async () =>
        (await everything(sandbox)).filter(
          (line) => !/lifeboat:role=shell|^object (consoles|evidence)\//.test(line),
        );
      const before = await ofTheTest();
      // It does nothing for half a minute but wait for its disk: meanwhile this goes on. What becomes of it is the next test's.
      asItIs = bootAsItIs();
      asItIs.catch(() => undefined);
      const test = await sandbox.client.failover({ ...argument, mode: 'test', at: beforeAttack });
      const served = eventually(STEP_MS / 1000, () => ordersInTest(sandbox, plan.name, 'web'));
      const { vms, removed, chosen } = await test.result();
      expect(await served).toEqual(BEFORE_ATTACK);
      expect(chosen).toEqual({ at: beforeAttack, after: new Date(beforeAttack).toISOString() });
      expect(vms.every(({ takenAt }) => takenAt <= beforeAttack)).toBe(true);
      expect(vms.map(({ vm, launchedBy }) => `${vm} by ${launchedBy}`).sort()).toEqual([
        'db by volumes',
        'web by licensed image',
      ]);
      expect(bootScriptsOf(vms, 'web')).toEqual(WEB_SCRIPT_ENDED);
      for (const { vm, console: shown, warnings } of vms) {
        expect(warnings).toEqual([]);
        expect(['ok', 'initializing']).toContain(shown?.statusChecks?.instance);
        const picture = decode(await readScreenshot(sandbox.store, shown?.screenshot ?? ''));
        // A guest that boots has written there.
        expect([vm, picture.data.some((colour, at) => at % 4 !== 3 && colour > 100)]).toEqual([vm, true]);
        expect(await readConsoleOutput(sandbox.store, shown?.output ?? '')).toContain(
          'lifeboat: drivers of this site are loaded',
        );
      }
      for (const { privateAddress, publicAddress } of vms) {
        expect(privateAddress).toMatch(/^10\.0\.2\./);
        expect(publicAddress).toBeUndefined();
      }
      // Two instances, db's three volumes and web's one, and the snapshots that they were made from.
      expect(removed).toHaveLength(10);
      expect(await ofTheTest()).toEqual(before);
      expect(await orders(sandbox)).toEqual(BOTH_DAYS);
    },
    STEP_MS,
  );

  it(
    'does not boot from NVMe as it is',
    async () => {
      const words = await asItIs;
      expect(words).toContain('Linux version');
      expect(words).toMatch(/ALERT!\s+UUID=6a0d3c52-5b7e-4f0a-9c41-0f5e8b7a2001 does not exist/);
      expect(words).not.toMatch(/systemd\[1\]/);
    },
    STEP_MS,
  );

  it(
    'is made ready to launch, by an AWS proxy that has no place for devices',
    async () => {
      const { production } = plan.recoverySite;
      const subnets = [PRODUCTION_SUBNET_ID, SECOND_ZONE_SUBNET_ID];
      plan = {
        ...plan,
        replication: { ...plan.replication, launchCopy: true },
        vms: plan.vms.map((vm) => ({ ...vm, licensedImage: undefined })),
        recoverySite: { ...plan.recoverySite, production: { ...production, subnet: undefined, subnets } },
      };
      argument = await sandbox.publish(plan, scripts);
      // Whatever would be attached to the proxy had to appear there.
      await rm(sandbox.paths.devices, { recursive: true });
      const { vms } = await (await sandbox.client.restore(argument)).result();
      expect(vms).toMatchObject([
        { vm: 'db', kind: 'up-to-date', launchCopy: { outcome: 'made' } },
        { vm: 'web', kind: 'up-to-date', launchCopy: { outcome: 'made' } },
      ]);
      const status = await siteStatus(plan, { ec2: sandbox.aws.ec2, store: sandbox.store });
      expect(status.vms.map(({ launchCopy }) => launchCopy?.snapshots.map(({ diskKey }) => diskKey))).toEqual(
        [['system'], ['system']],
      );
    },
    STEP_MS,
  );

  it(
    'comes up in the second zone after the data centre is lost, although the Temporal server is killed meanwhile',
    async () => {
      await sandbox.site.destroy();
      await sandbox.breakAws({
        name: 'no capacity in the first zone',
        operations: ['RunInstances'],
        matches: PRODUCTION_SUBNET_ID,
        fault: { kind: 'error', code: 'InsufficientInstanceCapacity', status: 500 },
      });
      expect(await sandbox.site.hypervisor.listVms()).toEqual([]);

      const run = await sandbox.client.failover({ ...argument, mode: 'disaster' });
      const phase = await eventually(120, async () => {
        const { status } = (await look(sandbox.client.temporal, run)).snapshot;
        const db = status?.vms.find(({ vm }) => vm === 'db')?.phase ?? '';
        const half = ['launching', 'waiting until ready'].includes(db);
        return half ? status?.phase : undefined;
      });
      expect(phase).toBe('recovering VMs');
      const { startedAgain } = await sandbox.kill('temporal');
      await startedAgain;
      const state = await eventually(60, async () => (await run.handle.describe()).status.name);
      expect(state).toBe('RUNNING');

      const summary = await run.result();
      await sandbox.mendAws();
      expect(summary.vms).toMatchObject(
        ['db', 'web'].map((vm) => ({
          ...{ vm, launchedBy: 'launch copy', availabilityZone: SECOND_AVAILABILITY_ZONE, warnings: [] },
          privateAddress: expect.stringMatching(/^10\.0\.3\./) as string,
        })),
      );
      expect(existsSync(sandbox.paths.devices)).toBe(false);
      expect((await accountLines(sandbox)).filter((line) => line.includes('role=launch-image'))).toEqual([]);
      expect(summary.vms.map(({ recoveryPoint }) => recoveryPoint).sort()).toEqual(
        protection.vms.map(({ recoveryPoint }) => recoveryPoint).sort(),
      );
      const web = summary.vms.find(({ vm }) => vm === 'web');
      expect(await shopAddress(sandbox)).toBe(web?.publicAddress);
      expect(await shopAddress(sandbox)).not.toBe(shopPrimaryAddress(sandbox.config));
      // web read it from db, so both serve.
      expect(await orders(sandbox)).toEqual(BOTH_DAYS);
      expect(bootScriptsOf(summary.vms, 'web')).toEqual(WEB_SCRIPT_ENDED);
      expect(bootScriptsOf(summary.vms, 'db')).toBeUndefined();
      // What the plan's boot script has left.
      expect(await page(sandbox)).toContain('Recovered by Lifeboat on EC2');
      await placeOrder(sandbox, 'on EC2');

      const volumes: Record<string, string> = {};
      for await (const { Volumes = [] } of paginateDescribeVolumes({ client: sandbox.aws.ec2 }, {}))
        for (const { VolumeId = '', Tags = [] } of Volumes)
          volumes[Tags.find(({ Key }) => Key === 'lifeboat:disk')?.Value ?? ''] = VolumeId;
      const raw = join(sandbox.paths.aws, 'storage/volumes', `${volumes.archive}.raw`);
      expect(await fileDifferences(raw, archiveFile(sandbox), ARCHIVE.sizeBytes)).toEqual([]);
    },
    STEP_MS,
  );

  it(
    'comes home into an empty data centre, through a backup proxy that knows nothing',
    async () => {
      await sandbox.site.open();
      const { startedAgain } = await sandbox.kill('worker-backup-proxy');
      await rm(join(sandbox.paths.proxies, 'backup-proxy'), { recursive: true, force: true });
      await startedAgain;

      const summary = await (await sandbox.client.failback(argument)).result();
      expect(summary.vms.map(({ vm }) => vm).sort()).toEqual(['db', 'web']);
      expect(await shopAddress(sandbox)).toBe(shopPrimaryAddress(sandbox.config));
      expect(await orders(sandbox)).toEqual([...BOTH_DAYS, 'on EC2']);
      await placeOrder(sandbox, 'home again');
      expect(await orders(sandbox)).toEqual([...BOTH_DAYS, 'on EC2', 'home again']);

      const sizes: Record<string, number> = {};
      for (const vm of await sandbox.site.hypervisor.listVms())
        for (const { key } of (await sandbox.site.hypervisor.describeVm(vm)).disks)
          sizes[`${vm}/${key}`] = await vmdkBytes(join(sandbox.paths.datacenter, 'vms', vm, `${key}.vmdk`));
      expect(sizes).toEqual({
        'db/system': 2 ** 30,
        'db/data': 2 ** 28,
        'db/archive': ARCHIVE.sizeBytes,
        'web/system': 1_200_000_512,
      });
      await sandbox.site.hypervisor.snapshotVm('db', 'compare');
      try {
        const disk = await sandbox.site.hypervisor.openSnapshotDisk('db', 'compare', 'archive');
        expect(await fileDifferences(disk.path, archiveFile(sandbox), ARCHIVE.sizeBytes)).toEqual([]);
        await disk.close();
      } finally {
        await sandbox.site.hypervisor.releaseSnapshot('db', 'compare');
      }
    },
    STEP_MS,
  );

  it(
    'leaves nothing at the recovery site but its DR copy, once the failback is committed',
    async () => {
      await (await sandbox.client.commit(argument)).result();
      const role = (tags: { Key?: string; Value?: string }[] = []) =>
        tags.find(({ Key }) => Key === 'lifeboat:role')?.Value;
      const drCopy = protection.vms.flatMap(({ disks }) => disks.map(({ snapshotId }) => snapshotId));
      const snapshots = await allSnapshots(sandbox);
      const ofRole = (wanted: string) => snapshots.filter(({ Tags }) => role(Tags) === wanted);
      expect(
        ofRole('dr-copy')
          .map(({ SnapshotId }) => SnapshotId)
          .sort(),
      ).toEqual(drCopy.sort());
      expect(ofRole('launch-copy')).toHaveLength(2);
      expect(snapshots).toHaveLength(drCopy.length + 2 + ofRole('shell').length);
      const others = (await accountLines(sandbox)).filter(
        (line) => !line.startsWith('snapshot ') && !line.includes('lifeboat:role=shell'),
      );
      expect(others).toEqual(emptyAccount);

      const { phase, vms } = await siteStatus(plan, { ec2: sandbox.aws.ec2, store: sandbox.store });
      expect(phase).toBe('protected');
      expect(vms.map(({ vm, runsAt, instance }) => [vm, runsAt, instance])).toEqual([
        ['db', 'primary', undefined],
        ['web', 'primary', undefined],
      ]);
      expect(await orders(sandbox)).toHaveLength(4);
    },
    STEP_MS,
  );

  it(
    'moves to EC2 as planned without losing an order of a second before',
    async () => {
      await placeOrder(sandbox, 'at the last moment');
      const summary = await (await sandbox.client.failover({ ...argument, mode: 'planned' })).result();
      expect(summary).toMatchObject({ mode: 'planned', rpoSeconds: 0 });
      expect(summary.vms.map(({ launchedBy }) => launchedBy)).toEqual(['launch copy', 'launch copy']);
      expect(await orders(sandbox)).toEqual([...BOTH_DAYS, 'on EC2', 'home again', 'at the last moment']);
      expect(await shopAddress(sandbox)).not.toBe(shopPrimaryAddress(sandbox.config));
      const { hypervisor } = sandbox.site;
      expect((await hypervisor.describeVm('db')).power).toBe('off');
      expect((await hypervisor.describeVm('web')).power).toBe('off');
    },
    STEP_MS,
  );
});

/** Capacity of a VMDK, in the words of QEMU; its VM may run. */
async function vmdkBytes(path: string): Promise<number> {
  const info = await toolOutput('qemu-img', ['info', '--force-share', '--output', 'json', path]);
  return (JSON.parse(info) as { 'virtual-size': number })['virtual-size'];
}
