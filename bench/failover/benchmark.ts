import { type DrPlan } from '../../plan/schema';
import { describeMachine } from '../machine';
import { type Workspace } from '../workspace';
import { type Account, openAccount, type StateTimes } from './account';
import { type Way } from './bound';
import { makeCopies, makeModel, type Model } from './copies';
import { measureFailover, type MeasuredFailover } from './fail-over';
import { TIERS, tieredPlan, tierSizes } from './plans';
import { section } from './report';
import { type FailoverResult, type JudgedFailover } from './result';
import { byLaunchCopy, byVolumes, callsOf, slowestBucket, tiersSeconds } from './ways';

/** EC2's, as they were seen by others; a guest that has been started answers at once. */
export const EC2_TIMES: StateTimes = {
  instanceStart: 15,
  instanceStop: 20,
  volumeCreate: 4,
  volumeAttach: 4,
  snapshotComplete: 5,
  dnsPropagation: 30,
};

/** For a look whether the benchmark works: its figures mean nothing. */
export const QUICK_TIMES: StateTimes = {
  instanceStart: 0.2,
  instanceStop: 0.2,
  volumeCreate: 0.1,
  volumeAttach: 0.1,
  snapshotComplete: 0.1,
  dnsPropagation: 0.2,
};

export interface FailoverOptions {
  /** In the plan that fails over by launch copies. */
  vms: number;
  /** In the plan that fails over by volumes, for comparison; 0 leaves it out. */
  volumeVms: number;
  times: StateTimes;
}

export async function failoverBenchmark(
  workspace: Workspace,
  { vms, volumeVms, times }: FailoverOptions,
  say: (line: string) => void,
): Promise<FailoverResult> {
  say('bringing a sandbox up');
  const account = await openAccount(workspace, times);
  say('backing a VM up, restoring it and making its launch copy');
  const model = await makeModel(account, workspace.directory);
  const judged = async (name: string, tiers: number[], launchCopy: boolean): Promise<JudgedFailover> => {
    const plan = tieredPlan(name, name.slice(0, 1), tiers, launchCopy);
    const way = (launchCopy ? byLaunchCopy : byVolumes)(times);
    const measured = await copiesAndFailover(account, model, plan, say);
    const found = judge(measured, way, tiers, times);
    // The others take minutes yet.
    say(section(name, found).join('\n'));
    return found;
  };
  const tiers = tierSizes(vms, TIERS);
  const launchCopies = await judged('launch-copies', tiers, true);
  const chain = await judged('chain', [1, 1], true);
  const volumeTiers = tierSizes(volumeVms, TIERS);
  const volumes = volumeVms === 0 ? undefined : await judged('volumes', volumeTiers, false);
  account.requireNothingRefused();
  const boundSeconds = tiersSeconds(byVolumes(times), tiers, times);
  return {
    name: 'failover',
    launchCopies,
    chain,
    volumes:
      volumes === undefined
        ? null
        : { ...volumes, extrapolated: { vms, boundSeconds, seconds: boundSeconds * volumes.ratio } },
    times,
    machine: await describeMachine(),
  };
}

async function copiesAndFailover(
  account: Account,
  model: Model,
  plan: DrPlan,
  say: (line: string) => void,
): Promise<MeasuredFailover> {
  say(`${plan.name}: making DR copies of ${plan.vms.length} VMs`);
  await makeCopies(account, plan, model);
  const published = await account.publish(plan);
  say(`${plan.name}: failing ${plan.vms.length} VMs over`);
  const measured = await measureFailover(account, published, plan);
  say(`${plan.name}: ${measured.wallSeconds.toFixed(1)} s`);
  return measured;
}

/** @throws Error where VMs were launched another way than is measured */
function judge(measured: MeasuredFailover, way: Way, tiers: number[], times: StateTimes): JudgedFailover {
  const { vms, wallSeconds, launchedBy, calls, processes } = measured;
  if (Object.keys(launchedBy).length !== 1)
    throw new Error(`Not all VMs were launched the same way: ${JSON.stringify(launchedBy)}.`);
  const slowest = slowestBucket(measured);
  const boundSeconds = Math.max(tiersSeconds(way, tiers, times), slowest.seconds);
  const path = callsOf(way);
  const changing = Object.entries(calls).filter(([name, { admitted }]) => admitted > 0 && isChange(name));
  const aVm = (onThePath: boolean): Record<string, number> =>
    Object.fromEntries(
      changing
        .filter(([name]) => path.has(name) === onThePath)
        .map(([name, { admitted }]) => [name, admitted / vms]),
    );
  const total = (kind: 'admitted' | 'refused'): number =>
    Object.values(calls).reduce((sum, count) => sum + count[kind], 0);
  return {
    ...measured,
    tiers,
    boundSeconds,
    slowestBucket: slowest,
    ratio: wallSeconds / boundSeconds,
    mutatingCallsAVm: { onThePath: aVm(true), beside: aVm(false) },
    callsAVm: total('admitted') / vms,
    refused: total('refused'),
    peakMiB: Object.values(processes).reduce((sum, { peakMiB }) => sum + peakMiB, 0),
    controlAndServerMiB: processes['worker-control'].peakMiB + processes.temporal.peakMiB,
  };
}

/** Of EC2: objects in S3 and the one change in Route 53 are the run's, not a VM's. */
const isChange = (bucket: string): boolean => /^ec2:(?!Describe|Get|List)/.test(bucket);
