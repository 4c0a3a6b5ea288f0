import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runningPid } from '../../host/pid-file';
import { nodeSuffix } from '../../machines/hardware';
import { qmpSocketOf } from '../../machines/machine';
import { withQmp } from '../../machines/qmp';
import { type DrPlan } from '../../plan/schema';
import { readManifest } from '../../repository/backups/backups';
import { startBackupProxiesAfresh } from '../../sandbox/demo/new-datacenter';
import { simulatorProgram } from '../../sandbox/vcenter/simulator';
import { simulatedVcenterOf, vcenterPidFile } from '../../sandbox/datacenter/vcenter-places';
import { systemDisk, removeSystemDisks } from '../chaos/guests';
import { onDisk, contents } from '../contract/hypervisor-contract';
import { describeWithVcenterAnd } from '../support/describe-with-vcenter';
import { plainPlan } from '../support/e2e-plan';
import { type E2eSandbox, openE2eSandbox, SANDBOX_SECONDS } from '../support/e2e-sandbox';

/** As people call VMs: what neither the repository nor the plan takes for a name. */
const INVENTORY_NAME = 'SQL PROD 01';
const DATA_BYTES = 12 * 2 ** 20 + 512;
const STEP_MS = 240_000;

/** Namespaces, taps and FUSE need root. */
const describeAsRoot = describeWithVcenterAnd(process.getuid?.() === 0);

describeAsRoot('a data centre with vCenter (needs root and the simulated one)', () => {
  const base = plainPlan('shop', ['db']);
  const plan: DrPlan = {
    ...base,
    primarySite: { hypervisor: 'vsphere' },
    vms: base.vms.map((vm) => ({ ...vm, primaryVm: INVENTORY_NAME })),
  };
  const data = Buffer.alloc(DATA_BYTES);
  let sandbox: E2eSandbox;
  let argument: { plan: string; digest: string };

  beforeAll(async () => {
    sandbox = await openE2eSandbox('vsphere', {
      runner: 'no-boot',
      application: 'none',
      pace: 'quick',
      dataCentre: 'vsphere',
    });
    const system = await systemDisk('debian');
    const dataFile = join(sandbox.config.directory, 'data.raw');
    data.fill(0x5a, 70_000, 4_000_000);
    await writeFile(dataFile, data);
    const { size } = await stat(system);
    await sandbox.site.importVm({
      name: INVENTORY_NAME,
      configuration: {
        ...{ cpus: 1, memoryMiB: 64, firmware: 'bios', guestOs: 'debian12_64Guest' },
        nics: [{ network: 'dc', mac: '00:50:56:00:40:01' }],
        disks: [
          { key: 'system', sizeBytes: size, slot: 0, boot: true },
          { key: 'data', sizeBytes: DATA_BYTES, slot: 1, boot: false },
        ],
      },
      rawDisks: [
        { key: 'system', path: system },
        { key: 'data', path: dataFile },
      ],
    });
    await sandbox.site.hypervisor.powerOn(INVENTORY_NAME);
    argument = await sandbox.publish(plan);
  }, SANDBOX_SECONDS * 1000);

  afterAll(async () => {
    removeSystemDisks();
    await sandbox?.close();
  }, SANDBOX_SECONDS * 1000);

  /** Writes as the VM's guest would, on its second disk. */
  async function writeAsGuest(offset: number, length: number, byte: number): Promise<void> {
    const vcenter = simulatedVcenterOf(sandbox.config);
    const socket = await qmpSocketOf(vcenter.machineDirectory(await vcenter.control.find(INVENTORY_NAME)));
    const drive = `drive${nodeSuffix({ controller: { kind: 'pvscsi', bus: 0 }, slot: 1 })}`;
    const command = `qemu-io -d ${drive} "write -P ${byte} ${offset} ${length}"`;
    const answer = await withQmp(socket, (qmp) =>
      qmp.execute('human-monitor-command', { 'command-line': command }),
    );
    expect(answer).toBe('');
    data.fill(byte, offset, offset + length);
  }

  const dataKey = async (): Promise<string> => {
    const { disks } = await sandbox.site.hypervisor.describeVm(INVENTORY_NAME);
    return disks.find(({ sizeBytes }) => sizeBytes === DATA_BYTES)!.key;
  };

  /** What the VM's data disk holds; the VM is off then. */
  async function dataAtHome(): Promise<Buffer> {
    const { hypervisor } = sandbox.site;
    await hypervisor.powerOff(INVENTORY_NAME);
    return onDisk(await hypervisor.openDisk(INVENTORY_NAME, await dataKey()), contents);
  }

  const leftBehind = async (): Promise<string[]> =>
    (await sandbox.site.list()).flatMap(({ name, besides }) =>
      name === INVENTORY_NAME ? besides : [name, ...besides],
    );

  it(
    'is backed up by what its hypervisor says has changed, and nothing stays attached',
    async () => {
      const full = await (await sandbox.client.backup(argument)).result();
      expect(full.vms).toMatchObject([{ vm: 'db', kind: 'full' }]);
      await writeAsGuest(8 * 2 ** 20, 4096, 0x33);
      const second = await (await sandbox.client.backup(argument)).result();
      expect(second.vms).toMatchObject([{ vm: 'db', kind: 'incremental' }]);
      expect(second.vms[0]!.disks.map(({ blocks }) => blocks)).toEqual([0, 1]);
      const manifest = await readManifest(sandbox.store, 'db', second.vms[0]!.backupId);
      expect(manifest).toMatchObject({
        consistency: 'crash',
        configuration: { displayName: INVENTORY_NAME },
      });
      for (const disk of manifest!.disks) expect(disk.changeMarker).toBeDefined();
      expect(await leftBehind()).toEqual([]);
    },
    STEP_MS,
  );

  it(
    'is backed up although vCenter and the proxy are killed meanwhile, and nothing of it stays behind',
    async () => {
      const killVcenter = async (): Promise<void> => {
        const pid = await runningPid(vcenterPidFile(sandbox.config), simulatorProgram());
        process.kill(pid!, 'SIGKILL');
      };
      const killProxy = async (): Promise<void> => {
        await (
          await sandbox.kill('worker-backup-proxy')
        ).startedAgain;
      };
      for (const [n, kill] of [killVcenter, killProxy].entries()) {
        await writeAsGuest(2 * 2 ** 20, 700_000, 0x41 + n);
        const run = await sandbox.client.backup(argument);
        await kill();
        expect((await run.result()).vms).toMatchObject([{ vm: 'db', kind: 'incremental' }]);
        expect(await leftBehind()).toEqual([]);
      }
    },
    STEP_MS,
  );

  it(
    'comes home from EC2 into a new vCenter, byte for byte',
    async () => {
      const { vms } = await (await sandbox.client.restore(argument)).result();
      expect(vms).toMatchObject([{ vm: 'db', kind: 'full' }]);
      expect((await dataAtHome()).equals(data)).toBe(true);

      await sandbox.site.destroy();
      await (await sandbox.client.failover({ ...argument, mode: 'disaster' })).result();
      await sandbox.site.open();
      await sandbox.site.untilServing();
      await startBackupProxiesAfresh(sandbox.config);
      expect(await sandbox.site.list()).toEqual([]);

      await (await sandbox.client.failback(argument)).result();
      await (await sandbox.client.commit(argument)).result();
      const { power, ...home } = await sandbox.site.hypervisor.describeVm(INVENTORY_NAME);
      expect(power).toBe('running');
      expect(home).toMatchObject({
        // The instance's, an m6i.large.
        ...{ cpus: 2, memoryMiB: 8192 },
        ...{ firmware: 'bios', nics: [{ network: 'dc', mac: '00:50:56:00:40:01' }] },
        disks: [
          { slot: 0, boot: true },
          { slot: 1, sizeBytes: DATA_BYTES },
        ],
      });
      expect((await dataAtHome()).equals(data)).toBe(true);
      expect(await leftBehind()).toEqual([]);
    },
    2 * STEP_MS,
  );
});
