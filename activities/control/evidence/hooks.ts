import { type Evidence, LONGEST_TEXT } from '../../../repository/evidence/document';
import { type RunFacts, type StepOf } from './run-facts';
import { instant } from './times';
import { numberAt, textAt, timeAt, told, toldOrNull, valueAt } from './values';

type EvidenceHook = NonNullable<Evidence['hooks']>[number];

/** What each hook answered, in the order in which they ran. One that its proxy never answered for is told by its step. */
export const hooksOf = (facts: RunFacts): EvidenceHook[] => facts.of('runHook').map(hookOf);

function hookOf({ input, result, outcome, error, from, vm }: StepOf): EvidenceHook {
  const answered = outcome === 'done';
  const ok = valueAt(result, 'ok');
  const status = numberAt(result, 'status');
  return {
    at: told(textAt(result, 'at') ?? textAt(input, 'hook', 'at') ?? 'unknown'),
    index: wholeAt(result, 'index') ?? wholeAt(input, 'index') ?? 0,
    vm: toldOrNull(textAt(result, 'vm') ?? vm),
    what: told(textAt(result, 'what') ?? whatOf(input)),
    required: (valueAt(result, 'required') ?? valueAt(input, 'hook', 'required')) === true,
    ok: answered ? ok === true : outcome === 'unfinished' ? null : false,
    status: status === undefined ? null : Math.trunc(status),
    reason: toldOrNull(textAt(result, 'reason') ?? (answered ? undefined : error)),
    output: endOf(textAt(result, 'output') ?? ''),
    startedAt: timeAt(result, 'startedAt') ?? instant(from),
    seconds: numberAt(result, 'seconds') ?? null,
  };
}

/** What went wrong is said in the last lines. */
const endOf = (output: string): string => told(output.slice(-LONGEST_TEXT));

function wholeAt(value: unknown, field: string): number | undefined {
  const found = numberAt(value, field);
  return found !== undefined && Number.isInteger(found) && found >= 0 ? found : undefined;
}

/** Of a hook that gave no answer; the address of a call may hold what is secret. */
function whatOf(input: unknown): string {
  const program = valueAt(input, 'hook', 'command', '0');
  return typeof program === 'string' ? program : 'by http';
}
