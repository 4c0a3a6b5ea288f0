import { withFailures } from '../../failures';
import { beating } from '../../heartbeat';
import { type ReadinessActivities } from './contract';
import { checkFailover } from './preflight';
import { checkReadiness, type StandingDependencies } from './standing-check';

/** What can be known before a failover. */
export function createReadinessActivities(dependencies: StandingDependencies): ReadinessActivities {
  const activities = {
    checkFailover: (input) => checkFailover(dependencies, input),
    checkReadiness: (input) => checkReadiness(dependencies, input),
  } satisfies ReadinessActivities;
  return withFailures(beating(activities));
}
