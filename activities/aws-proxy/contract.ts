import { type HookActivities } from '../hooks/contract';
import { type AwayActivities } from './away/contract';
import { type DnsActivities } from './dns/contract';
import { type FailbackActivities } from './failback/contract';
import { type LaunchActivities, type LaunchHostActivities } from './launch/contract';
import { type PointActivities } from './points/contract';
import { type ProxyHostActivities, type PulseActivities } from './proxy-host/contract';
import { type ReadinessActivities } from './readiness/contract';
import { type RestoreActivities, type RestoreHostActivities } from './restore/contract';

/** Activities on any AWS proxy, by stage. */
export type AwsProxyActivities = RestoreActivities &
  PointActivities &
  ReadinessActivities &
  LaunchActivities &
  DnsActivities &
  FailbackActivities &
  AwayActivities &
  HookActivities &
  ProxyHostActivities;

/** Activities bound to one AWS proxy host. */
export type AwsProxyHostActivities = LaunchHostActivities & RestoreHostActivities;

/** What each AWS proxy answers on its pulse queue. */
export type AwsProxyPulseActivities = PulseActivities;
