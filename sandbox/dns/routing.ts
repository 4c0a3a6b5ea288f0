import { type DnsRecordSet } from './record-set';

/** Addresses of a multivalue answer at most. "Multivalue answer routing", Amazon Route 53 Developer Guide. */
const MOST_VALUES = 8;

/**
 * Which of the sets of one name and type answer, by their routing policy. All count as healthy: nobody here checks. Where clients
 * and their Regions would decide, the first by identifier does.
 */
export function answering(sets: readonly DnsRecordSet[]): readonly DnsRecordSet[] {
  const routed = sets.filter(({ routing }) => routing !== undefined);
  if (routed.length === 0) return sets;
  if (routed.some(({ routing }) => routing?.multiValue)) return routed.slice(0, MOST_VALUES);
  if (routed.some(({ routing }) => routing?.weight !== undefined)) return byWeight(routed);
  return [
    routed.find(({ routing }) => routing?.failover === 'PRIMARY') ??
      [...routed].sort((a, b) =>
        (a.routing?.identifier ?? '') < (b.routing?.identifier ?? '') ? -1 : 1,
      )[0]!,
  ];
}

/** Weights of 0 all over count alike. */
function byWeight(sets: readonly DnsRecordSet[]): readonly DnsRecordSet[] {
  const weights = sets.map(({ routing }) => routing?.weight ?? 0);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const shares = sum === 0 ? weights.map(() => 1) : weights;
  let left = Math.random() * shares.reduce((total, share) => total + share, 0);
  return [sets.find((_, index) => (left -= shares[index] ?? 0) < 0 && (shares[index] ?? 0) > 0) ?? sets[0]!];
}
