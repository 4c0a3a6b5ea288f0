import { awsProxy, control } from '../../workflows/run/activities';
import { begin, requirePhase, type RunRequest, take } from '../../workflows/run/begin';
import { type CommitSummary } from '../../workflows/commit';
import { RunProgress } from '../../workflows/run/run-status';

/** The commit, with a step asked for that runs which are under way have not taken: a change that breaks them. */
export async function commit(request: RunRequest): Promise<CommitSummary> {
  const begun = await begin(request);
  const { plan } = begun;
  const progress = new RunProgress(plan.name, []);
  requirePhase(begun, ['failed-back'], 'commit');
  await awsProxy.proxyHost();
  const run = await take(begun, ['failed-back'], 'failed-back');
  const { removed } = await awsProxy.removeRecoverySite({ run });
  await control.movePlanState({ run, to: 'protected' });
  progress.phase('done');
  return { plan: plan.name, removed };
}
