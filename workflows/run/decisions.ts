import { condition, setHandler } from '@temporalio/workflow';
import { awsName, LINE } from './asker';
import {
  type Approval,
  type ApproveRequest,
  approveUpdate,
  type AwaitedApproval,
  type Deciding,
  type Decision,
  type Gate,
  pauseUpdate,
  resumeUpdate,
} from './messages';
import { type RunProgress } from './run-status';

/** What updates are sent with, as people are told it. */
const DECIDE = '{"by": "your name", "why": "the reason"}';
const APPROVE = '{"dns": true, "by": "your name", "why": "the reason"}';

/** What people call a gate. */
export function gateName(gate: Gate): string {
  if ('vm' in gate) return `VM ${gate.vm}`;
  if ('tier' in gate) return `tier ${gate.tier}`;
  return 'dns' in gate ? 'DNS' : 'cut-over';
}

/**
 * @param request what comes from outside, which is anything at all
 * @throws Error, with which Temporal refuses an update
 */
export function requireDeciding(request: unknown, example: string): void {
  const { by, why, as } = (request ?? {}) as Partial<Record<keyof Deciding, unknown>>;
  for (const [name, value] of Object.entries({ by, why, ...(as === undefined ? {} : { as }) }))
    if (typeof value !== 'string' || !LINE.test(value))
      throw new Error(
        `Say who decides, and why, in a line of at most 500 characters each (${name} is missing, or is none): ${example}`,
      );
}

/** What people decide of a run while it goes on: they approve what waits for that, and hold it and let it go on. */
export class Decisions {
  readonly approvals: Approval[] = [];
  private readonly awaited = new Map<string, AwaitedApproval>();
  /** How many wait at a gate. */
  private readonly waiting = new Map<string, number>();
  private paused: Decision | undefined;
  private unpausable: string | undefined;

  /** @param beforehand who has approved all of it when the run was started, and why */
  constructor(
    private readonly progress: RunProgress,
    private readonly beforehand?: Deciding,
  ) {
    setHandler(approveUpdate, (request) => this.approve(request), {
      description: `Lets what waits for approval go on: ${APPROVE}; instead of "dns", "vm", "tier" or "cutOver" as the current details say.`,
      validator: (request) => void this.gateOf(request),
    });
    setHandler(pauseUpdate, (request) => this.pause(request), {
      description: `No further VM boots, and DNS does not move; what is under way goes on: ${DECIDE}`,
      validator: (request) => {
        requireDeciding(request, DECIDE);
        if (this.paused !== undefined)
          throw new Error(`${this.paused.by} has paused this run already: ${this.paused.why}`);
        if (this.unpausable !== undefined) throw new Error(this.unpausable);
      },
    });
    setHandler(resumeUpdate, () => this.resume(), {
      description: `Lets a paused run go on: ${DECIDE}`,
      validator: (request) => {
        requireDeciding(request, DECIDE);
        if (this.paused === undefined) throw new Error('This run is not paused.');
      },
    });
  }

  /** Whether somebody holds the run. */
  get isPaused(): boolean {
    return this.paused !== undefined;
  }

  /**
   * Waits until the gate is approved, and nobody holds the run. Those who wait at the same gate wait for one approval.
   * @param what happens then, such as "move DNS to the recovery site"
   * @param until is asked whether there is no point in waiting any more; then this returns, too
   */
  async pass(gate: Gate | undefined, what: string, until: () => boolean = () => false): Promise<void> {
    if (gate !== undefined) {
      const name = gateName(gate);
      this.ask(name, gate, what);
      this.waiting.set(name, this.waitingAt(name) + 1);
      try {
        await condition(() => this.isApproved(name) || until());
      } finally {
        this.waiting.set(name, this.waitingAt(name) - 1);
        if (this.waitingAt(name) === 0 && this.awaited.delete(name)) this.tell();
      }
    }
    await condition(() => !this.isPaused || until());
  }

  /** From here on it harms to hold the run, or there is nothing left to hold. */
  refusePauses(why: string): void {
    this.unpausable = why;
  }

  private waitingAt(name: string): number {
    return this.waiting.get(name) ?? 0;
  }

  private isApproved(name: string): boolean {
    return this.approvals.some(({ gate }) => gate === name);
  }

  private ask(name: string, answer: Gate, what: string): void {
    if (this.isApproved(name) || this.awaited.has(name)) return;
    const since = new Date().toISOString();
    if (this.beforehand !== undefined) {
      const { by, why } = this.beforehand;
      this.approvals.push({ gate: name, by, ...awsName(this.beforehand), why, at: since, since });
      return;
    }
    this.awaited.set(name, { gate: name, answer, what, since });
    this.tell();
  }

  private approve(request: ApproveRequest): { gate: string } {
    const { gate, since } = this.gateOf(request);
    const { by, why } = request;
    this.approvals.push({ gate, by, ...awsName(request), why, at: new Date().toISOString(), since });
    this.awaited.delete(gate);
    this.tell();
    return { gate };
  }

  /** @throws Error where nothing waits, or not that, or it does not say which of several */
  private gateOf(request: ApproveRequest): AwaitedApproval {
    requireDeciding(request, APPROVE);
    const waiting = [...this.awaited.values()];
    const [only, other] = waiting;
    if (only === undefined) throw new Error('Nothing of this run waits for an approval.');
    const would = waiting.map(({ gate }) => gate).join(', ');
    const asked = namedGates(request);
    if (asked.length > 1) throw new Error(`Approve one at a time; what waits: ${would}.`);
    const [name] = asked;
    if (name === undefined) {
      if (other !== undefined) throw new Error(`Say which is approved; what waits: ${would}.`);
      return only;
    }
    const found = this.awaited.get(name);
    if (found === undefined) throw new Error(`${name} does not wait for an approval; what waits: ${would}.`);
    return found;
  }

  private pause(request: Deciding): { underWay: string[] } {
    const { by, why } = request;
    this.paused = { by, ...awsName(request), why, at: new Date().toISOString() };
    this.tell();
    return { underWay: this.progress.busyVms };
  }

  private resume(): void {
    this.paused = undefined;
    this.tell();
  }

  private tell(): void {
    this.progress.decisions({ awaited: [...this.awaited.values()], paused: this.paused });
  }
}

function namedGates({ vm, tier, dns, cutOver }: ApproveRequest): string[] {
  return [
    ...(vm === undefined ? [] : [gateName({ vm })]),
    ...(tier === undefined ? [] : [gateName({ tier })]),
    ...(dns === true ? [gateName({ dns })] : []),
    ...(cutOver === true ? [gateName({ cutOver })] : []),
  ];
}
