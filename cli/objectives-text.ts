import { type ReadinessStatus } from '../client/readiness-status';
import { type SiteStatus } from '../client/site-status';
import { type MeasuredObjective, type MeasuredObjectives } from '../plan/objectives';
import { type DrPlan } from '../plan/schema';
import { someOf } from '../plan/some-of';
import { secondsText } from './numbers';

/** How a plan stands to its objectives now; seconds. */
export interface ObjectivesStanding {
  /** `null`: the plan has none. `late`: VMs whose DR copy is older, or that have none. */
  rpo: { objective: number; oldest: number | null; met: boolean; late: string[] } | null;
  /** By the last good test failover; `measured` and `met` are null where there was none of this version of the plan. */
  rto: { objective: number; measured: number | null; met: boolean | null } | null;
}

/** Of a plan that is away, the DR copies do not age by anybody's fault: its RPO is not told. */
export function standingOf(
  { rpo, rto }: NonNullable<DrPlan['objectives']>,
  { phase, vms }: Pick<SiteStatus, 'phase' | 'vms'>,
  readiness: Pick<ReadinessStatus, 'tested' | 'lastTest'> | undefined,
): ObjectivesStanding {
  const replicated = phase === 'none' || phase === 'protected';
  const ages = vms.flatMap(({ drCopy }) => drCopy?.ageSeconds ?? []);
  const late = vms
    .filter(({ drCopy }) => drCopy === undefined || drCopy.ageSeconds > (rpo ?? Infinity))
    .map(({ vm }) => vm);
  const took = readiness?.tested === 'yes' ? readiness.lastTest?.rtoSeconds : undefined;
  return {
    rpo:
      rpo === undefined || !replicated
        ? null
        : {
            ...{ objective: rpo, oldest: ages.length === 0 ? null : Math.max(...ages) },
            ...{ met: late.length === 0, late },
          },
    rto:
      rto === undefined
        ? null
        : { objective: rto, measured: took ?? null, met: took === undefined ? null : took <= rto },
  };
}

export function objectivesText({ rpo, rto }: ObjectivesStanding): string {
  const rpoText =
    rpo === null
      ? ''
      : `RPO objective ${secondsText(rpo.objective)}: ${rpo.met ? 'met' : `MISSED by ${someOf(rpo.late)}`}${rpo.oldest === null ? '' : `; the oldest DR copy is ${secondsText(rpo.oldest)} old`}.\n`;
  const rtoText =
    rto === null
      ? ''
      : rto.measured === null
        ? `RTO objective ${secondsText(rto.objective)}: not measured; a test failover of this plan does.\n`
        : `RTO objective ${secondsText(rto.objective)}: ${rto.met === true ? 'met' : 'MISSED'} by the last test, which took ${secondsText(rto.measured)}.\n`;
  return rpoText + rtoText;
}

/** What a run came to against the plan's objectives; a line for each. */
export function measuredText(objectives: MeasuredObjectives | undefined): string {
  const line = (name: string, of: MeasuredObjective | undefined): string =>
    of === undefined
      ? ''
      : `The ${name} objective of ${secondsText(of.objective)} was ${of.met ? 'met' : `MISSED by ${secondsText(of.measured - of.objective)}`}.\n`;
  return line('RPO', objectives?.rpo) + line('RTO', objectives?.rto);
}
