import { type DrPlan } from '../../../plan/schema';
import { type Evidence } from '../../../repository/evidence/document';
import { instanceMonth, volumeMonth } from '../../aws-proxy/account/prices';
import { type RunFacts, type StepOf } from './run-facts';
import { listAt, numberAt, textAt, textsAt, told } from './values';

type Resources = Evidence['resources'];
type Made = Resources['made'][number];

/** What steps have made, by the ids that they gave. What EC2 makes of itself, as volumes beside an instance, has none here. */
const MAKERS: Record<string, (result: unknown) => { kind: string; ids: (string | undefined)[] }> = {
  registerImage: (result) => ({ kind: 'image', ids: [textAt(result, 'imageId')] }),
  launchInstance: (result) => ({ kind: 'instance', ids: [textAt(result, 'instanceId')] }),
  launchShell: (result) => ({ kind: 'instance', ids: [textAt(result, 'instanceId')] }),
  launchLicensedShell: (result) => ({ kind: 'instance', ids: [textAt(result, 'instanceId')] }),
  createVolumes: (result) => ({
    kind: 'volume',
    ids: listAt(result).map((volume) => textAt(volume, 'volumeId')),
  }),
  startSnapshot: (result) => ({ kind: 'snapshot', ids: [textAt(result, 'snapshotId')] }),
  snapshotInstance: (result) => ({
    kind: 'snapshot',
    ids: listAt(result).map((snapshot) => textAt(snapshot, 'snapshotId')),
  }),
};

const madeBy = (step: StepOf): Made[] => {
  const { kind, ids } = MAKERS[step.activity]?.(step.result) ?? { kind: '', ids: [] };
  return ids.flatMap((id) => (id === undefined ? [] : [{ kind, id: told(id), vm: step.vm ?? null }]));
};

/** Removals of all that the run has made; of one VM's alone they say nothing of the others. */
const removals = (facts: RunFacts): StepOf[] =>
  facts.of('removeRecoveryResources', 'removeRecoverySite').filter(({ vm }) => vm === undefined);

/** @param stays whether what the run made is to stay, as in a failover that has come to a good end */
export function resourcesOf(facts: RunFacts, stays: boolean): Resources {
  const made = facts.done(...Object.keys(MAKERS)).flatMap(madeBy);
  const ids = [
    ...facts
      .done('removeRecoveryResources', 'removeRecoverySite')
      .flatMap(({ result }) => textsAt(result, 'removed')),
    ...facts.done('deleteFailbackSnapshots').flatMap(({ result }) => textsAt(result, 'deleted')),
  ];
  const removed = [...new Set(ids)].sort();
  return { made, removed, ...leftoversOf(facts, stays, made, removed) };
}

function leftoversOf(
  facts: RunFacts,
  stays: boolean,
  made: readonly Made[],
  removed: readonly string[],
): Pick<Resources, 'leftovers' | 'statement'> {
  if (stays) return { leftovers: null, statement: 'What the run made stays: the application runs on it.' };
  const last = removals(facts).at(-1);
  if (last?.outcome === 'done') {
    const whose =
      last.activity === 'removeRecoverySite'
        ? 'of the plan at the recovery site'
        : "that carries the run's tags";
    const statement = `All ${whose} was removed; the step looked again until AWS listed none of it (${last.to ?? last.from}).`;
    return { leftovers: [], statement };
  }
  if (last !== undefined)
    return {
      leftovers: null,
      statement: told(`The removal did not come to a good end: ${last.error ?? last.outcome}`),
    };
  const left = made.map(({ id }) => id).filter((id) => !removed.includes(id));
  return {
    leftovers: left,
    statement:
      made.length === 0
        ? 'The run made nothing at the recovery site.'
        : left.length === 0
          ? 'The run has removed what it had made.'
          : 'What is left over of what the run made is told by the ids that its steps gave.',
  };
}

/** AWS bills an instance for a minute at least (Amazon EC2 On-Demand Pricing, "per-second billing"). */
const LEAST_SECONDS = 60;
const HOURS_A_MONTH = 730;

/** What a run that removed all again has cost at most, by list prices. @returns null where it is not known, or goes on */
export function costOf(facts: RunFacts, plan: DrPlan, stays: boolean): Evidence['cost'] {
  if (stays) return null;
  const end = removals(facts).findLast(({ outcome }) => outcome === 'done')?.to;
  const launches = facts.done('launchInstance', 'launchShell', 'launchLicensedShell');
  if (end === undefined || launches.length === 0) return null;
  const hours = (from: string): number =>
    Math.max(LEAST_SECONDS, (Date.parse(end) - Date.parse(from)) / 1000) / 3600;
  const gib = new Map(
    facts
      .done('checkFailover')
      .flatMap(({ result }) => listAt(result, 'drCopies'))
      .map((copy) => [
        textAt(copy, 'vm'),
        listAt(copy, 'disks').reduce<number>((sum, disk) => sum + (numberAt(disk, 'volumeGiB') ?? 0), 0),
      ]),
  );
  let usd = 0;
  const unknown = new Set<string>();
  for (const launch of launches) {
    const type = textAt(launch.input, 'instanceType');
    const month = instanceMonth(type);
    if (month === undefined) unknown.add(told(type ?? '?'));
    const perHour = (month ?? 0) + (volumeMonth('gp3', gib.get(launch.vm) ?? 0) ?? 0);
    usd += (perHour / HOURS_A_MONTH) * hours(launch.from);
  }
  return {
    usd: Math.round(usd * 10_000) / 10_000,
    basis:
      `List prices of us-east-1 for ${launches.length} instances and their volumes as gp3, from each launch to the removal; ` +
      `requests, traffic and licences are not in it, and prices of ${told(plan.recoverySite.region)} differ.` +
      (unknown.size === 0
        ? ''
        : ` Without instances of ${[...unknown].join(', ')}, whose price is not known.`),
  };
}
