import { performance } from 'node:perf_hooks';
import { type EC2Client } from '@aws-sdk/client-ec2';
import { sleep } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { type RunContext } from '../../../plan/run';
import { nameInGuest } from '../../boot-script';
import { readBootScriptStatuses, type ToldStatus } from '../../boot-script-statuses';
import { CONSOLE_BYTES, lastLines } from '../../console';
import { toFailure } from '../../failures';
import { type AwaitedBootScripts, type BootScriptResult, type LaunchActivities } from './contract';
import { consoleOutput } from './power';

type ReadBootScripts = Parameters<LaunchActivities['readBootScripts']>[0];
type RequireBootScripts = Parameters<LaunchActivities['requireBootScripts']>[0];

/** Seconds between two looks at a console: other VMs wait for what is required, as they do for a probe. */
const REQUIRED_POLL_SECONDS = 2;
/** Nobody waits for the others. */
const POLL_SECONDS = 5;

export interface Pace {
  /** Seconds between two looks, instead of the usual ones. */
  pollSeconds?: number;
}

/** The exit statuses of the VMs' boot scripts; what cannot be read is unknown. */
export async function readBootScripts(
  ec2: EC2Client,
  { run, vms }: ReadBootScripts,
  { pollSeconds = POLL_SECONDS }: Pace = {},
): Promise<{ vm: string; bootScripts: BootScriptResult[] }[]> {
  return Promise.all(
    vms.map(async (awaited) => ({
      vm: awaited.vm,
      bootScripts: (await watchConsole(ec2, run, awaited, pollSeconds)).results,
    })),
  );
}

/**
 * The exit statuses of boot scripts that have to end with 0.
 * @throws ApplicationFailure BootScriptFailed, non-retryable, with the console's end
 * @throws what keeps the console from being read, where that does not pass by itself
 */
export async function requireBootScripts(
  ec2: EC2Client,
  { run, ...awaited }: RequireBootScripts,
  { pollSeconds = REQUIRED_POLL_SECONDS }: Pace = {},
): Promise<BootScriptResult[]> {
  const { results, console, refusal } = await watchConsole(ec2, run, awaited, pollSeconds);
  if (refusal !== undefined) throw refusal;
  const failed = results.filter(({ status }) => status !== 0);
  if (failed.length === 0) return results;
  const what = failed.map(({ name, status, reason }) =>
    status === 'unknown'
      ? `The exit status of the boot script ${name} of ${awaited.vm} is not known: ${reason}.`
      : `The boot script ${name} of ${awaited.vm} ended with exit status ${status}.`,
  );
  throw ApplicationFailure.nonRetryable(
    `${what.join(' ')} The plan requires 0: see to it in the guest, where it can be run again (docs/guests.md, "Boot scripts"), and retry. ` +
      `The console's end:\n${lastLines(console)}`,
    'BootScriptFailed',
  );
}

interface Watched {
  results: BootScriptResult[];
  /** As it was last seen. */
  console: string;
  /** Why the console cannot be read, where it will not be possible later either. */
  refusal?: ApplicationFailure;
}

/** Looks until all statuses are there, or the time is up. A status that has been seen stays known when it scrolls away. */
async function watchConsole(
  ec2: EC2Client,
  { runId }: RunContext,
  { vm, instanceId, scripts, seconds }: AwaitedBootScripts,
  pollSeconds: number,
): Promise<Watched> {
  const begun = performance.now();
  const seen = new Map<string, ToldStatus>();
  let console = '';
  for (;;) {
    let trouble: ApplicationFailure | undefined;
    try {
      console = await consoleOutput(ec2, instanceId);
      const told = readBootScriptStatuses(console, runId, scripts.map(nameInGuest));
      for (const [name, now] of told)
        seen.set(name, {
          begun: now.begun || seen.get(name)?.begun === true,
          status: now.status ?? seen.get(name)?.status,
        });
    } catch (error) {
      // Where it passes, a later look sees what this one has not.
      trouble = toFailure(error, `read the console of ${vm}`);
    }
    const results = scripts.map((name) => resultOf(name, seen.get(nameInGuest(name)), console, trouble));
    if (results.every(({ status }) => status !== 'unknown')) return { results, console };
    if (trouble?.nonRetryable === true) return { results, console, refusal: trouble };
    const left = seconds - (performance.now() - begun) / 1000;
    if (left <= 0) return { results, console };
    await sleep(Math.ceil(1000 * Math.min(pollSeconds, left)));
  }
}

function resultOf(
  name: string,
  told: ToldStatus | undefined,
  console: string,
  trouble: ApplicationFailure | undefined,
): BootScriptResult {
  if (told?.status !== undefined) return { name, status: told.status };
  return { name, status: 'unknown', reason: whyUnknown(told, console, trouble) };
}

function whyUnknown(
  told: ToldStatus | undefined,
  console: string,
  trouble: ApplicationFailure | undefined,
): string {
  if (trouble !== undefined) return trouble.message.replace(/\.$/, '');
  if (told?.begun === true) return 'it has begun, and the console does not tell in time that it has ended';
  if (Buffer.byteLength(console) >= CONSOLE_BYTES)
    return 'the console does not tell, and what the guest wrote first may be gone: EC2 keeps the last 64 KiB';
  return 'the console does not tell in time that it has begun';
}
