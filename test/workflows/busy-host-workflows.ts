import { restoreVm, type VmRestoreRequest, type VmRestoreResult } from '../../workflows/restore';
import { RunProgress } from '../../workflows/run/run-status';
import { runVmChild } from '../../workflows/run/vm-child';

export { restoreVm };

/** A run of one VM, so that there is somebody to tell. */
export async function restoreOne(request: VmRestoreRequest): Promise<VmRestoreResult> {
  new RunProgress(request.run.plan, [request.vm]);
  return runVmChild(restoreVm, request.run, request.vm, 'Restore', request);
}
