import { canonicalRecordName } from '../../../plan/record-name';
import { type ExpectedAnswer } from './contract';
import { type LeadingSet, valuesOf } from './record-sets';

/** Types that are asked for: resolvers of the C library know no others that lead somewhere. */
const ASKED = ['A', 'AAAA', 'CNAME'] as const;

/**
 * What name servers answer for a name that has these sets. Where a policy chooses among several, any of them will do; what an
 * alias leads to is not known here, and not asked for.
 * @param touched types that were changed, so that what went is looked at as well
 */
export function expectedAnswers(
  name: string,
  sets: readonly LeadingSet[],
  touched: ReadonlySet<string>,
): ExpectedAnswer[] {
  // Of a name that is gone, a wildcard may answer.
  if (sets.length === 0) return [];
  const alias = sets.some(({ Type }) => Type === 'CNAME');
  return ASKED.flatMap((type): ExpectedAnswer[] => {
    // A CNAME answers for the other types, with what its target has.
    if (!touched.has(type) || alias !== (type === 'CNAME')) return [];
    const own = sets.filter((set) => set.Type === type);
    if (own.some(({ AliasTarget }) => AliasTarget !== undefined)) return [];
    const values = own.flatMap(valuesOf);
    const more = own.length > 1 ? { any: true } : {};
    const told = type === 'CNAME' ? values.map(canonicalRecordName) : values;
    return [{ name, ...(type === 'A' ? {} : { type }), values: told, ...more }];
  });
}
