import { type Client } from '@temporalio/client';
import { type LoadedDataConverter, type ProtoFailure } from '@temporalio/common';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow';
import { authenticatedAs } from './principal';
import { readableFailure } from '../../readable-failure';

/** The history of a run and of its children, as a Temporal server keeps it: what was asked for, when, of whom, and what came of it. */

type Page = Awaited<ReturnType<Client['workflowService']['getWorkflowExecutionHistory']>>;
type HistoryEvent = NonNullable<NonNullable<Page['history']>['events']>[number];
type Payloads = Parameters<typeof decodeArrayFromPayloads>[1];

/** An activity. */
export interface HistoryStep {
  activity: string;
  label: string;
  /** ISO 8601, UTC. */
  from: string;
  to: string | undefined;
  tries: number;
  outcome: 'done' | 'failed' | 'timed out' | 'cancelled' | 'unfinished';
  /** Of the last try that failed. */
  error: string | undefined;
  errorType: string | undefined;
  worker: string | undefined;
  /** What it was asked with, and what it gave; of any origin. */
  input: unknown;
  result: unknown;
}

/** What somebody has sent. */
export interface HistoryMessage {
  name: string;
  at: string;
  input: unknown;
  sentBy: string | undefined;
  /** See {@link authenticatedAs}. */
  authenticatedAs?: string | undefined;
}

export interface HistoryChild {
  workflowId: string;
  runId: string;
  type: string;
  result: unknown;
  failure: string | undefined;
}

export interface WorkflowHistory {
  events: number;
  startedAt: string;
  startedBy: string | undefined;
  /** See {@link authenticatedAs}. */
  startedAs?: string | undefined;
  /** Its one argument. */
  argument: unknown;
  steps: HistoryStep[];
  /** Updates that were accepted. */
  updates: HistoryMessage[];
  /** When it was asked to cancel, and by whom. */
  cancelRequest: HistoryMessage | undefined;
  children: HistoryChild[];
  /** SDKs that worked on it, such as `temporal-typescript 1.24.0`. */
  sdks: string[];
}

/** Reads one history. @param events in their order; none is kept, as a plan of a thousand VMs makes ten thousand and more */
export async function readHistory(
  events: Iterable<HistoryEvent> | AsyncIterable<HistoryEvent>,
  converter: LoadedDataConverter,
): Promise<WorkflowHistory> {
  const first = async (payloads: Payloads): Promise<unknown> =>
    (await decodeArrayFromPayloads(converter, payloads))[0];
  const failureOf = (failure: ProtoFailure): Promise<ProtoFailure> => readableFailure(converter, failure);
  const found: WorkflowHistory = {
    ...{ events: 0, startedAt: timeOf(undefined), startedBy: undefined, startedAs: undefined },
    argument: undefined,
    ...{ steps: [], updates: [], children: [], sdks: [], cancelRequest: undefined },
  };
  const steps = new Map<string, HistoryStep>();
  const children = new Map<string, HistoryChild>();
  for await (const event of events) {
    found.events++;
    const started = event.workflowExecutionStartedEventAttributes;
    if (started) {
      found.startedAt = timeOf(event);
      found.startedBy = started.identity ?? undefined;
      found.startedAs = authenticatedAs(event);
      found.argument = await first(started.input?.payloads);
    }
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled) {
      const activity = scheduled.activityType?.name ?? '';
      const summary = event.userMetadata?.summary;
      const label = summary ? await first([summary]) : undefined;
      const step: HistoryStep = {
        ...{ activity, label: typeof label === 'string' ? label : activity },
        ...{ from: timeOf(event), to: undefined, tries: 0, outcome: 'unfinished' },
        ...{ error: undefined, errorType: undefined, worker: undefined, result: undefined },
        input: await first(scheduled.input?.payloads),
      };
      steps.set(String(event.eventId), step);
      found.steps.push(step);
    }
    await readActivityEvent(event, steps, first, failureOf);
    const child = event.childWorkflowExecutionStartedEventAttributes;
    if (child) {
      const one: HistoryChild = {
        workflowId: child.workflowExecution?.workflowId ?? '',
        runId: child.workflowExecution?.runId ?? '',
        type: child.workflowType?.name ?? '',
        ...{ result: undefined, failure: undefined },
      };
      children.set(String(event.eventId), one);
      found.children.push(one);
    }
    await readChildEvent(event, children, first, failureOf);
    const update = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest;
    if (update)
      found.updates.push({
        name: update.input?.name ?? '',
        at: timeOf(event),
        input: await first(update.input?.args?.payloads),
        sentBy: update.meta?.identity ?? undefined,
        authenticatedAs: authenticatedAs(event),
      });
    const cancel = event.workflowExecutionCancelRequestedEventAttributes;
    if (cancel)
      found.cancelRequest ??= {
        ...{ name: 'cancel', at: timeOf(event), input: undefined },
        sentBy: cancel.identity ?? undefined,
        authenticatedAs: authenticatedAs(event),
      };
    const sdk = event.workflowTaskCompletedEventAttributes?.sdkMetadata;
    if (sdk?.sdkName && sdk.sdkVersion) {
      const named = `${sdk.sdkName} ${sdk.sdkVersion}`;
      if (!found.sdks.includes(named)) found.sdks.push(named);
    }
  }
  return found;
}

type First = (payloads: Payloads) => Promise<unknown>;
type FailureOf = (failure: ProtoFailure) => Promise<ProtoFailure>;

async function readActivityEvent(
  event: HistoryEvent,
  steps: ReadonlyMap<string, HistoryStep>,
  first: First,
  failureOf: FailureOf,
): Promise<void> {
  const started = event.activityTaskStartedEventAttributes;
  if (started) {
    const step = steps.get(String(started.scheduledEventId));
    if (step === undefined) return;
    step.tries = started.attempt ?? 1;
    step.worker = started.identity ?? undefined;
    if (started.lastFailure) noteFailure(step, await failureOf(started.lastFailure));
    return;
  }
  const completed = event.activityTaskCompletedEventAttributes;
  const failed = event.activityTaskFailedEventAttributes;
  const timedOut = event.activityTaskTimedOutEventAttributes;
  const cancelled = event.activityTaskCanceledEventAttributes;
  const ended = completed ?? failed ?? timedOut ?? cancelled;
  const step = steps.get(String(ended?.scheduledEventId));
  if (!ended || step === undefined) return;
  step.to = timeOf(event);
  if (completed) {
    step.outcome = 'done';
    step.result = await first(completed.result?.payloads);
  } else if (failed?.failure) {
    step.outcome = 'failed';
    noteFailure(step, await failureOf(failed.failure));
  } else if (timedOut) {
    step.outcome = 'timed out';
    if (timedOut.failure) noteFailure(step, await failureOf(timedOut.failure));
  } else step.outcome = 'cancelled';
}

function noteFailure(step: HistoryStep, failure: ProtoFailure): void {
  let innermost = failure;
  while (innermost.cause) innermost = innermost.cause;
  step.error = innermost.message || failure.message || 'no reason given';
  step.errorType = innermost.applicationFailureInfo?.type ?? undefined;
}

async function readChildEvent(
  event: HistoryEvent,
  children: ReadonlyMap<string, HistoryChild>,
  first: First,
  failureOf: FailureOf,
): Promise<void> {
  const completed = event.childWorkflowExecutionCompletedEventAttributes;
  const failed = event.childWorkflowExecutionFailedEventAttributes;
  const ended =
    completed ??
    failed ??
    event.childWorkflowExecutionCanceledEventAttributes ??
    event.childWorkflowExecutionTerminatedEventAttributes ??
    event.childWorkflowExecutionTimedOutEventAttributes;
  const child = children.get(String(ended?.startedEventId));
  if (!ended || child === undefined) return;
  if (completed) child.result = await first(completed.result?.payloads);
  else {
    let innermost = failed?.failure && (await failureOf(failed.failure));
    while (innermost?.cause) innermost = innermost.cause;
    child.failure = innermost?.message ?? 'it was cancelled, or ended from outside';
  }
}

/** @returns ISO 8601, UTC, to the millisecond */
function timeOf(event: HistoryEvent | undefined): string {
  const { seconds, nanos } = event?.eventTime ?? {};
  return new Date(Number(seconds ?? 0) * 1000 + Math.floor((nanos ?? 0) / 1e6)).toISOString();
}

/** A history, of which one page is in memory at a time. */
async function* eventsOf(client: Client, workflowId: string, runId: string): AsyncGenerator<HistoryEvent> {
  const { namespace } = client.options;
  let nextPageToken: Uint8Array | undefined;
  do {
    const page: Page = await client.workflowService.getWorkflowExecutionHistory({
      namespace,
      execution: { workflowId, runId },
      ...(nextPageToken === undefined ? {} : { nextPageToken }),
    });
    yield* page.history?.events ?? [];
    nextPageToken = page.nextPageToken ?? undefined;
  } while (nextPageToken !== undefined && nextPageToken.length > 0);
}

/** Children whose histories are read at one time. */
const CHILDREN_AT_ONCE = 8;

/** A run with its children, those of a VM by its name. */
export interface RunHistory {
  run: WorkflowHistory;
  children: { of: HistoryChild; vm: string | undefined; history: WorkflowHistory }[];
}

/** Asks a Temporal server for a run that is under way, and for its children. @throws ServiceError where it does not answer */
export async function fetchRunHistory(
  client: Client,
  workflowId: string,
  runId: string,
): Promise<RunHistory> {
  const converter = client.options.loadedDataConverter;
  const fetch = (id: string, execution: string): Promise<WorkflowHistory> =>
    readHistory(eventsOf(client, id, execution), converter);
  const run = await fetch(workflowId, runId);
  const children: RunHistory['children'] = [];
  // What keeps the VMs off at home outlives the run, and is none of its steps.
  const left = run.children.filter(({ type }) => type !== 'fence');
  const work = async (): Promise<void> => {
    for (let of = left.shift(); of !== undefined; of = left.shift()) {
      const vm = of.workflowId.startsWith(`${workflowId}:`)
        ? of.workflowId.slice(workflowId.length + 1)
        : undefined;
      children.push({ of, vm, history: await fetch(of.workflowId, of.runId) });
    }
  };
  await Promise.all(Array.from({ length: CHILDREN_AT_ONCE }, work));
  return { run, children };
}
