import { ApplicationFailure, isCancellation } from '@temporalio/workflow';
import { type HookFacts, type HookResult, type HookVm } from '../activities/hooks/contract';
import { type RunContext } from '../plan/run';
import { type DrPlan, type Hook, type HookPlace, type HookRun } from '../plan/schema';
import { awsProxy, backupProxy } from './run/activities';
import { causeMessage } from './run/failure-message';

/** The hooks that a run has, and what they are told of it. */
export interface HookSet {
  run: HookRun;
  /** Of a failover. */
  planned?: boolean;
  hooks: { hook: Hook; index: number }[];
  /** What is kept of the output of each. */
  outputBytes: number;
}

/** What of one hook's output is kept, at most, and what of those of a run together: its result is one payload, of at most 2 MB. */
const OUTPUT_BYTES = 16 * 1024;
const ALL_OUTPUT_BYTES = 512 * 1024;
/** However many there are, the last lines say what went wrong. */
const LEAST_OUTPUT_BYTES = 256;

/** The hooks of the plan for such a run; undefined where there are none. */
export function hooksOf(plan: DrPlan, run: HookRun, planned = false): HookSet | undefined {
  const hooks = (plan.hooks ?? [])
    .map((hook, index) => ({ hook, index }))
    .filter(({ hook: { on } }) => on === undefined || on.includes(run));
  if (hooks.length === 0) return undefined;
  const times = ({ hook }: HookSet['hooks'][number]): number =>
    hook.at === 'afterVmReady' && hook.vm === undefined ? plan.vms.length : 1;
  const share = Math.floor(ALL_OUTPUT_BYTES / hooks.reduce((sum, one) => sum + times(one), 0));
  return {
    run,
    ...(planned ? { planned } : {}),
    hooks,
    outputBytes: Math.max(LEAST_OUTPUT_BYTES, Math.min(OUTPUT_BYTES, share)),
  };
}

/** Those of them that run after this VM; undefined where none does. */
export function hooksOfVm(set: HookSet | undefined, vm: string): HookSet | undefined {
  const hooks = (set?.hooks ?? []).filter(
    ({ hook }) => hook.at === 'afterVmReady' && (hook.vm === undefined || hook.vm === vm),
  );
  return set === undefined || hooks.length === 0 ? undefined : { ...set, hooks };
}

/** Runs hooks, one after the other in the plan's order, and keeps how they ended. */
export class Hooks {
  private readonly ended = new Map<string, HookResult>();

  constructor(
    private readonly run: RunContext,
    private readonly set: HookSet | undefined,
  ) {}

  /** How those ended that ran, the last time that they did; undefined where there are none. */
  get results(): HookResult[] | undefined {
    return this.ended.size === 0 ? undefined : [...this.ended.values()];
  }

  has(at: HookPlace): boolean {
    return this.set?.hooks.some(({ hook }) => hook.at === at) === true;
  }

  /**
   * Runs those of a place. One that has succeeded before is not run again, so that this may be tried again.
   * @throws ApplicationFailure HookFailed, at the first required one that fails
   */
  async require(at: HookPlace, vms: HookVm[], vm?: string): Promise<void> {
    for (const one of this.at(at)) {
      const result = await this.runOnce(one, vms, vm);
      if (!result.ok && result.required)
        throw ApplicationFailure.nonRetryable(failureText(result), 'HookFailed');
    }
  }

  /** Runs those of a place where nothing can be taken back any more: whoever reads the result sees which failed. */
  async runAll(at: HookPlace, vms: HookVm[]): Promise<void> {
    for (const one of this.at(at)) await this.runOnce(one, vms);
  }

  private at(at: HookPlace): HookSet['hooks'] {
    return (this.set?.hooks ?? []).filter(({ hook }) => hook.at === at);
  }

  private async runOnce(
    { hook, index }: HookSet['hooks'][number],
    vms: HookVm[],
    vm?: string,
  ): Promise<HookResult> {
    const { run, planned, outputBytes } = this.set as HookSet;
    const id = [this.run.runId, `hooks[${index}]`, ...(vm === undefined ? [] : [vm])].join(':');
    const before = this.ended.get(id);
    if (before?.ok === true) return before;
    const facts: HookFacts = {
      ...{ version: 1, id, plan: this.run.plan, runId: this.run.runId, run },
      ...(planned === true ? { planned } : {}),
      at: hook.at,
      ...(vm === undefined ? {} : { vm }),
      vms,
    };
    const startedAt = new Date();
    let result: HookResult;
    try {
      const proxy = hook.proxy === 'backup' ? backupProxy : awsProxy;
      result = await proxy.runHook({
        ...{ run: this.run, hook, index, facts, outputBytes },
        ...(vm === undefined ? {} : { vm }),
      });
    } catch (error) {
      if (isCancellation(error)) throw error;
      result = {
        ...{ id, at: hook.at, index, required: hook.required === true, ok: false, output: '' },
        ...(vm === undefined ? {} : { vm }),
        what: hook.command?.[0] ?? `${hook.http?.method ?? 'POST'} by http`,
        reason: causeMessage(error),
        startedAt: startedAt.toISOString(),
        seconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
      };
    }
    // The last time that it ran is the last in the list.
    this.ended.delete(id);
    this.ended.set(id, result);
    return result;
  }
}

/** Characters of the output that a failure repeats. */
const SHOWN_OUTPUT = 500;

function failureText({ at, index, vm, what, reason = 'It failed.', output }: HookResult): string {
  const said = output.trim().slice(-SHOWN_OUTPUT);
  return (
    `The hook hooks[${index}] (${at}${vm === undefined ? '' : ` of ${vm}`}, ${what}) is required, and failed: ${reason}` +
    (said === '' ? '' : ` It said: ${said}`)
  );
}

/** An instance as hooks are told of it. */
export const hookVm = ({
  vm,
  privateAddress,
  publicAddress,
  instanceId,
  instanceType,
}: {
  vm: string;
  privateAddress: string;
  publicAddress?: string;
  instanceId: string;
  instanceType: string;
}): HookVm => ({
  ...{ vm, address: privateAddress, instanceId, instanceType },
  ...(publicAddress === undefined ? {} : { publicAddress }),
});
