import { CliError, EXIT } from './exit-codes';

/**
 * Loads a part of Lifeboat when a command first needs it: the worker brings Temporal's native core, the sandbox what
 * runs machines, and neither is needed to start a run.
 * @param load `() => require('…') as typeof import('…')`; as CommonJS, so that no file ending has to be known
 * @throws CliError where this build lacks the part
 */
export function lazyModule<T>(what: string, load: () => T): T {
  try {
    return load();
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'MODULE_NOT_FOUND')) throw cause;
    throw new CliError(
      `This build has no ${what}; run "npm run build" in the whole project.`,
      EXIT.badInput,
      {},
      { cause },
    );
  }
}
