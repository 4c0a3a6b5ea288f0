import { performance } from 'node:perf_hooks';
import { type EC2Client, GetConsoleScreenshotCommand } from '@aws-sdk/client-ec2';
import { cancellationSignal, sleep } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { forEachBounded } from '../../../blocks/pipeline';
import { type RepositoryAddress, type RunContext } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import {
  type ConsoleOutcome,
  keepConsole,
  pruneConsoles,
  SCREENSHOT_BYTES,
  screenshotProblem,
} from '../../../repository/plans/consoles';
import { toFailure } from '../../failures';
import { findInstanceStatus } from '../account/lookup';
import { type AwaitedConsole, type CheckSummary, type ConsoleEvidence, type KeptEvidence } from './contract';
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
  await forEachBounded(vms, CONSOLES_AT_ONCE, signal, async (of) => {
    if ((performance.now() - begun) / 1000 < LIMIT_SECONDS) {
      const { vm, console, warnings } = await takeConsole(dependencies, run, of, 'ready', pace);
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
    const taken = await takeConsole({ ec2, objectStore }, run, of, 'not-ready', pace);
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

/** Looks at a VM's console and status checks, and keeps what is seen. */
async function takeConsole(
  { ec2, objectStore }: Dependencies,
  run: RunContext,
  { vm, instanceId }: AwaitedConsole,
  outcome: ConsoleOutcome,
  pace: Pace,
): Promise<TakenConsole> {
  const troubles: string[] = [];
  const tried = async <T>(step: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await severalTimes(step, work, pace);
    } catch (error) {
      cancellationSignal().throwIfAborted();
      troubles.push(toFailure(error, step).message);
      return undefined;
    }
  };
  const [statusChecks, screenshot, output] = await Promise.all([
    tried(`ask for the status checks of ${vm}`, () => statusChecksOf(ec2, instanceId)),
    tried(`take a picture of the screen of ${vm}`, () => takeScreenshot(ec2, instanceId)),
    tried(`read the console of ${vm}`, () => consoleBytes(ec2, instanceId)),
  ]);
  const console: ConsoleEvidence = {
    takenAt: new Date().toISOString(),
    ...(statusChecks === undefined ? {} : { statusChecks }),
  };
  const store = objectStore(run.repository);
  const of = { plan: run.plan, vm, runId: run.runId, outcome };
  await tried(`keep what the console of ${vm} shows`, async () => {
    if (screenshot !== undefined) console.screenshot = await keepConsole(store, of, 'screenshot', screenshot);
    if (output !== undefined && output.length > 0)
      console.output = await keepConsole(store, of, 'output', output);
  });
  if (console.screenshot !== undefined || console.output !== undefined)
    await tried(`delete what the console of ${vm} showed in old runs`, () =>
      pruneConsoles(store, run.plan, vm),
    );
  const warnings = [...troubles, ...(statusChecks === undefined ? [] : failedChecks(vm, statusChecks))];
  return { vm, console, warnings, troubles, ...(output === undefined ? {} : { output }) };
}

/** EC2's picture of the screen, without a key pressed before: a guest that waits for one must not go on by it. @throws ApplicationFailure BadScreenshot, non-retryable, where it is none */
async function takeScreenshot(ec2: EC2Client, InstanceId: string): Promise<Buffer> {
  const { ImageData = '' } = await ec2.send(new GetConsoleScreenshotCommand({ InstanceId }));
  // Four letters are three bytes; what is far too large is not even decoded.
  const problem =
    ImageData.length > (SCREENSHOT_BYTES / 3) * 4 + 4
      ? `it has ${ImageData.length} letters of base64, more than any screen of EC2's`
      : screenshotProblem(Buffer.from(ImageData, 'base64'));
  if (problem !== undefined)
    throw ApplicationFailure.nonRetryable(
      `EC2's picture of the screen of ${InstanceId} cannot be used: ${problem}.`,
      'BadScreenshot',
    );
  return Buffer.from(ImageData, 'base64');
}

const SUMMARIES: readonly CheckSummary[] = [
  'ok',
  'impaired',
  'initializing',
  'insufficient-data',
  'not-applicable',
];

async function statusChecksOf(ec2: EC2Client, instanceId: string): Promise<ConsoleEvidence['statusChecks']> {
  const status = await findInstanceStatus(ec2, instanceId);
  if (status === undefined) return undefined;
  const summary = (told: string | undefined): CheckSummary =>
    SUMMARIES.find((one) => one === told) ?? 'insufficient-data';
  return {
    system: summary(status.SystemStatus?.Status),
    instance: summary(status.InstanceStatus?.Status),
  };
}

function failedChecks(vm: string, checks: { system: CheckSummary; instance: CheckSummary }): string[] {
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
