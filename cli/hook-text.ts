import { type HookResult } from '../activities/hooks/contract';
import { printable } from '../plan/printable';
import { EXIT, type ExitCode } from './exit-codes';
import { secondsText } from './numbers';

/** Lines of a failed hook's output that are shown. */
const SHOWN_LINES = 5;

/** How the plan's hooks ended, a line each; of those that failed the end of what they said. */
export const hooksText = (hooks: readonly HookResult[] = []): string =>
  hooks
    .map(({ at, vm, what, required, ok, reason = '', output, seconds }) => {
      const where = `Hook ${at}${vm === undefined ? '' : ` of ${vm}`}: ${what}`;
      if (ok) return `${printable(where)}: ok after ${secondsText(seconds)}\n`;
      const said = output.trim() === '' ? [] : output.trim().split('\n').slice(-SHOWN_LINES);
      return [
        `${where}: failed${required ? '' : ', but not required'}: ${reason}`,
        ...said.map((line) => `  ${line}`),
      ]
        .map((line) => `${line.startsWith('  ') ? '  ' : ''}${printable(line.trim())}\n`)
        .join('');
    })
    .join('');

/** Of a run that is done: a required hook that failed did so when nothing was taken back any more. */
export const hookExitCode = (hooks: readonly HookResult[] = []): ExitCode =>
  hooks.some(({ required, ok }) => required && !ok) ? EXIT.hookFailed : EXIT.ok;
