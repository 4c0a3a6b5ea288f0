import { setCurrentDetails, setHandler, upsertSearchAttributes } from '@temporalio/workflow';
import {
  type AwaitedApproval,
  AWAITS_APPROVAL,
  type Decision,
  KEPT,
  NEEDS_ATTENTION,
  PAUSED,
  phaseAttribute,
  planAttribute,
  type RunStatus,
  statusQuery,
  troubleSignal,
  TRYING_AGAIN,
  vmPhaseSignal,
  type VmStatus,
} from './messages';
import { tellThatWaits } from './notices';

/** A table cell cannot hold a pipe or a line break. */
const cell = (text: string): string => text.replace(/\|/g, '\\|').replace(/\s+/g, ' ');

/** As many rows as a person looks through. */
const SHOWN_VMS = 50;

/** What a person reads in the Web UI. Of a plan too large for that, what needs somebody and what goes on, and the number of the rest. */
export function markdown(status: RunStatus): string {
  const { phase, problem, trouble, needsAttention, vms } = status;
  const shown = vms.length <= SHOWN_VMS ? vms : [...vms].sort(byInterest).slice(0, SHOWN_VMS);
  const rows = shown.map(({ vm, phase, detail, trouble, since }) => {
    const details = [detail, trouble ?? ''].filter((text) => text !== '').join('; ');
    return `| ${[vm, phase, details, since.slice(11, 19)].map(cell).join(' | ')} |`;
  });
  return [
    `**${phase}**${problem === undefined ? '' : ` ${NEEDS_ATTENTION}: ${cell(problem)}`}`,
    ...(trouble === undefined ? [] : ['', cell(trouble)]),
    ...(needsAttention ? ['', HINT] : []),
    ...decisionLines(status),
    ...keptLines(status),
    ...(shown.length < vms.length ? ['', `${counts(vms)}. The ${SHOWN_VMS} that matter most:`] : []),
    '',
    '| VM | phase | detail | since (UTC) |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n');
}

/** What needs a person first, then what is in trouble, then what changed last. */
function byInterest(one: VmStatus, other: VmStatus): number {
  const rank = ({ phase, trouble }: VmStatus): number =>
    phase === NEEDS_ATTENTION ? 0 : trouble !== undefined ? 1 : 2;
  return rank(one) - rank(other) || (one.since < other.since ? 1 : one.since > other.since ? -1 : 0);
}

/** Such as `1000 VMs: 812 ready, 188 booting`, the most frequent phase first. */
function counts(vms: VmStatus[]): string {
  const byPhase = new Map<string, number>();
  for (const { phase } of vms) byPhase.set(phase, (byPhase.get(phase) ?? 0) + 1);
  const phases = [...byPhase].sort(([, one], [, other]) => other - one);
  return `${vms.length} VMs: ${phases.map(([phase, count]) => `${count} ${cell(phase)}`).join(', ')}`;
}

const HINT =
  'Mend what is told, then send the update `retry` with `{}`, or `lifeboat retry PLAN`. Cancel the run to take it back.';

/** What waits for whom, since when, and how it is answered. */
function decisionLines({ awaited = [], paused }: RunStatus): string[] {
  return [
    ...awaited.flatMap(({ gate, answer, what, since }) => [
      '',
      `**${gate}** waits for approval since ${since.slice(0, 19).replace('T', ' ')} UTC, to ${cell(what)}. Send the update \`approve\` ` +
        `with \`${JSON.stringify({ ...answer, by: 'your name', why: 'the reason' })}\`, or \`lifeboat approve\`.`,
    ]),
    ...(paused === undefined
      ? []
      : [
          '',
          `**Paused** since ${paused.at.slice(0, 19).replace('T', ' ')} UTC by ${cell(paused.by)}: ${cell(paused.why)}. What is under way goes on; ` +
            'no further VM boots, and DNS does not move. Send the update `resume`, or `lifeboat resume`.',
        ]),
  ];
}

function keptLines({ kept }: RunStatus): string[] {
  return kept === undefined
    ? []
    : [
        '',
        `**Kept** until ${kept.until.slice(0, 19).replace('T', ' ')} UTC; then all of it is removed. To end it before, send the update \`endTest\` ` +
          'with `{"by": "your name", "why": "the reason"}`, or `lifeboat test end`.',
      ];
}

/**
 * Keeps what a run is doing where people look: the Web UI's current details, the search attributes, and the
 * `status` query. VMs report through the `vmPhase` signal.
 */
export class RunProgress {
  private readonly status: RunStatus;
  private shownPhase: string | undefined;
  private showing = false;
  private readonly rows: ReadonlyMap<string, VmStatus>;
  /** VMs of which nothing is told any more: a signal may be late. */
  private readonly ended = new Set<string>();

  constructor(plan: string, vms: string[]) {
    const since = new Date().toISOString();
    this.status = {
      phase: 'starting',
      needsAttention: false,
      vms: vms.map((vm) => ({ vm, phase: 'waiting', detail: '', since })),
    };
    this.rows = new Map(this.status.vms.map((row) => [row.vm, row]));
    setHandler(statusQuery, () => this.status);
    setHandler(vmPhaseSignal, (report) => this.vm(report.vm, report.phase, report.detail));
    setHandler(troubleSignal, ({ vm, text }) => this.trouble(vm, text));
    upsertSearchAttributes([{ key: planAttribute, value: plan }]);
    this.phase('starting');
  }

  /** The run as a whole entered a phase. */
  phase(phase: string): void {
    this.status.phase = phase;
    delete this.status.trouble;
    this.show();
  }

  /** The run's own step waits for a person, or (undefined) does not any more. */
  problem(problem: string | undefined): void {
    if (problem !== undefined && this.status.problem === undefined)
      tellThatWaits('needs-attention', { text: `The run waits for a person: ${problem}` });
    this.status.problem = problem;
    this.show();
  }

  /** A VM entered a phase. */
  vm(vm: string, phase: string, detail = ''): void {
    const row = this.rows.get(vm);
    if (!row || this.ended.has(vm)) return;
    // What goes on beside a failed step does not hide it.
    if (row.phase === NEEDS_ATTENTION && phase !== NEEDS_ATTENTION && phase !== TRYING_AGAIN) return;
    if (phase === NEEDS_ATTENTION && row.phase !== NEEDS_ATTENTION)
      tellThatWaits('needs-attention', { vm, text: `${vm} waits for a person: ${detail}` });
    Object.assign(row, { phase, detail, since: new Date().toISOString() } satisfies Omit<VmStatus, 'vm'>);
    delete row.trouble;
    this.show();
  }

  /** A VM entered its last phase. */
  end(vm: string, phase: string, detail: string): void {
    this.vm(vm, phase, detail);
    this.ended.add(vm);
  }

  /** The VM is left out: from now on nobody else tells of it. */
  leaveOut(vm: string, phase: string, detail: string): void {
    this.ended.add(vm);
    const row = this.rows.get(vm);
    if (!row) return;
    Object.assign(row, { phase, detail, since: new Date().toISOString() } satisfies Omit<VmStatus, 'vm'>);
    delete row.trouble;
    this.show();
  }

  /** What of the run waits for people's decisions. */
  decisions({ awaited, paused }: { awaited: AwaitedApproval[]; paused: Decision | undefined }): void {
    const known = new Set(this.status.awaited?.map(({ gate }) => gate));
    for (const { gate, answer, what } of awaited)
      if (!known.has(gate))
        tellThatWaits('needs-approval', {
          text: `${gate} waits for approval, to ${what}.`,
          ...('vm' in answer ? { vm: answer.vm } : {}),
        });
    this.status.awaited = awaited.length === 0 ? undefined : awaited;
    this.status.paused = paused;
    this.show();
  }

  /** A test that is ready stays up, or (undefined) does not any more. */
  kept(kept: RunStatus['kept']): void {
    this.status.kept = kept;
    this.show();
  }

  /** An activity of a VM, or of the run itself, keeps failing. It is of the present phase, and ends with it. */
  private trouble(vm: string | undefined, text: string): void {
    if (vm !== undefined && this.ended.has(vm)) return;
    const row = this.rows.get(vm ?? '') ?? this.status;
    row.trouble = text;
    this.show();
  }

  /** Names of the VMs that wait for a person. */
  get waitingVms(): string[] {
    return this.status.vms.filter(({ phase }) => phase === NEEDS_ATTENTION).map(({ vm }) => vm);
  }

  /** Names of the VMs of which something goes on: they neither wait, nor have ended. */
  get busyVms(): string[] {
    return this.status.vms
      .filter(({ vm, phase }) => phase !== 'waiting' && phase !== NEEDS_ATTENTION && !this.ended.has(vm))
      .map(({ vm }) => vm);
  }

  /** Phase that the VM is in. */
  phaseOf(vm: string): string | undefined {
    return this.rows.get(vm)?.phase;
  }

  /** What people search runs by: first what waits for somebody. */
  private shownValue(): string {
    const { needsAttention, awaited, paused, kept, phase } = this.status;
    if (needsAttention) return NEEDS_ATTENTION;
    if (awaited !== undefined) return AWAITS_APPROVAL;
    if (paused !== undefined) return PAUSED;
    return kept === undefined ? phase : KEPT;
  }

  private show(): void {
    this.status.needsAttention = this.status.problem !== undefined || this.waitingVms.length > 0;
    const value = this.shownValue();
    // Each write is an event of its own in the history, so only what is new is written.
    if (value !== this.shownPhase) upsertSearchAttributes([{ key: phaseAttribute, value }]);
    this.shownPhase = value;
    // Of all that is told at one time, as signals of many VMs are, one picture is drawn.
    if (this.showing) return;
    this.showing = true;
    void Promise.resolve().then(() => {
      this.showing = false;
      setCurrentDetails(markdown(this.status));
    });
  }
}
