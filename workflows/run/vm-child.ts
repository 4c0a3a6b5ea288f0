import {
  type ChildWorkflowOptions,
  type ChildWorkflowHandle,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { Attention, type OnFailure } from './attention';
import {
  NEEDS_ATTENTION,
  phaseAttribute,
  planAttribute,
  retrySignal,
  troubleSignal,
  TRYING_AGAIN,
  vmPhaseSignal,
} from './messages';
import { inPortions } from './child-starts';
import { childWorkflowId } from './ids';
import { priority } from './priority';
import { noted } from './settling';
import { type RunContext } from '../../plan/run';

/** Options of a VM's child workflow: it dies with its run, after undoing its own steps. */
function vmChildOptions(
  run: RunContext,
  vm: string,
  summary: string,
): Omit<ChildWorkflowOptions, 'typeInfo'> {
  return {
    workflowId: childWorkflowId(workflowInfo().workflowId, vm),
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    staticSummary: `${summary} · ${vm}`,
    priority: priority(),
    typedSearchAttributes: [
      { key: planAttribute, value: run.plan },
      { key: phaseAttribute, value: 'starting' },
    ],
  };
}

/** Runs a VM's child workflow to its end. */
export async function runVmChild<Request, Result>(
  workflow: (request: Request) => Promise<Result>,
  run: RunContext,
  vm: string,
  summary: string,
  request: Request,
): Promise<Result> {
  const child = await startVmChild(workflow, run, vm, summary, request);
  return child.result();
}

type VmWorkflow<Request, Result> = (request: Request) => Promise<Result>;

/** Starts a VM's child workflow. */
export function startVmChild<Request, Result>(
  workflow: VmWorkflow<Request, Result>,
  run: RunContext,
  vm: string,
  summary: string,
  request: Request,
): Promise<ChildWorkflowHandle<VmWorkflow<Request, Result>>> {
  const starting = inPortions(request, () =>
    startChild(workflow, { ...vmChildOptions(run, vm, summary), args: [request] }),
  );
  // Whoever starts it hears how it ends; this is for those who wait for its end alone.
  noted(starting.then((child) => child.result())).catch(() => undefined);
  return starting;
}

/** Tells the run which phase its VM entered. */
export async function reportPhase(vm: string, phase: string, detail = ''): Promise<void> {
  const { parent } = workflowInfo();
  if (parent)
    await getExternalWorkflowHandle(parent.workflowId, parent.runId).signal(vmPhaseSignal, {
      vm,
      phase,
      detail,
    });
}

/** Tells the run what its VM's present phase suffers from. */
export async function reportTrouble(vm: string, text: string): Promise<void> {
  const { parent } = workflowInfo();
  if (parent)
    await getExternalWorkflowHandle(parent.workflowId, parent.runId).signal(troubleSignal, { vm, text });
}

/** Steps of a VM's child workflow that a person may have to mend; the run forwards what people send. */
export function vmAttention(run: RunContext, vm: string, onFailure: OnFailure): Attention {
  const attention = new Attention(run, onFailure, (problem) =>
    problem === undefined ? reportPhase(vm, TRYING_AGAIN) : reportPhase(vm, NEEDS_ATTENTION, problem),
  );
  setHandler(retrySignal, (request) => attention.retry(request));
  return attention;
}
