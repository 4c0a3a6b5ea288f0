import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createPowerActivities } from '../../activities/backup-proxy/power';
import { localHypervisor } from '../../hypervisor/local';
import { type RunContext } from '../../plan/run';
import { type ObjectStore } from '../../repository/objects/object-store';
import { takePlanState } from '../../repository/plans/plan-state';
import { MemoryObjectStore } from '../support/memory-object-store';
import { RUN } from '../support/run-context';

describe('the power of VMs at home, of real machines whose guest does not listen', () => {
  let directory: string;
  let store: ObjectStore;
  const hypervisor = () => localHypervisor({ directory });
  const power = async () => (await hypervisor().describeVm('web')).power;
  const activities = () =>
    createPowerActivities({ hypervisor: hypervisor(), objectStore: () => store, shutdownSeconds: 1 });
  const does = <Input, Result>(activity: (input: Input) => Promise<Result>, input: Input): Promise<Result> =>
    new MockActivityEnvironment().run(activity, input);
  const holder = async (runId: string): Promise<RunContext> => {
    const taken = await takePlanState(store, { ...RUN, runId }, ['none', 'protected'], 'protected');
    return { ...RUN, runId, generation: taken.generation };
  };

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lifeboat-power-'));
    store = new MemoryObjectStore();
    await hypervisor().createVm('web', {
      cpus: 1,
      memoryMiB: 64,
      guestOs: 'debian12',
      firmware: 'bios',
      nics: [],
    });
    await hypervisor().addDisk('web', { key: 'system', sizeBytes: 2 ** 20, slot: 0, boot: true });
  });
  afterEach(async () => {
    await hypervisor().deleteVm('web');
    await rm(directory, { recursive: true });
  });

  it('is told in the order that was asked for, and a VM that is not there is named', async () => {
    const { readPower } = activities();
    await hypervisor().createVm('db', {
      cpus: 1,
      memoryMiB: 64,
      guestOs: 'debian12',
      firmware: 'bios',
      nics: [],
    });
    await hypervisor().powerOn('web');
    expect(await does(readPower, { vms: [{ vm: 'db' }, { vm: 'the-web', primaryVm: 'web' }] })).toEqual({
      power: ['off', 'running'],
    });
    const vms = [{ vm: 'web' }, { vm: 'cache', primaryVm: 'CACHE 1' }];
    await expect(does(readPower, { vms })).rejects.toMatchObject({
      type: 'PrimarySiteNotReady',
      nonRetryable: true,
      message: expect.stringContaining('no VM "CACHE 1" (cache in the plan)') as string,
    });
    await hypervisor().deleteVm('db');
  });

  it('is never taken from a guest that does not shut down', async () => {
    const { shutDownVm } = activities();
    const run = await holder('of-a-restore');
    await does(shutDownVm, { run, vm: 'web' });
    await hypervisor().powerOn('web');
    await expect(does(shutDownVm, { run, vm: 'web' })).rejects.toMatchObject({
      type: 'ShutdownFailed',
      nonRetryable: true,
      message: expect.stringMatching(/"web" has not shut down within 1 s\. .*its console/) as string,
    });
    expect(await power()).toBe('running');
  });

  it('is not touched by a run that another has followed', async () => {
    const { shutDownVm, startVm } = activities();
    const earlier = await holder('earlier');
    await does(startVm, { run: earlier, vm: 'web' });
    await does(startVm, { run: earlier, vm: 'web' });
    expect(await power()).toBe('running');
    await holder('later');
    await expect(does(shutDownVm, { run: earlier, vm: 'web' })).rejects.toMatchObject({ type: 'Fenced' });
    expect(await power()).toBe('running');
    await hypervisor().powerOff('web');
    await expect(does(startVm, { run: earlier, vm: 'web' })).rejects.toMatchObject({ type: 'Fenced' });
    expect(await power()).toBe('off');
  });
});
