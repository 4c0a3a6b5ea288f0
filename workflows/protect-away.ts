import { ApplicationFailure, isCancellation } from '@temporalio/workflow';
import { type AwayCopyResult } from '../activities/aws-proxy/away/contract';
import { someOf } from '../plan/some-of';
import { planWithout } from '../plan/without';
import { awsProxy } from './run/activities';
import { type BegunRun } from './run/begin';
import { causeMessage } from './run/failure-message';
import { type RunProgress } from './run/run-status';

/** A round of replication while the plan was failed over: copies of the instances, made at the recovery site. */
export interface AwaySummary {
  plan: string;
  awayCopies: AwayCopyResult[];
}

/**
 * The round of a plan that is failed over: the data centre is lost, or holds old data, so what is protected is what runs on EC2. Each
 * VM's away copy is made anew; one that cannot be made keeps no other from it, and leaves the one of before where it is.
 * @throws ApplicationFailure NotProtectedAway that names the VMs without a new copy, when all others have theirs
 */
export async function protectAway(begun: BegunRun, progress: RunProgress): Promise<AwaySummary> {
  const { run, without } = begun;
  // What the failover left out runs nowhere.
  const plan = planWithout(begun.plan, new Set(without));
  const since = new Date().toISOString();
  progress.phase('finding the instances');
  const { instances, problems } = await awsProxy.readAwayInstances({ run, plan });

  progress.phase('copying the instances');
  const failed = new Map(problems.map(({ vm, problem }) => [vm, problem]));
  for (const [vm, problem] of failed) progress.vm(vm, 'not protected', problem);
  const copies = await Promise.all(
    instances.map(async ({ vm, instanceId }) => {
      progress.vm(vm, 'copying', instanceId);
      try {
        const copy = await awsProxy.makeAwayCopy({ run, vm, instanceId, since });
        progress.vm(vm, 'protected', copy.takenAt);
        return [copy];
      } catch (error) {
        if (isCancellation(error)) throw error;
        failed.set(vm, causeMessage(error));
        progress.vm(vm, 'not protected', causeMessage(error));
        return [];
      }
    }),
  );
  if (failed.size > 0)
    throw ApplicationFailure.nonRetryable(
      `No new copy at the recovery site of ${someOf([...failed].map(([vm, why]) => `${vm} (${why})`))}. ` +
        `What an earlier round has made stays: lifeboat status ${plan.name}`,
      'NotProtectedAway',
    );
  progress.phase('done');
  return { plan: plan.name, awayCopies: copies.flat() };
}
