import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import { projectRoot } from '../../host/project-root';
import { type VmRef } from '../../hypervisor/vsphere/vm';
import { type Rule } from '../../sandbox/vcenter/control';
import { describeWithVcenter } from '../support/describe-with-vcenter';
import { eventually } from '../support/eventually';
import { contents, onDisk } from './hypervisor-contract';
import { startVsphereSite, type VsphereSite } from './vsphere-site';
import { attachedFiles, leftovers, makeVm } from './vsphere-vms';

const PROGRAM = join(projectRoot(), 'dist', 'test', 'contract', 'backup-to-be-killed.js');
const SIZE = 1024 * 1024 + 512;

/** A call of the backup's sequence, as docs/vsphere.md has them, by what it is in vCenter. */
interface Call {
  name: string;
  method: string;
  on: 'vm' | 'proxy' | 'any';
  /** Calls of the method on that object that come before it. */
  skip?: number;
}

const CALLS: Call[] = [
  { name: 'switching tracking on', method: 'ReconfigVM_Task', on: 'vm' },
  { name: 'taking the snapshot', method: 'CreateSnapshotEx_Task', on: 'vm' },
  { name: 'attaching the disk', method: 'ReconfigVM_Task', on: 'proxy' },
  { name: 'asking for changed areas', method: 'QueryChangedDiskAreas', on: 'vm' },
  { name: 'letting the disk go', method: 'ReconfigVM_Task', on: 'proxy', skip: 1 },
  { name: 'removing the snapshot', method: 'RemoveSnapshot_Task', on: 'any' },
];

const KILLS = CALLS.flatMap((call) =>
  // A question has no effect that its answer could be missing after.
  (call.method.endsWith('_Task') ? (['before', 'after'] as const) : (['before'] as const)).map((when) => ({
    ...call,
    when,
    title: `${when} ${call.name}`,
  })),
);

describeWithVcenter('a backup from vSphere whose worker is killed', () => {
  let site: VsphereSite;
  let proxy: string;
  const children: ChildProcess[] = [];
  beforeAll(async () => {
    if (!existsSync(PROGRAM)) throw new Error('This test needs the build: npm run build');
    site = await startVsphereSite();
    proxy = await site.vcenter.control.find('backup-proxy');
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await site.vcenter.control.setRules([]);
  });
  afterAll(() => site.remove());

  function startBackup(vm: string, id: string, ...more: string[]): ChildProcess {
    const { settingsFile, stateDirectory } = site;
    const child = spawn(process.execPath, [PROGRAM, settingsFile, stateDirectory, vm, id, ...more], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    return child;
  }

  async function kill(child: ChildProcess): Promise<void> {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** The whole of a backup, which has to find its VM's bytes, and leave nothing. */
  async function backUp(vm: string, ref: VmRef, id: string, expected: Buffer): Promise<void> {
    const next = site.afresh();
    const { configuration } = await next.snapshotVm(vm, id);
    const key = configuration.disks[0]?.key ?? '';
    await onDisk(
      await next.openSnapshotDisk(vm, id, key),
      async (file) => expect((await contents(file)).equals(expected)).toBe(true),
      'r',
    );
    await next.releaseSnapshot(vm, id);
    expect(await leftovers(site, ref)).toEqual([]);
  }

  let made = 0;
  let shared: Awaited<ReturnType<typeof machine>> | undefined;
  async function machine(): Promise<{ name: string; vm: VmRef; expected: Buffer }> {
    const name = `killed-${++made}`;
    const vm = await makeVm(site, { name, disks: [SIZE] });
    await site.client.run('PowerOnVM_Task', vm, {});
    await site.vcenter.writeAsGuest(name, 0, 4096, 512, 0x21);
    return { name, vm, expected: Buffer.alloc(SIZE).fill(0x21, 4096, 4096 + 512) };
  }

  it.each(KILLS)(
    '$title leaves what the next backup clears by itself',
    async ({ title, method, on, skip = 0, when }) => {
      const { control } = site.vcenter;
      // Tracking is switched on once only in a VM's life.
      const { name, vm, expected } =
        on === 'vm' && method === 'ReconfigVM_Task' ? await machine() : (shared ??= await machine());
      const object = on === 'vm' ? vm.value : on === 'proxy' ? proxy : undefined;
      const rule: Rule = {
        name,
        method,
        skip,
        times: 1,
        when,
        hold: true,
        ...(object === undefined ? {} : { object }),
      };
      await control.setRules([rule]);
      const child = startBackup(name, `killed ${title}`);
      await eventually(
        20,
        async () => (((await control.struck())[name] ?? 0) > skip ? true : undefined),
        0.05,
      );
      await kill(child);
      // What was held goes on now, as vCenter ends what it was asked for by somebody who has gone.
      await control.setRules([]);
      await backUp(name, vm, `after ${title}`, expected);
    },
  );

  it('leaves nothing where its run is given up while vCenter takes the snapshot that the dead worker asked for', async () => {
    const { control } = site.vcenter;
    const { name, vm } = await machine();
    const method = 'CreateSnapshotEx_Task';
    await control.setRules([{ name, method, times: 1, when: 'before', hold: true, object: vm.value }]);
    const child = startBackup(name, 'given up');
    await eventually(20, async () => ((await control.struck())[name] === 1 ? true : undefined), 0.05);
    await kill(child);
    const released = site.afresh().releaseSnapshot(name, 'given up');
    const first = await Promise.race([released.then(() => 'released'), sleep(1000, 'waits')]);
    expect(first).toBe('waits');
    await control.setRules([]);
    await released;
    expect(await leftovers(site, vm)).toEqual([]);
    // A try that still runs comes too late.
    await expect(site.afresh().snapshotVm(name, 'given up')).rejects.toThrow(/was given up/);
    expect(await leftovers(site, vm)).toEqual([]);
  });

  it('goes on with its snapshot in the next process, where the run goes on', async () => {
    const { name, vm, expected } = await machine();
    const child = startBackup(name, 'same', 'wait');
    await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line');
    expect(await attachedFiles(site)).toHaveLength(1);
    const { snapshot } = await site.client.get(vm, 'snapshot');
    await kill(child);
    // A worker that starts lets go of the disk, and keeps the snapshot for the run that may go on.
    expect(await site.afresh().clearLeftovers()).toEqual([expect.stringContaining(`${name}/disk0.vmdk`)]);
    expect(await attachedFiles(site)).toEqual([]);
    expect((await site.client.get(vm, 'snapshot')).snapshot).toEqual(snapshot);
    await site.vcenter.writeAsGuest(name, 0, 0, 512, 0x22);
    await backUp(name, vm, 'same', expected);
  });

  it('keeps the hands of others off what a living process works with', async () => {
    const { name, vm, expected } = await machine();
    const child = startBackup(name, 'living', 'wait');
    await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line');
    expect(await site.afresh().clearLeftovers()).toEqual([]);
    const other = await machine();
    await backUp(other.name, other.vm, 'other', other.expected);
    expect(await attachedFiles(site)).toHaveLength(1);
    await kill(child);
    await backUp(name, vm, 'after it', expected);
  });
});
