import { type AwsProxyActivities } from '../../activities/aws-proxy/contract';
import { awsProxy } from '../../workflows/run/activities';

/** One activity as the runs ask for it: under its own profile, on its own queue. */
export function launch(
  input: Parameters<AwsProxyActivities['launchShell']>[0],
): ReturnType<AwsProxyActivities['launchShell']> {
  return awsProxy.launchShell(input);
}
