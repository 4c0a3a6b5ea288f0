import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../host/project-root';
import { CliError, EXIT } from './exit-codes';

/**
 * Loads a part of Lifeboat when a command first needs it: the worker brings Temporal's native core, the sandbox what
 * runs machines, and neither is needed to start a run.
 * @param load calls `require` with a literal path; as CommonJS, so that no file ending has to be known
 * @throws CliError where this build lacks the part
 */
export function lazyModule<T>(what: string, load: () => T): T {
  try {
    return load();
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'MODULE_NOT_FOUND')) throw cause;
    throw new CliError(lacking(what), EXIT.badInput, {}, { cause });
  }
}

function lacking(what: string): string {
  const root = projectRoot();
  // What brings the sandbox's tools is in checkouts only, and so is the sandbox.
  return existsSync(join(root, 'setup/run.mjs'))
    ? `This build has no ${what}; run "node setup/run.mjs only" in ${root}.`
    : `The installed package has no ${what}; that needs a checkout of Lifeboat's repository, and "node setup/run.mjs only" in it.`;
}
