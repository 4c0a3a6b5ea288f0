import { type Finding, type KeptCheck, type Standing, type StandingChanges } from '../../plan/readiness';

/** Findings that say that the age of no DR copy is known. */
const AGES_UNKNOWN: readonly Finding['code'][] = ['aws-proxy', 'plan-phase'];

/**
 * The states that people are told of when they begin and end: what stands after a check, and what of it is new or over. A state of
 * which this check knows nothing stays as it was, so that nobody is told that it is over.
 * @param before the check before; or this one, kept by an earlier try whose answer was lost
 */
export function standings(
  check: Pick<KeptCheck, 'runId' | 'checkedAt' | 'verdict' | 'findings'>,
  before: KeptCheck | undefined,
): Pick<KeptCheck, 'standing' | 'changes'> {
  const earlier = before?.standing ?? [];
  const known = new Map(earlier.map((standing) => [identityOf(standing), standing]));
  const found: Standing[] = foundIn(check).map(
    (standing) => known.get(identityOf(standing)) ?? { ...standing, since: check.checkedAt },
  );
  const carried = earlier.filter(
    (standing) =>
      !found.some((one) => identityOf(one) === identityOf(standing)) && isUnknown(standing, check.findings),
  );
  const standing = [...found, ...carried];
  const now = new Set(standing.map(identityOf));
  const changes =
    before?.runId === check.runId
      ? before.changes
      : changesOf(
          standing.filter((one) => !known.has(identityOf(one))),
          earlier.filter((one) => !now.has(identityOf(one))),
        );
  return {
    ...(standing.length === 0 ? {} : { standing }),
    ...(changes === undefined ? {} : { changes }),
  };
}

const changesOf = (begun: Standing[], over: Standing[]): StandingChanges | undefined =>
  begun.length + over.length === 0 ? undefined : { begun, over };

function foundIn({ verdict, findings }: Pick<KeptCheck, 'verdict' | 'findings'>): Omit<Standing, 'since'>[] {
  const late = findings.flatMap(({ code, vm }) => (code === 'dr-copy-age' && vm !== undefined ? [vm] : []));
  return [
    ...late.map((vm) => ({ state: 'rpo-missed' as const, vm })),
    ...(verdict === 'not ready' ? [{ state: 'not-ready' as const }] : []),
    ...(findings.some(({ code }) => code === 'test-overdue') ? [{ state: 'test-overdue' as const }] : []),
  ];
}

/** Whether the check could not see if a state is over. */
function isUnknown({ state, vm }: Standing, findings: readonly Finding[]): boolean {
  if (state !== 'rpo-missed') return false;
  return findings.some(
    ({ code, about, vm: of }) =>
      AGES_UNKNOWN.includes(code) ||
      // What cannot be looked at, and what is not told of very many findings.
      (code === 'not-checked' && (about === 'recovery site' || about === 'more')) ||
      // A DR copy that is not there has no age.
      (code === 'dr-copy' && of === vm),
  );
}

const identityOf = ({ state, vm }: Omit<Standing, 'since'>): string => `${state} ${vm ?? ''}`;
