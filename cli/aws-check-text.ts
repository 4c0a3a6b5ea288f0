import { type Difference } from '../client/aws-check/answer';
import { type AwsCheck } from '../client/aws-check/check';
import { policiesWith } from '../client/aws-check/policies';
import { type CheckLine } from '../client/aws-check/questions';
import { type Removal } from '../client/aws-check/test-resources/removal';
import { printable } from '../plan/printable';
import { tableText } from './table';

const WIDTH = 'unreachable'.length;

/** One line an answer: the verdict, what was asked, and what is to be said of it. */
export function lineText({ verdict, about, action, detail, seconds }: CheckLine): string {
  const took = seconds === undefined || seconds < 1 ? '' : ` (${seconds} s)`;
  const todo = verdict === 'refused' && action !== undefined ? ` ${allowText(action)}` : '';
  const said = detail === undefined ? '' : `: ${detail}`;
  return `${verdict.padEnd(WIDTH)}  ${printable(`${about}${took}${said}${todo}`)}\n`;
}

function allowText(action: string): string {
  const [first, ...others] = policiesWith(action);
  if (first === undefined) return `The action is ${action}.`;
  const also = others.length === 0 ? '' : `, and in ${others.join(', ')}`;
  return `The action is ${action}; it is in ${first}${also}.`;
}

/** What was removed, and what could not be. */
export function removalText(begin: string, { removed, left }: Removal): string {
  const gone = removed.length === 0 ? '' : `${begin}: ${removed.join(', ')}; removed.\n`;
  return gone + left.map(({ id, why }) => printable(`Not removed: ${id}: ${why}`) + '\n').join('');
}

/** What stands below the answers. */
export function summaryText({ lines, differences, after, cost, stopped }: AwsCheck): string {
  const count = (verdict: CheckLine['verdict']): number =>
    lines.filter((line) => line.verdict === verdict).length;
  const verdicts = (['ok', 'differs', 'refused', 'unreachable', 'not asked'] as const)
    .map((verdict) => ({ verdict, n: count(verdict) }))
    .filter(({ n }) => n > 0)
    .map(({ verdict, n }) => `${n} ${verdict}`);
  return [
    differencesText(differences),
    `${verdicts.join(', ')}.\n`,
    after === undefined ? '' : removalText('Made by this check', after),
    after !== undefined && after.left.length > 0 ? 'Run it again to remove the rest.\n' : '',
    cost === undefined ? '' : `It cost at most ${cost.toFixed(4)} $, by the list prices of us-east-1.\n`,
    stopped ? 'It was stopped before its end.\n' : '',
  ].join('');
}

/** "sandbox says / AWS says"; words of messages come last, as nothing goes by them. */
function differencesText(differences: Difference[]): string {
  if (differences.length === 0) return '';
  const rows = [...differences]
    .sort((a, b) => Number(a.wordsOnly) - Number(b.wordsOnly))
    .map(({ question, about, sandbox, aws }) => [question, about, sandbox, aws]);
  return tableText(['question', 'of it', 'sandbox says', 'AWS says'], rows);
}
