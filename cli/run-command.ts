import { awsCaller } from '../client/caller';
import { lifeboatClient, type LifeboatClient } from '../client/client';
import { isUnreachable } from '../client/connect';
import { AlreadyRunningError, RunFailedError } from '../client/errors';
import type * as tracesModule from '../client/traces';
import { watchRun } from '../client/progress';
import { type LifeboatRun } from '../client/run';
import { type RunArguments, type RunResults, runSummary } from '../client/run-types';
import { runLink } from '../client/web-ui';
import { messageOf } from '../host/message-of';
import { withTracePackages } from '../host/traces/optional';
import { TraceSettingsError, wantsTraces } from '../host/traces/settings';
import { whoAmI } from '../client/who-am-i';
import { type PointChoice } from '../plan/lines';
import { type FailoverMode, type WorkflowType } from '../workflows/run/ids';
import { awsName } from '../workflows/run/asker';
import { askerText } from './decision-text';
import { CliError, EXIT, type ExitCode } from './exit-codes';
import { type CliContext, type CliIo, writeJson } from './io';
import { findPlan, type PlanArgument } from './plan-argument';
import { type ProgressView, progressView } from './progress-view';
import { type CliSettings, loadSettings, sandboxDirectories } from './settings';

/** Options that all commands with a run have. */
export interface RunOptions {
  json?: boolean;
  /** False with `--no-wait`. */
  wait: boolean;
  /** Who asks for it, where it can be said by `--by`. */
  by?: string;
}

/** What distinguishes one command with a run from another. */
export interface RunCommand<Type extends WorkflowType> {
  type: Type;
  /** The argument beside plan and digest. */
  more?: Omit<RunArguments[Type], 'plan' | 'digest' | 'askedBy'>;
  mode?: FailoverMode;
  /** Recovery points that a failover is asked for: a run to others that is under way is not the one that was meant. */
  choice?: PointChoice;
  /** Options that count when a run begins, as they were typed: one that is under way goes by what it began with. */
  atBegin?: string[];
  /** What a person types, where that is not the type. */
  command?: string;
  /** The result for people. */
  text(result: RunResults[Type]): string;
  /** The exit code of a completed run whose result decides it; 0 where this is absent. */
  exitCode?(result: RunResults[Type]): ExitCode;
  /** VMs that a test is asked for: a test of others that is under way is not the one that was meant. */
  part?: string[];
  /** Before a run is started, and not where one is followed: tells what a person should know. @returns further fields of the JSON document */
  beforeStart?(plan: PlanArgument, client: LifeboatClient): Promise<object>;
}

/** The JSON document of a command with a run; documented in docs/cli.md. */
export interface RunDocument {
  command: WorkflowType;
  ok: boolean;
  plan: string;
  digest: string | null;
  run: { workflowId: string; runId: string; webUi: string | null };
  attached: boolean;
  /** `kept`: a test is ready, and stays up. */
  outcome:
    'completed' | 'failed' | 'cancelled' | 'terminated' | 'timed-out' | 'started' | 'detached' | 'kept';
  result: unknown;
  error: { message: string; type: string | null; vm: string | null; step: string | null } | null;
}

/** Settings for a command that works on a site; tells when that site is the sandbox. */
export function siteSettings(io: CliIo): CliSettings {
  const settings = loadSettings(io.env, sandboxDirectories(io.cwd));
  if (settings.sandboxFile !== undefined) io.err('using the sandbox\n');
  return settings;
}

/** Starts the run, or attaches to the one that is under way, and follows it to its end. */
export async function runCommand<Type extends WorkflowType>(
  { io, exit }: CliContext,
  command: RunCommand<Type>,
  planArgument: string,
  options: RunOptions,
): Promise<void> {
  const settings = siteSettings(io);
  const plan = await findPlan(planArgument, settings, io.cwd);
  const traces = tracesOf(io);
  const client = await lifeboatClient({
    ignoreConfigurationFile: settings.sandboxFile !== undefined,
    ...(traces === undefined ? {} : { interceptors: traces.interceptors }),
  });
  try {
    const { run, told } = await startOrAttach(client, command, plan, options.by ?? whoAmI());
    const link = runLink(settings.webUi, run.namespace, run);
    const verb = run.attached ? 'attached to' : 'started';
    io.err(
      `${runSummary(command.type, plan.plan.name, command.mode)}${pointsText(run.choice ?? {})}: ${verb} ${run.workflowId}\n`,
    );
    if (link !== undefined) io.err(`  ${link}\n`);
    if (run.attached && run.askedBy !== undefined)
      io.err(`  It was asked for by ${askerText(run.askedBy)}.\n`);
    if (run.attached && command.atBegin !== undefined && command.atBegin.length > 0)
      io.err(`  It had begun before: ${command.atBegin.join(', ')} counts only where it was given then.\n`);

    const named = command.mode === 'test' ? `${planArgument} --test` : planArgument;
    const end: RunEnd<Type> = options.wait ? await follow(io, client, run, named) : { outcome: 'started' };
    exit(exitCodeOf(command, end));
    if (options.json === true) writeJson(io, { ...runDocument(run, link, plan, end), ...told });
    tellEnd(io, command, planArgument, end, options.json === true);
  } finally {
    await client.close();
    await traces?.end();
  }
}

/** @throws CliError where OpenTelemetry's variables ask for what there is not */
function tracesOf(io: CliIo): ReturnType<typeof tracesModule.clientTraces> | undefined {
  try {
    if (!wantsTraces(io.env)) return undefined;
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- the packages of traces need not be there
    const { clientTraces } = withTracePackages(() => require('../client/traces') as typeof tracesModule);
    return clientTraces((line) => io.err(`lifeboat: ${line}\n`));
  } catch (error) {
    if (error instanceof TraceSettingsError) throw new CliError(`${error.message}.`, EXIT.badInput);
    throw error;
  }
}

async function startOrAttach<Type extends WorkflowType>(
  client: LifeboatClient,
  { type, mode, more, choice = {}, part, beforeStart }: RunCommand<Type>,
  planned: PlanArgument,
  by: string,
): Promise<{ run: LifeboatRun<Type>; told: object }> {
  const { plan, digest, byName, publish } = planned;
  const attach = async () => {
    const running = await client.attach(type, { plan: plan.name, mode });
    if (running === undefined) return undefined;
    requireSamePoints(choice, running);
    requireSamePart(part, running);
    // Asked for by name, the newest version was meant, which a run without a digest has taken, too.
    if (running.digest === digest || (byName && running.digest === undefined)) return running;
    throw alreadyRunning(running.workflowId, running.runId, running.digest);
  };
  // Before publishing: a refused command changes nothing.
  const underWay = await attach();
  if (underWay !== undefined) return { run: underWay, told: {} };
  const told = (await beforeStart?.(planned, client)) ?? {};
  const asked = ASKS_AWS.has(type) ? awsCaller(plan.recoverySite.region) : undefined;
  const [as] = await Promise.all([asked, publish()]);
  try {
    const askedBy = { by, ...awsName({ as }) };
    const argument = {
      ...withAws(more, as),
      plan: plan.name,
      digest,
      askedBy,
    } as unknown as RunArguments[Type];
    return { run: await client.start(type, argument), told };
  } catch (error) {
    if (!(error instanceof AlreadyRunningError)) throw error;
    // Somebody else was quicker by a moment.
    const running = await attach();
    if (running !== undefined) return { run: running, told: {} };
    throw error;
  }
}

/** Runs that change where the application serves, or remove what it could go back to: the ARN of whoever asks is kept with them. */
const ASKS_AWS: ReadonlySet<WorkflowType> = new Set<WorkflowType>(['failover', 'failback', 'undo', 'commit']);

/** What is approved beforehand is approved by whoever asks for the run. */
function withAws(more: object | undefined, as: string | undefined): object {
  const { approveAll } = (more ?? {}) as { approveAll?: object };
  return as === undefined || approveAll === undefined
    ? { ...more }
    : { ...more, approveAll: { ...approveAll, as } };
}

/** Whoever names no points follows what is under way, and is told to which it goes. */
function requireSamePoints(asked: PointChoice, { workflowId, runId, choice = {} }: LifeboatRun): void {
  if (asked.at === undefined && asked.point === undefined) return;
  if (asked.at === choice.at && asked.point === choice.point) return;
  throw new CliError(
    `${workflowId} is under way already, to ${pointsText(choice).trim() || 'the recovery points of the DR copies'}; wait for its end, or follow it with the same words.`,
    EXIT.alreadyRunning,
    { workflowId, runId },
  );
}

/** Whoever names no VMs follows what is under way. */
function requireSamePart(asked: string[] | undefined, { workflowId, runId, part }: LifeboatRun): void {
  if (asked === undefined || [...asked].sort().join() === [...(part ?? [])].sort().join()) return;
  throw new CliError(
    `${workflowId} is under way already, of ${part === undefined ? 'all VMs' : part.join(', ')}; wait for its end, or follow it without --vm.`,
    EXIT.alreadyRunning,
    { workflowId, runId },
  );
}

const pointsText = ({ at, point }: PointChoice): string =>
  at !== undefined ? ` --at ${at}` : point !== undefined ? ` --point ${point}` : '';

function alreadyRunning(workflowId: string, runId: string, digest: string | undefined): CliError {
  const version =
    digest === undefined
      ? 'with a version of the plan that was not named'
      : `with version ${digest.slice(0, 12)} of the plan`;
  return new CliError(
    `${workflowId} is under way already, ${version}; wait for its end, or run the command with the plan's name to follow it.`,
    EXIT.alreadyRunning,
    { workflowId, runId },
  );
}

type RunEnd<Type extends WorkflowType> =
  | { outcome: 'completed' | 'kept'; result: RunResults[Type] }
  | { outcome: 'started' | 'detached' }
  | { outcome: RunFailedError['outcome']; error: RunFailedError };

/** Shows the run until it ends or Ctrl-C detaches. */
async function follow<Type extends WorkflowType>(
  io: CliIo,
  client: LifeboatClient,
  run: LifeboatRun<Type>,
  named: string,
): Promise<RunEnd<Type>> {
  const view = progressView(io, named);
  const stop = new AbortController();
  const detached = new Promise<RunEnd<Type>>((resolve) => {
    const ignore = io.onInterrupt(() => resolve({ outcome: 'detached' }));
    stop.signal.addEventListener('abort', ignore);
  });
  const ended = run
    .result((isAway) =>
      view.note(isAway ? 'Temporal does not answer; waiting for it …' : 'Temporal answers again.'),
    )
    .then(
      (result): RunEnd<Type> => ({ outcome: 'completed', result }),
      (error: unknown): RunEnd<Type> => {
        if (error instanceof RunFailedError) return { outcome: error.outcome, error };
        throw error;
      },
    );
  // After detaching, nobody waits for the end any more, and closing the connection makes it fail.
  ended.catch(() => {});
  let tellKept: (end: RunEnd<Type>) => void = () => undefined;
  const kept = new Promise<RunEnd<Type>>((resolve) => (tellKept = resolve));
  const shown = show(client, run, view, stop.signal, (result) =>
    tellKept({ outcome: 'kept', result: result as RunResults[Type] }),
  );
  try {
    return await Promise.race([ended, detached, kept]);
  } finally {
    stop.abort();
    await shown;
    view.close();
  }
}

/** Milliseconds between tries to look at a run while the server is away. */
const AWAY_INTERVAL_MS = 1000;

async function show(
  client: LifeboatClient,
  run: LifeboatRun,
  view: ProgressView,
  signal: AbortSignal,
  onKept: (result: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const snapshot of watchRun(client.temporal, run, signal)) {
        if (signal.aborted) break;
        view.update(snapshot);
        if (snapshot.status?.kept !== undefined) return onKept(await run.handle.query('keptTest'));
      }
      return;
    } catch (error) {
      if (!isUnreachable(error)) {
        view.note(`Progress cannot be shown: ${messageOf(error)}`);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, AWAY_INTERVAL_MS));
    }
  }
}

function exitCodeOf<Type extends WorkflowType>({ exitCode }: RunCommand<Type>, end: RunEnd<Type>): ExitCode {
  if ('result' in end) return exitCode?.(end.result) ?? EXIT.ok;
  if (end.outcome === 'started') return EXIT.ok;
  return end.outcome === 'detached' ? EXIT.detached : EXIT.failed;
}

function runDocument<Type extends WorkflowType>(
  run: LifeboatRun<Type>,
  link: string | undefined,
  { plan, digest }: PlanArgument,
  end: RunEnd<Type>,
): RunDocument {
  return {
    command: run.type,
    ok: 'result' in end || end.outcome === 'started',
    plan: plan.name,
    digest: run.digest ?? (run.attached ? null : digest),
    run: { workflowId: run.workflowId, runId: run.runId, webUi: link ?? null },
    attached: run.attached,
    outcome: end.outcome,
    result: 'result' in end ? end.result : null,
    error:
      'error' in end
        ? {
            message: end.error.message,
            type: end.error.type ?? null,
            vm: end.error.vm ?? null,
            step: end.error.step ?? null,
          }
        : null,
  };
}

function tellEnd<Type extends WorkflowType>(
  io: CliIo,
  command: RunCommand<Type>,
  planArgument: string,
  end: RunEnd<Type>,
  json: boolean,
): void {
  if ('result' in end) {
    if (!json) io.out(command.text(end.result));
  } else if ('error' in end) {
    io.err(
      `lifeboat: the ${command.command ?? command.type} ${OUTCOME_WORDS[end.error.outcome]}: ${end.error.sentence}\n`,
    );
    if (LEAVES_EVIDENCE.has(command.type))
      io.err(`What it left for auditors: lifeboat evidence list ${planArgument}\n`);
    if (io.env.LIFEBOAT_DEBUG === '1') io.err(`${end.error.stack}\n${String(end.error.cause)}\n`);
  } else if (end.outcome === 'detached') {
    const again = `lifeboat ${command.command ?? command.type}${command.mode === 'test' || command.mode === 'planned' ? ` --${command.mode}` : ''}${pointsText(command.choice ?? {})} ${planArgument}`;
    io.err(
      `\nDetached; the run goes on. To follow it again: ${again}\n${takeBackHint(command, planArgument)}`,
    );
  }
}

/** Runs that leave a document whichever way they end. */
const LEAVES_EVIDENCE: ReadonlySet<WorkflowType> = new Set<WorkflowType>(['failover', 'failback', 'undo']);

/** Runs that change where the application runs are not given up by Ctrl-C, but by a command that tells what goes. */
function takeBackHint<Type extends WorkflowType>({ type, mode }: RunCommand<Type>, plan: string): string {
  if (type !== 'failover' && type !== 'failback') return '';
  return `To take it back, after being told what goes: lifeboat cancel${mode === 'test' ? ' --test' : ''} ${plan}\n`;
}

const OUTCOME_WORDS: Record<RunFailedError['outcome'], string> = {
  failed: 'failed',
  cancelled: 'was cancelled',
  terminated: 'was terminated',
  'timed-out': 'timed out',
};
