import { type SNSClient } from '@aws-sdk/client-sns';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { type DailyWindow, isTimeZone, windowMinutes } from '../../plan/daily-window';
import { closedWindow, opensAt } from '../../plan/replication-limit';
import { type RepositoryAddress } from '../../plan/run';
import { type ObjectStore } from '../../repository/objects/object-store';
import {
  checkPlanState,
  movePlanState,
  readPlanState,
  takePlanState,
} from '../../repository/plans/plan-state';
import { recordFenced } from '../../repository/plans/fencing';
import { loadPlan } from '../../repository/plans/plans';
import { snsClient } from '../aws-proxy/account/single-clients';
import { withFailures } from '../failures';
import { whileBeating } from '../heartbeat';
import { type ControlActivities } from './contract';
import { writeEvidence } from './evidence/write';
import { keepCheck, noteTest } from './readiness';
import { lookAtWorkers } from './workers/look';
import { controlPrivileges } from './workers/privileges';

export interface ControlDependencies {
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Where plans are looked for: all that a new worker has to be told. */
  repository: RepositoryAddress;
  /** Of topics that plans have told; those of the worker's own credentials where absent. */
  sns?: (region: string) => SNSClient;
  /** What the windows of plans go by; this host's clock where absent. */
  now?: () => Date;
}

/** See {@link ControlActivities}. */
function readWindow(window: DailyWindow, at: Date): { opensAt?: string } {
  if (windowMinutes(window.between) === undefined || !isTimeZone(window.timeZone))
    throw ApplicationFailure.nonRetryable(
      'Say the hours of a test as {"between": "22:00-05:00", "timeZone": "Europe/Berlin"}.',
      'BadRequest',
    );
  const opens = opensAt(window, at);
  return opens === undefined ? {} : { opensAt: opens };
}

/** The control worker's activities. They keep nothing: all truth is in the repository bucket. */
export function createControlActivities({
  objectStore,
  repository,
  sns = (region) => snsClient({ region }),
  now = () => new Date(),
}: ControlDependencies): ControlActivities {
  const activities = {
    async loadPlan({ plan: name, digest: wanted }) {
      const store = objectStore(repository);
      const { digest, plan } = await loadPlan(store, name, wanted);
      const state = await readPlanState(store, name);
      const closed = closedWindow(plan.replication.limit, now());
      return {
        digest,
        plan,
        repository,
        ...(state === undefined ? {} : { state }),
        ...(closed === undefined ? {} : { closedWindow: closed }),
      };
    },
    takePlanState: ({ run, from, to, ...taken }) =>
      takePlanState(objectStore(run.repository), run, from, to, taken),
    movePlanState: ({ run, to, ...moved }) => movePlanState(objectStore(run.repository), run, to, moved),
    recordFence: ({ run, ...look }) => recordFenced(objectStore(run.repository), run.plan, look),
    checkPlanState: ({ run }) => checkPlanState(objectStore(run.repository), run),
    keepCheck: (input) => keepCheck(objectStore(input.run.repository), input),
    async lookAtWorkers({ run, topics }) {
      const store = objectStore(run.repository);
      const [privileges, { proxies, findings }] = await Promise.all([
        controlPrivileges(store, run.plan, topics, sns),
        lookAtWorkers(Context.current().client, run.plan),
      ]);
      return { proxies, findings: [...findings, ...privileges] };
    },
    readWindow: (window) => Promise.resolve(readWindow(window, now())),
    noteTest: (input) => noteTest(objectStore(input.run.repository), input),
    writeEvidence: (input) => whileBeating(() => writeEvidence(objectStore(repository), repository, input)),
  } satisfies ControlActivities;
  return withFailures<ControlActivities>(activities);
}
