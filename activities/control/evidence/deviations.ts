import { type Evidence, type EvidenceVm } from '../../../repository/evidence/document';
import { type EvidenceEnd } from '../contract';
import { type RunFacts } from './run-facts';
import { told, toldOrNull } from './values';

type Deviation = Evidence['deviations'][number];

/** Steps that ask until something answers: that they asked more than once is how they work. */
const ASKERS: ReadonlySet<string> = new Set(['checkDns']);

/** Whatever did not go as it does when nothing is wrong, in the order in which it came about. */
export function deviationsOf(
  facts: RunFacts,
  vms: readonly EvidenceVm[],
  objectives: Evidence['objectives'],
  end: EvidenceEnd,
): Deviation[] {
  const found: Deviation[] = [];
  for (const { activity, label, vm, outcome, errorType, error, tries, to } of facts.steps) {
    const of = { vm: toldOrNull(vm), cause: error === undefined ? null : told(error), at: to ?? null };
    if (errorType === 'NoCapacity' && outcome === 'failed')
      found.push({ ...of, what: `no capacity: ${told(label)}` });
    else if (outcome === 'failed' || outcome === 'timed out')
      found.push({ ...of, what: `${told(label)}: ${outcome}` });
    else if (tries > 1 && !ASKERS.has(activity))
      found.push({ ...of, what: `${told(label)}: done at try ${tries}` });
  }
  for (const { vm, outcome, leftOut, instance, wanted } of vms) {
    if (leftOut !== null)
      found.push({
        ...{ vm, at: leftOut.at, cause: leftOut.why },
        what: leftOut.by === null ? 'left out of the run' : `left out of the run by ${leftOut.by}`,
      });
    else if (outcome === 'not up' && end.ended === 'completed')
      found.push({ vm, what: 'not shown to be up', cause: null, at: null });
    const [first] = wanted.instanceTypes;
    if (end.kind === 'failover' && instance?.type && first !== undefined && instance.type !== first)
      found.push({ vm, what: `runs as ${instance.type}, wanted was ${first}`, cause: null, at: null });
  }
  for (const [name, { verdict }] of [
    ['RPO', objectives.rpo],
    ['RTO', objectives.rto],
  ] as const)
    if (verdict === 'missed')
      found.push({ vm: null, what: `the ${name} objective was missed`, cause: null, at: null });
  if (end.ended !== 'completed')
    found.push({
      vm: null,
      what: `the run ${end.ended === 'failed' ? 'failed' : 'was cancelled'}`,
      cause: toldOrNull(end.failure),
      at: null,
    });
  return found;
}
