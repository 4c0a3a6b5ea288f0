import { type Hook, type HookRun } from '../../plan/hooks';
import { type RunContext } from '../../plan/run';

/** What a hook is told, as JSON; documented in docs/cli.md. */
export interface HookFacts {
  /** Of this document; rises when a field changes its meaning. */
  version: 1;
  /** The same each time that this hook of this run is tried: what has seen it before need not do it again. */
  id: string;
  plan: string;
  runId: string;
  run: HookRun;
  /** Of a failover: whether it is a planned one. */
  planned?: boolean;
  at: Hook['at'];
  /** Of `afterVmReady`. */
  vm?: string;
  /** The VMs that are up, in the plan's order; of `afterVmReady`, that one. Empty after the clean-up. */
  vms: HookVm[];
}

/** A VM as a hook is told of it. At the primary site it has but an address. */
export interface HookVm {
  vm: string;
  address: string;
  publicAddress?: string;
  instanceId?: string;
  instanceType?: string;
}

/** How a hook ended. */
export interface HookResult {
  id: string;
  at: Hook['at'];
  /** Its place in the plan's list; the first is 0. */
  index: number;
  vm?: string;
  /** The program's name, or method and URL without its query. */
  what: string;
  required: boolean;
  ok: boolean;
  /** Exit status of the program, or HTTP status; absent where it came to none. */
  status?: number;
  /** Why it counts as failed, one sentence; absent where it does not. */
  reason?: string;
  /** The end of what it printed, or of the answer's body. Lines of printable text: it may be anybody's. */
  output: string;
  /** ISO 8601, UTC. */
  startedAt: string;
  seconds: number;
}

/** What proxies of either site do for the plan's hooks. */
export interface HookActivities {
  /**
   * Runs a hook. That it fails is an answer, and no failure of the activity. It may run again where the proxy died with it.
   * @param input.outputBytes as much of the output's end is kept
   */
  runHook(input: {
    run: RunContext;
    hook: Hook;
    index: number;
    facts: HookFacts;
    outputBytes: number;
    /** For the label. */
    vm?: string;
  }): Promise<HookResult>;
}
