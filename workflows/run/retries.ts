import { getExternalWorkflowHandle, setHandler, workflowInfo } from '@temporalio/workflow';
import { INSTANCE_TYPE } from '../../plan/instance-type';
import { type Attention } from './attention';
import { childWorkflowId } from './ids';
import { type RetryRequest, retrySignal, retryUpdate, TRYING_AGAIN } from './messages';
import { type RunProgress } from './run-status';

/** Lets people tell a run to go on with what waits: in its VMs' child workflows, and (`attention`) in itself. */
export function allowRetries(progress: RunProgress, attention?: Attention): void {
  setHandler(
    retryUpdate,
    async (request) => {
      const vms = progress.waitingVms.filter((vm) => request.vm === undefined || request.vm === vm);
      // At once, so that whoever asks twice is told that it does not wait any more.
      for (const vm of vms) progress.vm(vm, TRYING_AGAIN);
      if (request.vm === undefined) attention?.retry(request);
      const { workflowId } = workflowInfo();
      for (const vm of vms)
        await getExternalWorkflowHandle(childWorkflowId(workflowId, vm)).signal(retrySignal, request);
      return { vms };
    },
    { validator: (request) => refuse(request, progress, attention) },
  );
}

/** What comes from outside is anything at all. @throws Error, with which Temporal refuses the update */
function refuse(request: unknown, progress: RunProgress, attention: Attention | undefined): void {
  if (typeof request !== 'object' || request === null)
    throw new Error('Send one argument such as {} or {"vm": "db"}.');
  const { vm, instanceTypes } = request as Partial<Record<keyof RetryRequest, unknown>>;
  const waiting = progress.waitingVms;
  if (vm === undefined && waiting.length === 0 && attention?.waiting !== true)
    throw new Error('Nothing of this run waits to be tried again.');
  if (vm !== undefined && !waiting.some((name) => name === vm))
    throw new Error(
      `${String(vm)} does not wait to be tried again; ${waiting.length === 0 ? 'no VM does' : `${waiting.join(', ')} would`}.`,
    );
  if (instanceTypes === undefined) return;
  if (vm === undefined) throw new Error('Say which VM gets other instance types.');
  const good =
    Array.isArray(instanceTypes) &&
    instanceTypes.length > 0 &&
    instanceTypes.every((type) => typeof type === 'string' && INSTANCE_TYPE.test(type));
  if (!good) throw new Error('Instance types must be a list such as ["m6i.large"].');
}
