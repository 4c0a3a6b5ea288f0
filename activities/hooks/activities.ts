import { Context } from '@temporalio/activity';
import { withoutSecrets } from '../../host/secrets';
import { hook as hookSchema, type Hook } from '../../plan/hooks';
import { printable } from '../../plan/printable';
import { withFailures } from '../failures';
import { beating } from '../heartbeat';
import { type Ended, runCommand } from './command';
import { type HookActivities, type HookResult } from './contract';
import { runRequest } from './http';
import { OutputTail } from './output-tail';

/** Where a plan does not say how long a hook may take. */
const TIMEOUT_SECONDS = 300;
/** The most of a hook's output that is ever kept. */
const MAX_OUTPUT_BYTES = 16 * 1024;

export interface HookDependencies {
  /** Programs that plans may name, by base name; undefined where there are none. */
  hooksDirectory: string | undefined;
}

/** What a proxy does for the plans' hooks. */
export function createHookActivities({ hooksDirectory }: HookDependencies): HookActivities {
  const activities = {
    async runHook({ hook, index, facts, outputBytes }) {
      // A plan in the repository may be one that nobody has checked.
      const checked = hookSchema.safeParse(hook);
      const startedAt = new Date();
      const tail = new OutputTail(Math.min(outputBytes, MAX_OUTPUT_BYTES));
      const ended: Ended = checked.success
        ? await run(checked.data, hooksDirectory, {
            ...{ facts, tail, signal: Context.current().cancellationSignal },
            seconds: checked.data.timeout ?? TIMEOUT_SECONDS,
          })
        : { ok: false, reason: 'It is no hook as plans may have it; publish the plan anew.' };
      return {
        ...{ id: facts.id, at: facts.at, index, required: hook.required === true },
        ...(facts.vm === undefined ? {} : { vm: facts.vm }),
        what: whatOf(hook),
        ...ended,
        ...(ended.reason === undefined ? {} : { reason: printable(withoutSecrets(ended.reason)) }),
        output: tail.text,
        startedAt: startedAt.toISOString(),
        seconds: Math.round((Date.now() - startedAt.getTime()) / 100) / 10,
      } satisfies HookResult;
    },
  } satisfies HookActivities;
  return withFailures<HookActivities>(beating(activities));
}

async function run(
  { command, http }: Hook,
  directory: string | undefined,
  options: Parameters<typeof runRequest>[1],
): Promise<Ended> {
  if (command !== undefined) return runCommand(directory, command, options);
  return runRequest(http as NonNullable<Hook['http']>, options);
}

/** A URL's query may hold what not everybody should read. */
function whatOf({ command, http }: Hook): string {
  if (command !== undefined) return printable(String(command[0])).slice(0, 100);
  const url = URL.parse(String(http?.url));
  return printable(`${http?.method ?? 'POST'} ${url === null ? '' : url.origin + url.pathname}`).slice(
    0,
    200,
  );
}
