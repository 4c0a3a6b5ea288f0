import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  log,
  ParentClosePolicy,
  patched,
  sleep,
  startChild,
  workflowInfo,
  WorkflowIdReusePolicy,
} from '@temporalio/workflow';
import { type Notice, type NoticeEvent, type NotifyReceiver, type NotifyRequest } from '../../plan/notices';
import { printable } from '../../plan/printable';
import { type DrPlan } from '../../plan/schema';
import { noticeWorkflowId } from './ids';
import { phaseAttribute, planAttribute } from './messages';

/** What a notice says beside who tells it, and when. */
export type Said = Pick<Notice, 'text' | 'todo' | 'standing' | 'vms'> & { facts?: Notice['facts'] };

/** As long as a person reads, on one line. */
const TEXT_CHARACTERS = 500;
/** Names in a notice; a plan may have thousands. */
const NAMED_VMS = 50;
/** What begins to wait within so long of another is told with those that follow, so that a fault of all VMs is not told a thousand times. */
const TOGETHER = '1 minute';

/** Whom this run tells, of what. Each workflow has these for itself. */
let told: { plan: string; digest: string; receivers: NotifyReceiver[] } | undefined;
const starting = new Set<Promise<void>>();
const gathered = new Map<Waits, { items: Gathered[]; open: boolean; count: number }>();

/** What begins to wait for a person. */
type Waits = 'needs-attention' | 'needs-approval';

interface Gathered {
  /** The VM, or undefined where it is the run itself. */
  vm?: string;
  text: string;
}

/** Says whose receivers this run tells from now on. */
export function tellPeopleOf(plan: DrPlan, digest: string): void {
  told = { plan: plan.name, digest, receivers: plan.notify ?? [] };
}

/**
 * Has people told, by a workflow of its own that goes on when this one has ended: nothing waits for a receiver. Nothing is done for
 * plans that tell nobody.
 * @param of tells it from others of this run; the same is told once
 */
export function tell(event: NoticeEvent, of: string, { text, todo, facts = {}, ...said }: Said): void {
  const receivers = receiversOf(event);
  if (told === undefined || receivers.length === 0) return;
  const { workflowType, workflowId, firstExecutionRunId: runId } = workflowInfo();
  const { vms, ...rest } = said;
  const notice: Notice = {
    id: `${runId}-${of}`,
    event,
    plan: told.plan,
    at: new Date().toISOString(),
    text: oneLine(text),
    ...(todo === undefined ? {} : { todo }),
    ...rest,
    ...(vms === undefined ? {} : { vms: vms.slice(0, NAMED_VMS), vmCount: vms.length }),
    run: { type: workflowType, workflowId, runId, digest: told.digest },
    facts,
  };
  const started = start({ notice, receivers });
  starting.add(started);
  void started.finally(() => starting.delete(started));
}

function receiversOf(event: NoticeEvent): NotifyReceiver[] {
  const receivers = told?.receivers.filter(({ on }) => on === undefined || on.includes(event)) ?? [];
  // Plans of before have no receivers; this is for a run that an earlier control worker began with a plan that has.
  return receivers.length === 0 || patched('notices') ? receivers : [];
}

/** What of a failure people are told. The lines that follow the first are a guest's console. */
export const oneLine = (text: string): string =>
  printable((text.split('\n', 1)[0] ?? '').replace(/ The console's end:$/, '')).slice(0, TEXT_CHARACTERS);

/** That nobody can be told is told where the run's log goes, and stops nothing. */
async function start(request: NotifyRequest): Promise<void> {
  const { notice } = request;
  try {
    await CancellationScope.nonCancellable(() =>
      startChild<(request: NotifyRequest) => Promise<unknown>>('notify', {
        args: [request],
        workflowId: noticeWorkflowId(notice.plan, notice.id),
        workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `Tell people: ${notice.event} of plan ${notice.plan}`,
        typedSearchAttributes: [
          { key: planAttribute, value: notice.plan },
          { key: phaseAttribute, value: 'starting' },
        ],
      }),
    );
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError))
      log.error('people could not be told', { event: notice.event, error });
  }
}

/** The run's last word: what was to be told is on its way, and outlives it. */
export async function peopleTold(): Promise<void> {
  for (const event of gathered.keys()) tellGathered(event);
  await Promise.all(starting);
}

/** Something waits for a person. The first is told at once, and what follows within a minute together. */
export function tellThatWaits(event: Waits, item: Gathered): void {
  if (receiversOf(event).length === 0) return;
  const of = gathered.get(event) ?? { items: [], open: false, count: 0 };
  gathered.set(event, of);
  of.items.push(item);
  if (of.open) return;
  of.open = true;
  void tellUntilNoMore(event);
}

async function tellUntilNoMore(event: Waits): Promise<void> {
  const of = gathered.get(event);
  // What comes in the same moment is one notice.
  await Promise.resolve();
  while (of !== undefined && of.items.length > 0) {
    tellGathered(event);
    await CancellationScope.nonCancellable(() => sleep(TOGETHER));
  }
  if (of !== undefined) of.open = false;
}

function tellGathered(event: Waits): void {
  const of = gathered.get(event);
  if (of === undefined || of.items.length === 0) return;
  const items = of.items.splice(0);
  of.count++;
  const [first] = items;
  const vms = items.flatMap(({ vm }) => vm ?? []);
  const more = items.length - 1;
  tell(event, `${event}-${of.count}`, {
    text: `${first?.text ?? ''}${more > 0 ? ` (and ${more} more)` : ''}`,
    todo: TODO[event](told?.plan ?? 'PLAN'),
    ...(vms.length === 0 ? {} : { vms }),
    facts: { waiting: items.length },
  });
}

const TODO: Record<Waits, (plan: string) => string> = {
  'needs-attention': (plan) =>
    `See lifeboat status ${plan}; mend what is told, then: lifeboat retry ${plan}.`,
  'needs-approval': (plan) => `See lifeboat status ${plan}; then: lifeboat approve ${plan}.`,
};
