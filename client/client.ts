import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow';
import { type PointChoice } from '../plan/lines';
import { askerOf } from '../workflows/run/asker';
import { type RetryRequest } from '../workflows/run/messages';
import { type FailoverMode, workflowId as idOf, type WorkflowType } from '../workflows/run/ids';
import { TASK_TIMEOUT } from '../workflows/run/task-timeout';
import { authenticatedAs } from '../activities/control/evidence/principal';
import { CONTROL_QUEUE } from '../activities/task-queues';
import { connect, type ConnectOptions } from './connect';
import { type RunDecisions, runDecisions } from './decisions';
import { AlreadyRunningError, NotWaitingError } from './errors';
import { type LifeboatRun, type RunAsker, runOf } from './run';
import { updateRun } from './run-updates';
import { type RunArgument, type RunArguments, runSummary } from './run-types';
import { checkSchedules } from './check-schedules';
import { replicationSchedules, type PlanSchedules } from './schedules';
import { testSchedules, type TestSchedules } from './test-schedules';

export interface LifeboatClientOptions extends ConnectOptions {
  /** A client of Temporal to use; without it, one is made from the environment, and closed by {@link LifeboatClient.close}. */
  client?: Client;
}

/** Starts and follows the runs of DR plans. The plan must have been published to its backup repository before. */
export interface LifeboatClient {
  readonly temporal: Client;
  readonly namespace: string;
  /** Of replication. */
  readonly schedules: PlanSchedules;
  readonly checkSchedules: PlanSchedules;
  /** Of test failovers. */
  readonly testSchedules: TestSchedules;
  /** Approve, pause, resume, skip; what cancelling would take back. */
  readonly decisions: RunDecisions;

  /**
   * Starts a run.
   * @throws AlreadyRunningError where one of this kind is under way for the plan
   */
  start<Type extends WorkflowType>(type: Type, argument: RunArguments[Type]): Promise<LifeboatRun<Type>>;
  /** The run of this kind that is under way for the plan, or undefined. */
  attach<Type extends WorkflowType>(
    type: Type,
    which: { plan: string; mode?: FailoverMode },
  ): Promise<LifeboatRun<Type> | undefined>;

  backup(argument: RunArguments['backup']): Promise<LifeboatRun<'backup'>>;
  restore(argument: RunArguments['restore']): Promise<LifeboatRun<'restore'>>;
  replicate(argument: RunArguments['replication']): Promise<LifeboatRun<'replication'>>;
  failover(argument: RunArguments['failover']): Promise<LifeboatRun<'failover'>>;
  failback(argument: RunArguments['failback']): Promise<LifeboatRun<'failback'>>;
  commit(argument: RunArguments['commit']): Promise<LifeboatRun<'commit'>>;
  undo(argument: RunArguments['undo']): Promise<LifeboatRun<'undo'>>;
  verify(argument: RunArguments['verify']): Promise<LifeboatRun<'verify'>>;
  prune(argument: RunArguments['prune']): Promise<LifeboatRun<'prune'>>;
  checkDnsRecords(argument: RunArguments['checkDnsRecords']): Promise<LifeboatRun<'checkDnsRecords'>>;
  lowerDnsTtls(argument: RunArguments['lowerDnsTtls']): Promise<LifeboatRun<'lowerDnsTtls'>>;
  restoreDnsTtls(argument: RunArguments['restoreDnsTtls']): Promise<LifeboatRun<'restoreDnsTtls'>>;
  check(argument: RunArguments['check']): Promise<LifeboatRun<'check'>>;
  /** Sends a test to each of the plan's receivers. */
  tryNotices(argument: RunArguments['tryNotices']): Promise<LifeboatRun<'tryNotices'>>;

  /**
   * Tells the plan's failover or failback to go on with what waits for a person, who has mended what was wrong.
   * @returns the run, and the VMs that go on
   * @throws NotWaitingError
   */
  retry(plan: string, request?: RetryRequest): Promise<{ run: LifeboatRun; vms: string[] }>;

  close(): Promise<void>;
}

/**
 * The client for other services and for the `lifeboat` command.
 * @throws CannotConnectError
 */
export async function lifeboatClient(options: LifeboatClientOptions = {}): Promise<LifeboatClient> {
  const temporal = options.client ?? (await connect(options));

  async function start<Type extends WorkflowType>(
    type: Type,
    argument: RunArguments[Type],
  ): Promise<LifeboatRun<Type>> {
    const { plan, mode } = argument as RunArgument & { mode?: FailoverMode };
    const workflowId = idOf(plan, type, mode);
    try {
      const { firstExecutionRunId: runId } = await temporal.workflow.start(type, {
        workflowId,
        taskQueue: CONTROL_QUEUE,
        workflowTaskTimeout: TASK_TIMEOUT,
        args: [argument],
        staticSummary: runSummary(type, plan, mode),
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
      });
      return runOf(temporal, type, argument, { workflowId, runId, attached: false });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      const running = await attach(type, { plan, mode });
      // It ended between the two calls: the way is free.
      if (running === undefined) return start(type, argument);
      throw new AlreadyRunningError(workflowId, running.runId, running.digest);
    }
  }

  async function attach<Type extends WorkflowType>(
    type: Type,
    { plan, mode }: { plan: string; mode?: FailoverMode },
  ): Promise<LifeboatRun<Type> | undefined> {
    const workflowId = idOf(plan, type, mode);
    try {
      const { runId, status } = await temporal.workflow.getHandle(workflowId).describe();
      if (status.name !== 'RUNNING') return undefined;
      const argument = await argumentOf(temporal, workflowId, runId);
      return runOf(temporal, type, { plan, ...argument }, { workflowId, runId, attached: true });
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  }

  async function retry(
    plan: string,
    request: RetryRequest = {},
  ): Promise<{ run: LifeboatRun; vms: string[] }> {
    const run =
      (await attach('failover', { plan, mode: 'disaster' })) ?? (await attach('failback', { plan }));
    if (run === undefined)
      throw new NotWaitingError(`The plan ${plan} has no failover or failback under way that could go on.`);
    const { vms } = await updateRun<{ vms: string[] }, RetryRequest>(temporal, run, 'retry', request);
    return { run, vms };
  }

  return {
    temporal,
    namespace: temporal.options.namespace,
    schedules: replicationSchedules(temporal),
    checkSchedules: checkSchedules(temporal),
    testSchedules: testSchedules(temporal),
    decisions: runDecisions(temporal, attach),
    start,
    attach,
    backup: (argument) => start('backup', argument),
    restore: (argument) => start('restore', argument),
    replicate: (argument) => start('replication', argument),
    failover: (argument) => start('failover', argument),
    failback: (argument) => start('failback', argument),
    commit: (argument) => start('commit', argument),
    undo: (argument) => start('undo', argument),
    verify: (argument) => start('verify', argument),
    prune: (argument) => start('prune', argument),
    checkDnsRecords: (argument) => start('checkDnsRecords', argument),
    lowerDnsTtls: (argument) => start('lowerDnsTtls', argument),
    restoreDnsTtls: (argument) => start('restoreDnsTtls', argument),
    check: (argument) => start('check', argument),
    tryNotices: (argument) => start('tryNotices', argument),
    retry,
    async close() {
      if (options.client === undefined) await temporal.connection.close();
    },
  };
}

/**
 * Version of the plan, and recovery points, that a run was started with: in its argument, which is in the first event of its
 * history.
 */
async function argumentOf(
  temporal: Client,
  workflowId: string,
  runId: string,
): Promise<
  { digest: string | undefined; vms: string[] | undefined; askedBy: RunAsker | undefined } & PointChoice
> {
  const { history } = await temporal.workflowService.getWorkflowExecutionHistory({
    namespace: temporal.options.namespace,
    execution: { workflowId, runId },
    maximumPageSize: 1,
  });
  const started = history?.events?.[0];
  const input = started?.workflowExecutionStartedEventAttributes?.input?.payloads;
  const [argument] = await decodeArrayFromPayloads(temporal.options.loadedDataConverter, input);
  const { vms } = (argument ?? {}) as { vms?: unknown };
  const part = Array.isArray(vms) && vms.every((vm) => typeof vm === 'string') ? vms : undefined;
  const read = (field: 'digest' | 'at' | 'point'): string | undefined => {
    const value: unknown =
      typeof argument === 'object' && argument !== null
        ? (argument as Record<string, unknown>)[field]
        : undefined;
    return typeof value === 'string' ? value : undefined;
  };
  const { askedBy } = askerOf(argument);
  const known = authenticatedAs(started);
  const asker =
    askedBy === undefined && known === undefined
      ? undefined
      : { ...askedBy, ...(known === undefined ? {} : { authenticatedAs: known }) };
  return { askedBy: asker, digest: read('digest'), at: read('at'), point: read('point'), vms: part };
}
