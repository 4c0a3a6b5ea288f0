import { mapAhead } from '../../../blocks/pipeline';
import { type ExpectedAnswer } from './contract';
import { type Move } from './move';
import { ask, isExpected } from './name-servers';

/** Names that are told one by one; of more, their number is. */
const MOST_TOLD = 10;
/** Names that a resolver is asked for, and so many at once: it is a sample of what clients see, and no proof. */
const MOST_ASKED = 50;
const AT_ONCE = 16;

/**
 * What recursive resolvers answer after a change, one sentence each. They may keep what they had until its TTL has run out, so
 * nothing that they answer is a failure.
 */
export async function askResolvers(
  resolvers: readonly string[],
  expected: readonly ExpectedAnswer[],
): Promise<string[]> {
  const asked = expected.slice(0, MOST_ASKED);
  const [first] = asked;
  if (first === undefined) return [];
  // Side by side, and each by one name before the others: in a disaster they are the data centre's, and dead.
  const told = await Promise.all(
    resolvers.map(async (address) => {
      const answer = await ask({ name: address, address }, first);
      return answer.values === undefined
        ? [`The resolver ${address} gives no answer for ${subjectOf(first)} (${answer.reason}).`]
        : askResolver(address, asked, expected.length);
    }),
  );
  return told.flat();
}

async function askResolver(
  address: string,
  asked: readonly ExpectedAnswer[],
  all: number,
): Promise<string[]> {
  const others: string[] = [];
  const look = async (one: ExpectedAnswer): Promise<void> => {
    const answer = await ask({ name: address, address }, one);
    const subject = subjectOf(one);
    if (answer.values === undefined) others.push(`gives no answer for ${subject} (${answer.reason})`);
    else if (!isExpected(answer.values, one)) {
      const has = answer.values.join(', ') || 'no record';
      const rest = answer.ttl === undefined ? '' : `, for ${answer.ttl} s more at most`;
      others.push(`still answers ${has} for ${subject}${rest}`);
    }
  };
  for await (const _ of mapAhead(asked, AT_ONCE, look));
  if (others.length > 0) return toldOf(`The resolver ${address}`, others.sort());
  return [
    `The resolver ${address} answers with the new records${asked.length < all ? ` for the ${asked.length} that it was asked for` : ''}.`,
  ];
}

const subjectOf = ({ name, type }: ExpectedAnswer): string =>
  `${name}${type === undefined ? '' : ` (${type})`}`;

function toldOf(who: string, others: readonly string[]): string[] {
  const told = others.slice(0, MOST_TOLD).map((other) => `${who} ${other}.`);
  const more = others.length - told.length;
  return more > 0 ? [...told, `${who} has other answers for ${more} more names.`] : told;
}

/** Until when resolvers may answer with what was there, where that is longer than what is there now lives. */
export function staleUntil(moves: readonly Move[], now: Date): string[] {
  const late = moves.flatMap(({ stored: { name, before, ours } }) => {
    const ttl = Math.max(0, ...before.map(({ TTL }) => TTL ?? 0));
    return ttl > Math.max(...ours.map(({ TTL }) => TTL ?? 0)) ? [{ name, ttl }] : [];
  });
  const told = late.slice(0, MOST_TOLD).map(({ name, ttl }) => {
    const until = new Date(now.getTime() + ttl * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
    return `Resolvers may answer with what ${name} had until ${until}: its TTL was ${ttl} s.`;
  });
  return late.length > told.length
    ? [...told, `So it is with ${late.length - told.length} more names.`]
    : told;
}
