import { type SiteFindings } from '../../port';
import { VimAnswerError, VimConnectionError, VimTimeoutError } from '../vim/errors';
import { isRetryable, VimFault } from '../vim/faults';

/** What was looked at, and how it was found. */
export interface Finding {
  level: 'ok' | 'note' | 'problem';
  /** What kind of thing it is about, and what it is called in vCenter. */
  object: string;
  /** What was found; of a problem, also what to do. */
  text: string;
  /** Of a problem: the error that kept it from being looked at. */
  cause?: unknown;
}

export const ok = (object: string, text: string): Finding => ({ level: 'ok', object, text });
export const note = (object: string, text: string): Finding => ({ level: 'note', object, text });
export const problem = (object: string, text: string): Finding => ({ level: 'problem', object, text });

/** Looks at one thing; what keeps it from being looked at is a problem of it. */
export async function looking(object: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    return [{ ...problem(object, (error as Error).message), cause: error }];
  }
}

/**
 * For those who ask no more than whether it works.
 * @throws what kept something from being looked at for the moment: that is no finding, and the next look may go through
 */
export function siteFindings(findings: readonly Finding[]): SiteFindings {
  const passing = findings.find(({ cause }) => isPassing(cause));
  if (passing !== undefined) throw passing.cause;
  const told = (level: Finding['level']): string[] =>
    findings.filter((one) => one.level === level).map(({ object, text }) => `${object}: ${text}`);
  return { problems: told('problem'), notes: told('note') };
}

/** vCenter that restarts, or a line that is down, says nothing about the site. */
const isPassing = (error: unknown): boolean =>
  error instanceof VimConnectionError ||
  error instanceof VimAnswerError ||
  error instanceof VimTimeoutError ||
  (error instanceof VimFault && isRetryable(error));
