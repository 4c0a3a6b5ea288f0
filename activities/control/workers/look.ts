import { type Client, isGrpcServiceError } from '@temporalio/client';
import { type Finding } from '../../../plan/readiness';
import { awsProxyAnswerQueue, BACKUP_PROXY_ANSWER_QUEUE, workerAnswerQueue } from '../../task-queues';
import { versionIn } from '../../worker-identity';
import { type ListedProxy } from './listed-proxy';
import { pollersOf } from './pollers';
import { type UnservedVersion, unservedVersions } from './unserved-versions';

/** More than any site has; each is asked by itself. */
const MOST_PROXIES = 50;
/** gRPC status codes of a server without worker deployments, whose search attributes it does not know either. */
const INVALID_ARGUMENT = 3;
const UNIMPLEMENTED = 12;
const PERMISSION_DENIED = 7;

/** Every proxy that polls, and versions of the control workers that the plan's runs need and nobody serves. */
export async function lookAtWorkers(
  temporal: Client,
  plan: string,
  now = new Date(),
): Promise<{ proxies: ListedProxy[]; findings: Finding[] }> {
  try {
    const proxies = [
      ...(await listProxies(temporal, 'aws-proxy', awsProxyAnswerQueue(), now)),
      ...(await listProxies(temporal, 'backup-proxy', BACKUP_PROXY_ANSWER_QUEUE, now)),
    ];
    return { proxies, findings: await versionFindings(temporal, plan, now) };
  } catch (error) {
    if (!isGrpcServiceError(error) || error.code !== PERMISSION_DENIED) throw error;
    const finding: Finding = {
      code: 'not-checked',
      severity: 'warning',
      text: `The Temporal server does not let the control worker see who polls: ${error.details}`,
      todo: 'Allow the control worker DescribeTaskQueue and ListWorkflowExecutions in its namespace.',
      about: 'workers',
    };
    return { proxies: [], findings: [finding] };
  }
}

async function listProxies(
  temporal: Client,
  role: ListedProxy['role'],
  taskQueue: string,
  now: Date,
): Promise<ListedProxy[]> {
  const { pollers } = await pollersOf(temporal, taskQueue, 'activities', now);
  const listed: ListedProxy[] = [];
  for (const { identity: worker } of eachOnce(pollers).slice(0, MOST_PROXIES)) {
    const own = await pollersOf(temporal, workerAnswerQueue(worker), 'activities', now);
    listed.push({ role, worker, version: versionIn(worker), asked: own.pollers.length > 0 });
  }
  return listed;
}

const eachOnce = <T extends { identity: string }>(pollers: readonly T[]): T[] => [
  ...new Map(pollers.map((poller) => [poller.identity, poller])).values(),
];

async function versionFindings(temporal: Client, plan: string, now: Date): Promise<Finding[]> {
  try {
    return (await unservedVersions(temporal, plan, now)).map(unserved);
  } catch (error) {
    const code = isGrpcServiceError(error) ? error.code : undefined;
    // Without deployments there are no versions that could lack a worker.
    if (code === INVALID_ARGUMENT || code === UNIMPLEMENTED) return [];
    throw error;
  }
}

function unserved({ deployment, buildId, runs, current }: UnservedVersion): Finding {
  const needs = runs.length === 0 ? 'all that is new needs' : `${runs.join(', ')} needs`;
  return {
    code: 'worker-version',
    severity: 'impossible',
    text: `No control worker of the version ${buildId} of ${deployment} answers, which ${needs}${current && runs.length > 0 ? ', and all that is new' : ''}.`,
    todo: current
      ? `Start one of it (LIFEBOAT_DEPLOYMENT=${deployment} lifeboat worker control), or make another version current: lifeboat worker promote.`
      : `Start one of it: install that version, then LIFEBOAT_DEPLOYMENT=${deployment} lifeboat worker control. lifeboat worker versions tells when it can go.`,
    about: buildId,
  };
}
