import { ApplicationFailure, sleep } from '@temporalio/workflow';
import { type AwsProxyHostActivities } from '../../activities/aws-proxy/contract';
import { type OfferedHost } from '../../activities/aws-proxy/proxy-host/contract';
import { awsProxy } from './activities';
import { activitiesOfHost, hostIsGone } from './host-queue';

/** Hosts that may die before the run gives up: each was already waited for to come back. One that is busy is not counted. */
const HOST_ATTEMPTS = 3;

/** Looks for a proxy in one zone. Idle proxies answer in turn, so with a handful of them each is met several times. */
const HOST_LOOKS = 20;

/** One AWS proxy, for work that must stay on it. */
export interface ProxyHost {
  activities: AwsProxyHostActivities;
  instanceId: string;
  availabilityZone: string;
}

/**
 * Work from attach to detach stays on one AWS proxy; when that host dies, it begins again on another.
 * @param zone where the host must be; any where this is absent
 */
export async function onProxyHost<T>(
  work: (host: ProxyHost, attempt: number) => Promise<T>,
  zone?: string,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const host = await proxyHostIn(zone);
    const { instanceId, availabilityZone } = host;
    try {
      return await work({ activities: activitiesOfHost(host), instanceId, availabilityZone }, attempt);
    } catch (error) {
      if (!hostIsGone(error) || attempt === HOST_ATTEMPTS) throw error;
    }
  }
}

/** Any proxy answers; where the work needs one zone, as a volume does, those of other zones are passed over. */
async function proxyHostIn(zone: string | undefined): Promise<OfferedHost> {
  for (let look = 1; look <= HOST_LOOKS; look++) {
    const host = await awsProxy.proxyHost();
    if (zone === undefined || host.availabilityZone === zone) return host;
    await sleep('1 second');
  }
  throw ApplicationFailure.nonRetryable(
    `None of ${HOST_LOOKS} AWS proxies that answered is in ${zone}, where the volumes are; run one there.`,
    'NoProxyInZone',
  );
}
