import { performance } from 'node:perf_hooks';
import { type EC2Client } from '@aws-sdk/client-ec2';
import { cancellationSignal, sleep } from '@temporalio/activity';
import { forEachBounded } from '../../../blocks/pipeline';
import { type RepositoryAddress, type RunContext } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { type ConsoleOutcome, keepConsole, pruneConsoles } from '../../../repository/plans/consoles';
import { toFailure } from '../../failures';
import { type AwaitedConsole, type ConsoleEvidence, type KeptEvidence } from './contract';
import { type StatusChecks, statusChecksOf, takeScreenshot } from './instance-looks';
import { consoleBytes } from './power';

interface Dependencies {
  ec2: EC2Client;
  objectStore: (address: RepositoryAddress) => ObjectStore;
}

interface Pace {
  /** Seconds between two tries, instead of the usual ones. */
  pollSeconds?: number;
}

/** Consoles looked at together: enough for the 20 requests a second that EC2 takes, as each takes some tenths of one. */
const CONSOLES_AT_ONCE = 8;
/** Seconds after which no further console is begun with: the end of a test waits for this, and its instances cost money. */
const LIMIT_SECONDS = 120;
/** Tries of a look. It is not worth more: nothing depends on it. */
const TRIES = 3;
const TRY_SECONDS = 2;

/**
 * Keeps what the consoles of VMs that are ready show. What cannot be had is a warning, whatever the reason.
 * @throws what cancels the activity, and nothing else
 */
export async function keepConsoles(
  dependencies: Dependencies,
  { run, vms }: { run: RunContext; vms: AwaitedConsole[] },
  pace: Pace = {},
): Promise<KeptEvidence[]> {
  const signal = cancellationSignal();
  const begun = performance.now();
  const kept: KeptEvidence[] = [];
  // Of all at the same time: they share EC2's answers.
  const checks = new Map(vms.map((of) => [of, lookAtChecks(dependencies.ec2, of, pace)]));
  await forEachBounded(vms, CONSOLES_AT_ONCE, signal, async (of) => {
    if ((performance.now() - begun) / 1000 < LIMIT_SECONDS) {
      const { vm, console, warnings } = await takeConsole(dependencies, run, of, {
        ...{ outcome: 'ready', pace },
        checks: checks.get(of),
      });
      kept.push({ vm, console, warnings });
    } else
      kept.push({
        vm: of.vm,
        console: { takenAt: new Date().toISOString() },
        warnings: [
          `No picture of its screen was taken: those of others took more than ${LIMIT_SECONDS} seconds.`,
        ],
      });
  });
  return kept;
}

/** What a probe's failure tells of the instance: keeps the evidence, and says where. Without a run, the console alone. */
export function notReadyEvidence(
  { ec2, objectStore }: Dependencies,
  run: RunContext | undefined,
  of: AwaitedConsole,
  pace: Pace = {},
): { console: () => Promise<string>; remarks?: () => Promise<string> } {
  let output: Buffer | undefined;
  const console = async (): Promise<string> =>
    (output ?? (await consoleBytes(ec2, of.instanceId))).toString('utf8');
  if (run === undefined) return { console };
  const remarks = async (): Promise<string> => {
    const taken = await takeConsole({ ec2, objectStore }, run, of, { outcome: 'not-ready', pace });
    ({ output } = taken);
    const { statusChecks, screenshot } = taken.console;
    const { bucket, prefix } = run.repository;
    return [
      ...(statusChecks === undefined
        ? []
        : [`EC2's status checks: system ${statusChecks.system}, instance ${statusChecks.instance}.`]),
      ...(screenshot === undefined
        ? []
        : [
            `Its screen: s3://${bucket}/${prefix}${screenshot} ("lifeboat console ${run.plan} ${of.vm} --out FILE.jpg" gets it).`,
          ]),
      // What the checks say stands there already.
      ...taken.troubles,
    ].join(' ');
  };
  return { console, remarks };
}

interface TakenConsole extends KeptEvidence {
  /** What the guest wrote to its serial console, where it could be read. */
  output?: Buffer;
  /** Those of the warnings that tell what could not be had. */
  troubles: string[];
}

/** What a look gave; or, in a sentence, why it gave nothing. */
interface Look<T> {
  seen?: T;
  trouble?: string;
}

/** Tries several times. @throws what cancels the activity, and nothing else */
async function lookAt<T>(step: string, work: () => Promise<T>, pace: Pace): Promise<Look<T>> {
  try {
    return { seen: await severalTimes(step, work, pace) };
  } catch (error) {
    cancellationSignal().throwIfAborted();
    return { trouble: toFailure(error, step).message };
  }
}

function lookAtChecks(
  ec2: EC2Client,
  { vm, instanceId }: AwaitedConsole,
  pace: Pace,
): Promise<Look<StatusChecks | undefined>> {
  const looking = lookAt(`ask for the status checks of ${vm}`, () => statusChecksOf(ec2, instanceId), pace);
  // Where the activity is cancelled, others are told.
  looking.catch(() => undefined);
  return looking;
}

/** Looks at a VM's console and status checks, and keeps what is seen. */
async function takeConsole(
  { ec2, objectStore }: Dependencies,
  run: RunContext,
  of: AwaitedConsole,
  {
    outcome,
    pace,
    checks = lookAtChecks(ec2, of, pace),
  }: { outcome: ConsoleOutcome; pace: Pace; checks?: ReturnType<typeof lookAtChecks> },
): Promise<TakenConsole> {
  const { vm, instanceId } = of;
  const troubles: string[] = [];
  const seen = <T>(look: Look<T>): T | undefined => {
    if (look.trouble !== undefined) troubles.push(look.trouble);
    return look.seen;
  };
  const [checked, shown, written] = await Promise.all([
    checks,
    lookAt(`take a picture of the screen of ${vm}`, () => takeScreenshot(ec2, instanceId), pace),
    lookAt(`read the console of ${vm}`, () => consoleBytes(ec2, instanceId), pace),
  ]);
  const [statusChecks, screenshot, output] = [seen(checked), seen(shown), seen(written)];
  const console: ConsoleEvidence = {
    takenAt: new Date().toISOString(),
    ...(statusChecks === undefined ? {} : { statusChecks }),
  };
  const store = objectStore(run.repository);
  const name = { plan: run.plan, vm, runId: run.runId, outcome };
  const keep = async (): Promise<void> => {
    if (screenshot !== undefined)
      console.screenshot = await keepConsole(store, name, 'screenshot', screenshot);
    if (output !== undefined && output.length > 0)
      console.output = await keepConsole(store, name, 'output', output);
  };
  seen(await lookAt(`keep what the console of ${vm} shows`, keep, pace));
  if (console.screenshot !== undefined || console.output !== undefined) {
    const prune = (): Promise<void> => pruneConsoles(store, run.plan, vm);
    seen(await lookAt(`delete what the console of ${vm} showed in old runs`, prune, pace));
  }
  const warnings = [...troubles, ...(statusChecks === undefined ? [] : failedChecks(vm, statusChecks))];
  return { vm, console, warnings, troubles, ...(output === undefined ? {} : { output }) };
}

function failedChecks(vm: string, checks: StatusChecks): string[] {
  return (['system', 'instance'] as const)
    .filter((which) => checks[which] === 'impaired')
    .map((which) => `EC2's ${which} status check of ${vm} is impaired, although it answers its probe.`);
}

async function severalTimes<T>(
  step: string,
  work: () => Promise<T>,
  { pollSeconds = TRY_SECONDS }: Pace,
): Promise<T> {
  for (let tries = 1; ; tries++)
    try {
      return await work();
    } catch (error) {
      if (tries === TRIES || toFailure(error, step).nonRetryable === true) throw error;
      await sleep(pollSeconds * 1000);
    }
}
