import { type Evidence } from '../../../repository/evidence/document';
import { type RunFacts } from './run-facts';
import { textAt, told, toldOrNull, valueAt } from './values';

type People = Evidence['people'];

/** What a run can be asked for besides its plan; nothing else of its argument is kept. */
const OPTIONS = ['mode', 'onFailure', 'at', 'point', 'hardware', 'replace', 'discardWritesSince', 'homeLost'];

/** Who asked for the run, and what people have decided in it. */
export function peopleOf({ history: { run } }: RunFacts): People {
  const { argument, startedAt, startedBy, startedAs, updates, cancelRequest } = run;
  const beforehand = valueAt(argument, 'approveAll');
  const asker = valueAt(argument, 'askedBy');
  return {
    askedBy: {
      client: toldOrNull(startedBy),
      ...{ by: said(asker, 'by'), awsCaller: said(asker, 'as'), authenticatedAs: toldOrNull(startedAs) },
      at: startedAt,
      options: OPTIONS.flatMap((name) => {
        const value = valueAt(argument, name);
        return typeof value === 'string' || typeof value === 'boolean' ? [told(`${name}: ${value}`)] : [];
      }),
    },
    decisions: [
      ...(beforehand === undefined
        ? []
        : [
            {
              ...{ what: 'approve', at: startedAt, of: 'all that the plan wants approved, beforehand' },
              ...{ by: said(beforehand, 'by'), why: said(beforehand, 'why'), sentBy: toldOrNull(startedBy) },
              ...{ awsCaller: said(beforehand, 'as'), authenticatedAs: toldOrNull(startedAs) },
            },
          ]),
      ...[...updates, ...(cancelRequest === undefined ? [] : [cancelRequest])].map(
        ({ name, at, input, sentBy, authenticatedAs }) => ({
          ...{ what: told(name), at, by: said(input, 'by'), why: said(input, 'why') },
          ...{ of: subjectOf(input), sentBy: toldOrNull(sentBy) },
          ...{ awsCaller: said(input, 'as'), authenticatedAs: toldOrNull(authenticatedAs) },
        }),
      ),
    ],
    signOff: null,
  };
}

const said = (input: unknown, field: string): string | null => toldOrNull(textAt(input, field));

/** What of the run a message is about, in words. */
function subjectOf(input: unknown): string | null {
  const named = (['vm', 'tier', 'dns', 'cutOver', 'dependents', 'instanceTypes'] as const).flatMap(
    (field) => {
      const value = valueAt(input, field);
      if (typeof value === 'string' || typeof value === 'number') return [`${field} ${value}`];
      if (Array.isArray(value)) return [`${field} ${value.map(String).join(', ')}`];
      return value === true ? [field] : [];
    },
  );
  return named.length === 0 ? null : told(named.join('; '));
}
