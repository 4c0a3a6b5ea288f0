import { type DrPlan } from '../../../plan/schema';
import { type Evidence } from '../../../repository/evidence/document';
import { type RunFacts, type StepOf } from './run-facts';
import { listAt, textAt, textsAt, told } from './values';

type Dns = Evidence['dns'];
type Names = NonNullable<NonNullable<Dns>['before']>;

/** What the run did to the plan's records, by the answers that it got itself. */
export function dnsOf(facts: RunFacts, plan: DrPlan): Dns {
  if (plan.dns === undefined) return null;
  const hostedZone = told(plan.dns.hostedZone);
  const changes = facts.done('moveDns', 'returnDns').sort((a, b) => (a.from < b.from ? -1 : 1));
  const attempted = facts.of('moveDns', 'returnDns').length > changes.length;
  const first = changes[0];
  const last = changes.at(-1);
  if (first === undefined || last === undefined) return { hostedZone, ...unchanged(facts, attempted) };
  const changed = changes.some((step) => namesIn(step, 'after').length > 0);
  return {
    hostedZone,
    changed: attempted ? null : changed,
    before: namesIn(first, 'before'),
    after: namesIn(last, 'after'),
    proof: proofOf(facts),
  };
}

/** A run that changed nothing: shown by two looks at the zone, where it took them. */
function unchanged(facts: RunFacts, attempted: boolean): Omit<NonNullable<Dns>, 'hostedZone'> {
  const looks = facts.done('inspectDns');
  const [first, last] = [looks[0], looks.at(-1)];
  const before = first === undefined ? null : lookedAt(first);
  const after = last === undefined || last === first ? null : lookedAt(last);
  const call = attempted
    ? 'A step of the run that changes DNS was begun, and did not come to a good end.'
    : 'No step of this run changes DNS.';
  if (before === null || after === null)
    return { changed: null, before, after, proof: `${call} The zone was not looked at before and after.` };
  const same = JSON.stringify(before) === JSON.stringify(after);
  return {
    changed: !same,
    ...{ before, after },
    proof:
      `${call} Route 53 listed the records at ${first?.to ?? '?'} and at ${last?.to ?? '?'}: ` +
      (same ? 'they are the same.' : 'they differ, so somebody else has changed them meanwhile.'),
  };
}

const lookedAt = ({ result }: StepOf): Names =>
  listAt(result, 'names').map((name) => ({
    name: told(textAt(name, 'name') ?? '?'),
    values: textsAt(name, 'present'),
  }));

/** Record sets of the names as a step found them, or left them. */
function namesIn({ activity, result }: StepOf, when: 'before' | 'after'): Names {
  const moved = activity === 'moveDns';
  const sets = moved === (when === 'before') ? 'before' : 'ours';
  return listAt(result, moved ? 'moved' : 'returned').map((name) => ({
    name: told(textAt(name, 'name') ?? '?'),
    values: listAt(name, sets).map((set) => {
      const values = listAt(set, 'ResourceRecords').flatMap((record) => textAt(record, 'Value') ?? []);
      const alias = textAt(set, 'AliasTarget', 'DNSName');
      return told(
        `${textAt(set, 'Type') ?? '?'} ${alias === undefined ? values.join(', ') : `alias of ${alias}`}`,
      );
    }),
  }));
}

function proofOf(facts: RunFacts): string | null {
  const asked = facts.of('checkDns').at(-1);
  if (asked === undefined) return null;
  if (asked.outcome !== 'done')
    return told(`The zone's name servers did not prove it: ${asked.error ?? asked.outcome}`);
  const expected = listAt(asked.input, 'expected').map((one) => {
    const values = textsAt(one, 'values');
    return `${textAt(one, 'name') ?? '?'}: ${values.length === 0 ? 'no record' : values.join(', ')}`;
  });
  return told(
    `Each of the zone's name servers answered so at ${asked.to ?? '?'}, at try ${asked.tries}: ${expected.join('; ')}.`,
  );
}
