import { z } from 'zod';
import { duration } from './duration';
import { hookUrlProblem } from './hook-url';

/** When a hook runs; documented in docs/cli.md. */
export const HOOK_PLACES = [
  'afterVmReady',
  'afterReady',
  'afterDns',
  'beforeCleanUp',
  'afterCleanUp',
] as const;
/** What a hook can be of; a planned failover is a failover. */
export const HOOK_RUNS = ['test', 'failover', 'failback'] as const;

/**
 * The command is a file's base name: which files there are is decided by who runs the proxy, not by who writes the plan. No path, no
 * option, no hidden file.
 */
const program = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
    "must be the base name of a file in the proxy's LIFEBOAT_HOOKS_DIRECTORY, such as check-shop.sh",
  );
/** Given to the program as it is: there is no shell that would see more in it. */
const argument = z
  .string()
  .max(1000)
  // eslint-disable-next-line no-control-regex -- a NUL ends an argument, whatever comes behind
  .regex(/^[^\u0000]*$/, 'must not hold a NUL character');

const http = z
  .object({
    url: z
      .string()
      .max(2000)
      .superRefine((url, context) => {
        const problem = hookUrlProblem(url);
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
      }),
    method: z.enum(['GET', 'POST', 'PUT']).optional(),
    /** What is sent instead of the facts of the run, as it is. */
    body: z.string().max(16_384).optional(),
  })
  .strict();

/** One step of one's own in a run. */
export const hook = z
  .object({
    at: z.enum(HOOK_PLACES),
    /** Of `afterVmReady`: the VM after which it runs; after each where this is absent. */
    vm: z.string().optional(),
    /** Runs that have it; all where this is absent. */
    on: z.array(z.enum(HOOK_RUNS)).min(1).optional(),
    command: z
      .tuple([program], argument)
      .refine((all) => all.length <= 100, 'must have at most 100 parts')
      .optional(),
    http: http.optional(),
    /** Who runs it. */
    proxy: z.enum(['aws', 'backup']).optional(),
    /** Seconds until it counts as failed. */
    timeout: duration.optional(),
    /** Whether its failure is one of the VM, or of the run. */
    required: z.boolean().optional(),
  })
  .strict()
  .refine(
    ({ command, http: request }) => (command === undefined) !== (request === undefined),
    'needs either a command or http',
  );

export type Hook = z.output<typeof hook>;
export type HookPlace = Hook['at'];
export type HookRun = (typeof HOOK_RUNS)[number];
