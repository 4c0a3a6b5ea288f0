import { ApplicationFailure } from '@temporalio/workflow';
import { type VerifiedDisk } from '../activities/aws-proxy/restore/contract';
import { independently } from '../plan/order';
import { type RunContext } from '../plan/run';
import { awsProxy } from './run/activities';
import { begin, type RunRequest } from './run/begin';
import { inDependencyOrder } from './run/dependency-order';
import { RunProgress } from './run/run-status';
import { reportPhase, runVmChild } from './run/vm-child';

export interface VerifyRequest extends RunRequest {
  /** Of one VM only; of all where this is absent. */
  vm?: string;
}

/** A VM's DR copy that was read back, every block of it as in its backup. */
export interface VmVerification {
  vm: string;
  recoveryPoint: string;
  takenAt: string;
  disks: (VerifiedDisk & { key: string; snapshotId: string })[];
}

export interface VerifySummary {
  plan: string;
  vms: VmVerification[];
}

/**
 * Reads DR copies back and compares every block with the backup's block map. Takes no state and changes nothing, so it
 * may run in any phase of the plan.
 */
export async function verify(request: VerifyRequest): Promise<VerifySummary> {
  const { plan, run } = await begin(request);
  const vms = plan.vms.filter(({ name }) => request.vm === undefined || name === request.vm);
  if (vms.length === 0)
    throw ApplicationFailure.nonRetryable(`The plan "${plan.name}" has no VM "${request.vm}".`, 'NoSuchVm');
  const progress = new RunProgress(
    plan.name,
    vms.map(({ name }) => name),
  );
  progress.phase('verifying');
  const independent = independently(vms);
  const results = await inDependencyOrder(independent, (vm) =>
    runVmChild(verifyVm, run, vm.name, 'Verify', { run, vm: vm.name }),
  );
  progress.phase('done');
  return { plan: plan.name, vms: vms.flatMap(({ name }) => results.get(name) ?? []) };
}

/** One VM: find its DR copy, read all of its disks. */
export async function verifyVm({ run, vm }: { run: RunContext; vm: string }): Promise<VmVerification> {
  const { recoveryPoint, takenAt, disks } = await awsProxy.readDrCopy({ run, vm });
  await reportPhase(vm, 'reading back', takenAt);
  try {
    const verified = await Promise.all(
      disks.map(async (disk) => ({
        key: disk.key,
        snapshotId: disk.snapshotId,
        ...(await awsProxy.verifyDisk({ run, vm, recoveryPoint, disk })),
      })),
    );
    await reportPhase(vm, 'verified', takenAt);
    return { vm, recoveryPoint, takenAt, disks: verified };
  } catch (error) {
    await reportPhase(vm, 'not verified', takenAt);
    throw error;
  }
}
