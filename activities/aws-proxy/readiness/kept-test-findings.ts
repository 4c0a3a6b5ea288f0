import { type Finding } from '../../../plan/readiness';
import { type KeptInstance } from '../account/kept-tests';

/** Minutes for which a test whose time is over may take to be removed. */
const REMOVAL_MINUTES = 30;

/** Instances of tests whose time was over long ago: their Temporal server is lost, or cannot remove them. They cost. */
export function keptTestFindings(plan: string, kept: readonly KeptInstance[], now: Date): Finding[] {
  const late = new Date(now.getTime() - REMOVAL_MINUTES * 60_000).toISOString();
  const overdue = Map.groupBy(
    kept.filter(({ until }) => until < late),
    ({ runId }) => runId,
  );
  return [...overdue].map(([runId, instances]) => ({
    code: 'kept-test',
    severity: 'warning',
    text: `The time of the test ${runId} was over at ${instances[0]?.until}, and ${instances.length === 1 ? 'an instance of it is' : `${instances.length} instances of it are`} still there.`,
    todo: `Look whether its run goes on (lifeboat status ${plan}); if not: lifeboat sweep ${plan}. The next test removes it, too.`,
    about: runId,
  }));
}
