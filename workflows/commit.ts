import { awsProxy, control } from './run/activities';
import { askerOf } from './run/asker';
import { begin, requirePhase, type RunRequest, take } from './run/begin';
import { type Asker } from './run/messages';
import { RunProgress } from './run/run-status';

export interface CommitSummary {
  plan: string;
  /** Ids of what was removed at the recovery site. */
  removed: string[];
  /** Who asked for it; absent where nobody said so. */
  askedBy?: Asker;
}

/** Makes a failback final: the recovery site's instances and volumes go, and replication resumes. */
export async function commit(request: RunRequest): Promise<CommitSummary> {
  const begun = await begin(request);
  const { plan } = begun;
  const progress = new RunProgress(plan.name, []);
  requirePhase(begun, ['failed-back'], 'commit');
  const run = await take(begun, ['failed-back'], 'failed-back');

  progress.phase('removing the recovery site');
  const { removed } = await awsProxy.removeRecoverySite({ run });
  await control.movePlanState({ run, to: 'protected' });
  progress.phase('done');
  return { plan: plan.name, removed, ...askerOf(request) };
}
