import {
  type ChildWorkflowOptions,
  CancellationScope,
  type ChildWorkflowHandle,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { Attention, type OnFailure } from './attention';
import {
  dependenciesReadySignal,
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

interface StartedChild<Result> {
  signal(signal: typeof dependenciesReadySignal): Promise<void>;
  result(): Promise<Result>;
}

/** A VM's child workflow that is begun before all that the VM depends on is ready. */
export class VmAhead<Result> {
  private readonly scope = new CancellationScope();
  private readonly child: Promise<StartedChild<Result>>;
  /** How it ends. */
  readonly result: Promise<Result>;

  constructor(begin: () => Promise<StartedChild<Result>>) {
    this.child = this.scope.run(begin);
    this.result = this.child.then((child) => child.result());
    // It may fail before anybody waits for it; then whoever does is told.
    this.result.catch(() => undefined);
  }

  /** All that the VM depends on is ready. */
  async goOn(): Promise<Result> {
    const child = await this.child;
    try {
      await child.signal(dependenciesReadySignal);
    } catch (error) {
      // One that has ended cannot be told any more, and how it ended is what counts.
      if (isCancellation(error)) throw error;
    }
    return this.result;
  }

  /** Something that the VM depends on has failed. Returns when nothing of it goes on any more. */
  async giveUp(): Promise<void> {
    this.scope.cancel();
    await this.result.catch(() => undefined);
  }
}

/** Begins a VM's child workflow ahead. */
export function beginVmAhead<Request, Result>(
  workflow: VmWorkflow<Request, Result>,
  run: RunContext,
  vm: string,
  summary: string,
  request: Request,
): VmAhead<Result> {
  return new VmAhead<Result>(() => startVmChild(workflow, run, vm, summary, request));
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
