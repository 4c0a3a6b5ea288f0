import { CancellationScope, isCancellation, patched } from '@temporalio/workflow';
import {
  type LaunchCopyResult,
  type PlannedRestoreDisk,
  type RestorePlan,
} from '../activities/aws-proxy/restore/contract';
import { type CopyResult } from '../activities/copy-result';
import { independently } from '../plan/order';
import { type RunContext } from '../plan/run';
import { type CopiedDisk, copyDirect } from './direct-copy';
import { awsProxy, control } from './run/activities';
import { begin, requirePhase, type RunRequest, take } from './run/begin';
import { compensating } from './run/compensation';
import { inDependencyOrder } from './run/dependency-order';
import { causeMessage, hasFailureType } from './run/failure-message';
import { onProxyHost } from './run/proxy-host';
import { RunProgress } from './run/run-status';
import { unlessCancelled } from './run/settling';
import { reportPhase, runVmChild } from './run/vm-child';

export interface VmRestoreRequest {
  run: RunContext;
  vm: string;
  copy: 'direct' | 'volume';
  kmsKey?: string;
  /** Whether a launch copy is made of the DR copy; none in runs of releases that had none. */
  launchCopy?: boolean;
}

/** What bringing one VM's DR copy up to date came to. */
export interface VmRestoreResult {
  vm: string;
  kind: 'full' | 'incremental' | 'up-to-date';
  /** Why a full copy was made. */
  reason?: string;
  recoveryPoint: string;
  takenAt: string;
  disks: (CopyResult & { key: string; snapshotId: string })[];
  /** Absent where the plan wants none. */
  launchCopy?: LaunchCopyResult;
}

export interface RestoreSummary {
  plan: string;
  vms: VmRestoreResult[];
}

/** Brings the DR copy of every VM up to its newest backup. */
export async function restore(request: RunRequest): Promise<RestoreSummary> {
  const begun = await begin(request);
  const { plan } = begun;
  const progress = new RunProgress(
    plan.name,
    plan.vms.map((vm) => vm.name),
  );
  requirePhase(begun, ['none', 'protected'], 'restore');
  const independent = independently(plan.vms);
  // The first restore refuses what lacks a backup before it writes the plan's state. Later ones have a state already,
  // and a VM that is new to the plan must not keep the others from being protected.
  if (begun.phase === 'none')
    await inDependencyOrder(independent, (vm) =>
      awsProxy.planRestore({ run: begun.run, vm: vm.name, kmsKey: plan.recoverySite.kmsKey }),
    );
  const run = await take(begun, ['none', 'protected'], 'protected');

  progress.phase('restoring');
  const results = await inDependencyOrder(independent, (vm) =>
    runVmChild(restoreVm, run, vm.name, 'Restore', {
      run,
      vm: vm.name,
      copy: plan.replication.copy,
      kmsKey: plan.recoverySite.kmsKey,
      launchCopy: plan.replication.launchCopy,
    }),
  );
  progress.phase('done');
  return { plan: plan.name, vms: [...results.values()] };
}

/** One VM: read what is new, write it into new snapshots, make them the DR copy, delete the one they replace. */
export async function restoreVm(request: VmRestoreRequest): Promise<VmRestoreResult> {
  const { run, vm, kmsKey } = request;
  await reportPhase(vm, 'comparing');
  const restore = await awsProxy.planRestore({ run, vm, kmsKey });
  const { recoveryPoint, takenAt, kind, reason } = restore;
  if (restore.upToDate) {
    // The plan may have changed since its launch copy was made, or it could not be made then.
    const launchCopy = await makeLaunchCopy(request, recoveryPoint);
    await reportPhase(vm, 'up to date', takenAt);
    return { vm, kind: 'up-to-date', recoveryPoint, takenAt, disks: [], ...launchCopy };
  }

  return compensating(async (compensations) => {
    compensations.add('delete the unfinished snapshots', () => awsProxy.discardRestore({ run, vm }));
    await reportPhase(
      vm,
      `copying (${kind})`,
      reason ?? `${restore.disks.reduce((sum, disk) => sum + disk.blocks, 0)} blocks`,
    );
    const copyDisk = request.copy === 'direct' ? copyDirect : copyByVolume;
    const disks = await Promise.all(restore.disks.map((disk) => copyDisk(request, restore, disk)));

    await reportPhase(vm, 'publishing');
    await control.checkPlanState({ run });
    await unlessCancelled();
    const publish = async (): Promise<void> => {
      await awsProxy.publishDrCopy({
        run,
        vm,
        restore,
        snapshots: disks.map(({ key, snapshotId }) => ({ diskKey: key, snapshotId })),
      });
      await awsProxy.deleteReplacedDrCopies({ run, vm, keep: recoveryPoint });
    };
    // Cancelled half-way, the VM would have two DR copies until its next restore.
    await (patched('publish to the end') ? CancellationScope.nonCancellable(publish) : publish());
    const launchCopy = await makeLaunchCopy(request, recoveryPoint);
    await reportPhase(vm, 'protected', takenAt);
    return { vm, kind, reason, recoveryPoint, takenAt, disks, ...launchCopy };
  });
}

/**
 * The guest, adapted while there is time. The DR copy is what protects the VM: where its launch copy cannot be made, for
 * whatever reason, the restore is done all the same, and says why.
 */
async function makeLaunchCopy(
  { run, vm, launchCopy: wanted }: VmRestoreRequest,
  recoveryPoint: string,
): Promise<Pick<VmRestoreResult, 'launchCopy'>> {
  if (wanted !== true) return {};
  await reportPhase(vm, 'making the launch copy');
  try {
    const launchCopy = await awsProxy.makeLaunchCopy({ run, vm, recoveryPoint });
    if (launchCopy.reason !== undefined) await reportPhase(vm, 'without a launch copy', launchCopy.reason);
    return { launchCopy };
  } catch (error) {
    if (isCancellation(error) || hasFailureType(error, 'Fenced')) throw error;
    const reason = causeMessage(error) + (await discardLaunchCopy(run, vm));
    await reportPhase(vm, 'without a launch copy', reason);
    return { launchCopy: { outcome: 'not made', reason, blocks: 0, bytes: 0, seconds: 0, warnings: [] } };
  }
}

/** What was begun of it goes with the next restore at the latest, which is no reason to fail this one. */
async function discardLaunchCopy(run: RunContext, vm: string): Promise<string> {
  try {
    await awsProxy.discardRestore({ run, vm });
    return '';
  } catch (error) {
    if (isCancellation(error)) throw error;
    return ` What was begun of it is left for the next restore, or for "lifeboat sweep": ${causeMessage(error)}`;
  }
}

/** Where EBS direct cannot be used: a volume on the AWS proxy is written, snapshotted and deleted. */
async function copyByVolume(
  { run, vm, kmsKey }: VmRestoreRequest,
  restore: RestorePlan,
  { extents: _, ...disk }: PlannedRestoreDisk,
): Promise<CopiedDisk> {
  return onProxyHost(async (host, attempt) =>
    compensating(async (compensations) => {
      const { volumeId } = await awsProxy.createCopyVolume({
        run,
        vm,
        attempt,
        disk,
        availabilityZone: host.availabilityZone,
        kmsKey,
      });
      compensations.add(`delete the volume ${volumeId}`, () => awsProxy.deleteVolume({ volumeId }));
      const copied = await host.activities.copyToVolume({ run, vm, attempt, restore, disk, volumeId });
      const { snapshotId } = await awsProxy.snapshotCopyVolume({ run, vm, attempt, restore, disk, volumeId });
      await awsProxy.deleteVolume({ volumeId });
      return { key: disk.key, snapshotId, ...copied };
    }),
  );
}
