import { ApplicationFailure, condition, setHandler } from '@temporalio/workflow';
import { type SurvivorCopy, type SurvivorDisk } from '../activities/backup-proxy/contract';
import { type CopyResult } from '../activities/copy-result';
import { type DiskConfiguration, type VmConfiguration } from '../hypervisor/port';
import { bothNames } from '../plan/primary-vm';
import { type ReplicationLimit } from '../plan/replication-limit';
import { type RunContext } from '../plan/run';
import { type PlannedVm } from '../plan/schema';
import { type HookResult } from '../activities/hooks/contract';
import { Hooks, type HookSet } from './hooks';
import { awsProxy, backupProxy } from './run/activities';
import { type OnFailure } from './run/attention';
import { type FailbackGate, openGateSignal } from './run/messages';
import { settling } from './run/settling';
import { reportPhase, vmAttention } from './run/vm-child';

export interface FailbackVmRequest {
  run: RunContext;
  vm: PlannedVm;
  instanceId: string;
  /** Hardware that the VM gets at home. */
  configuration: Omit<VmConfiguration, 'disks'>;
  disks: DiskConfiguration[];
  /** What an operator should know of the backup that the VM was recovered from. */
  notes?: string[];
  onFailure: OnFailure;
  /** The plan's; absent where it has none. */
  limit?: ReplicationLimit;
  /** The VM is at home as its last backup knows it; absent where it is to be made. */
  survivor?: {
    /** Runs whose VMs at home are half of what they should be. */
    unfinishedFailbacks: string[];
    /** By disk key: what the disk is compared by. */
    disks: Record<string, SurvivorDisk>;
  };
  /** What another VM of that name is to be called from now on; absent where there is none in the way. */
  aside?: string;
  /** The plan's hooks that run after it; absent where there are none. */
  hooks?: HookSet;
}

/** A VM that runs, and answers, at the primary site again. */
export interface FailedBackVm {
  vm: string;
  /** There where the VM was at home, so that only what differed was copied. */
  survived?: true;
  /** What the VM that had its name is called now; absent where there was none. */
  aside?: string;
  /** Copied while the instance served. */
  firstCopy: (CopyResult & SurvivorCopy & { key: string })[];
  /** Copied after it was stopped. */
  changes: (CopyResult & { key: string })[];
  readySeconds: number;
  /** What an operator should know of the guest although it runs; one sentence each. */
  warnings: string[];
  /** How the plan's hooks after it ended; absent where there are none. In a run's summary they are among the others. */
  hooks?: HookResult[];
}

/**
 * One VM home: template VM and disks, or the VM that survived; blocks while the instance serves, the changed blocks after its stop,
 * start.
 */
export function failbackVm(request: FailbackVmRequest): Promise<FailedBackVm> {
  return settling(() => bringHome(request));
}

async function bringHome(request: FailbackVmRequest): Promise<FailedBackVm> {
  const { run, instanceId, configuration, disks, limit, survivor, aside, notes = [] } = request;
  const vm = request.vm.name;
  const names = bothNames(request.vm);
  const open = new Set<FailbackGate>();
  setHandler(openGateSignal, (gate) => void open.add(gate));
  const attention = vmAttention(run, vm, request.onFailure);
  const gate = (name: FailbackGate): Promise<void> => condition(() => open.has(name));

  if (survivor !== undefined) {
    await reportPhase(vm, 'holding the VM as it is');
    await attention.step(() =>
      backupProxy.holdVm({ run, ...names, unfinishedFailbacks: survivor.unfinishedFailbacks }),
    );
  } else {
    await reportPhase(vm, 'creating the template VM');
    await attention.step(async () => {
      if (aside !== undefined) await backupProxy.setVmAside({ run, ...names, aside });
      await backupProxy.createTemplateVm({ run, ...names, configuration });
      await backupProxy.attachDisks({ run, ...names, disks });
    });
  }

  await reportPhase(vm, 'copying', `while ${instanceId} serves`);
  const first = await attention.step(() => awsProxy.snapshotInstance({ run, vm, instanceId, pass: 1 }));
  // Before anything is stopped: data that would not fit the VM's exact disk size is found here.
  await eachDisk(disks, (disk) => awsProxy.checkDiskFits({ vm, snapshotId: snapshotOf(first, disk), disk }));
  // Each by itself: a disk that is copied is not copied again for another's sake.
  const firstCopy = await eachDisk(disks, (disk) =>
    attention.step(() =>
      backupProxy.copySnapshotToDisk({
        ...{ run, ...names, disk, snapshotId: snapshotOf(first, disk), limit },
        ...(survivor === undefined ? {} : { survivor: survivor.disks[disk.key] }),
      }),
    ),
  );
  await reportPhase(vm, 'copied', `${sumBlocks(firstCopy)} blocks`);

  await gate('cutOver');
  attention.undoFromNowOn();
  await awsProxy.stopInstance({ run, vm, instanceId });
  await reportPhase(vm, 'stopped', instanceId);

  await gate('copyChanges');
  const second = await awsProxy.snapshotInstance({ run, vm, instanceId, pass: 2 });
  const changes = await eachDisk(disks, (disk) =>
    backupProxy.copySnapshotToDisk({
      run,
      ...names,
      disk,
      snapshotId: snapshotOf(second, disk),
      previousSnapshotId: snapshotOf(first, disk),
      limit,
    }),
  );
  const reverted = await backupProxy.revertGuest({
    ...{ run, ...names },
    diskKeys: disks.map(({ key }) => key),
  });
  await reportPhase(vm, 'complete', `${sumBlocks(changes)} changed blocks`);

  await gate('start');
  await backupProxy.configureAndStartVm({ run, ...names, configuration });
  await reportPhase(vm, 'waiting until ready', request.vm.primaryAddress);
  const { seconds } = await backupProxy.waitUntilReady({
    ...names,
    address: request.vm.primaryAddress,
    probe: request.vm.readiness,
  });
  const hooks = new Hooks(run, request.hooks);
  if (hooks.has('afterVmReady')) {
    await reportPhase(vm, 'running hooks', request.vm.primaryAddress);
    await hooks.require('afterVmReady', [{ vm, address: request.vm.primaryAddress }], vm);
  }
  const hookResults = hooks.results;
  await reportPhase(vm, 'ready', request.vm.primaryAddress);
  // Absent in what a worker of an earlier release answered.
  return {
    vm,
    ...(survivor === undefined ? {} : { survived: true }),
    ...(aside === undefined ? {} : { aside }),
    firstCopy,
    changes,
    readySeconds: seconds,
    ...(hookResults === undefined ? {} : { hooks: hookResults }),
    warnings: [...notes, ...firstCopy.flatMap(({ note }) => note ?? []), ...(reverted.warnings ?? [])],
  };
}

const eachDisk = <T>(
  disks: DiskConfiguration[],
  work: (disk: DiskConfiguration) => Promise<T>,
): Promise<(T & { key: string })[]> =>
  Promise.all(disks.map(async (disk) => ({ ...(await work(disk)), key: disk.key })));

function snapshotOf(snapshots: { diskKey: string; snapshotId: string }[], disk: DiskConfiguration): string {
  const snapshot = snapshots.find(({ diskKey }) => diskKey === disk.key);
  if (!snapshot)
    throw ApplicationFailure.nonRetryable(
      `The snapshots of the instance lack disk ${disk.key}.`,
      'SnapshotNotFound',
    );
  return snapshot.snapshotId;
}

const sumBlocks = (copies: CopyResult[]): number => copies.reduce((sum, { blocks }) => sum + blocks, 0);
