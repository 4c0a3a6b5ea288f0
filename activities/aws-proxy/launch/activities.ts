import { cancellationSignal, heartbeat } from '@temporalio/activity';
import { type RepositoryAddress } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { checkPlanState } from '../../../repository/plans/plan-state';
import { type Dial } from '../../dial';
import { withFailures } from '../../failures';
import { beating } from '../../heartbeat';
import { waitUntilAnswers } from '../../probe';
import { type AwsClients } from '../account/clients';
import { type AwsProxyActivities, type AwsProxyHostActivities } from '../contract';
import { type DriverDependencies, injectDrivers } from './drivers';
import { consoleOutput, startInstance, stopInstance } from './power';
import { attachVolumes } from './instance-volumes';
import { discardShell, launchShell } from './shell';
import { checkFailover } from '../readiness/preflight';
import { removeRecoveryResources, removeRecoverySite } from './clean-up';
import { ensureShellImage } from './shell-image';
import { createVolumes } from './volumes';

export interface FailoverDependencies {
  clients: AwsClients;
  /** Region that the clients ask. */
  region: string;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** How this proxy reaches the guests. */
  dial: Dial;
  /** Seconds between two looks at AWS, or at a guest, instead of the usual pace. */
  pollSeconds?: number;
}

type FailoverActivities = Pick<
  AwsProxyActivities,
  | 'checkFailover'
  | 'createVolumes'
  | 'ensureShellImage'
  | 'launchShell'
  | 'attachVolumes'
  | 'startInstance'
  | 'stopInstance'
  | 'waitUntilReady'
  | 'discardShell'
  | 'removeRecoveryResources'
  | 'removeRecoverySite'
>;

/** The control-plane activities of failover, and of taking the recovery site down again. */
export function createFailoverActivities(dependencies: FailoverDependencies): FailoverActivities {
  const { clients, region, objectStore, dial, pollSeconds } = dependencies;
  const { ec2, ebs, route53 } = clients;
  const pace = { pollSeconds };
  const activities = {
    checkFailover: (input) => checkFailover({ ec2, route53, region, objectStore }, input),
    createVolumes: (input) => createVolumes(ec2, input, pace),
    ensureShellImage: (input) => ensureShellImage({ ec2, ebs }, input, pace),
    launchShell: (input) => launchShell(ec2, input, pace),
    attachVolumes: (input) => attachVolumes(ec2, input, pace),
    startInstance: (input) => startInstance(ec2, input, pace),
    stopInstance: (input) => stopInstance(ec2, input, pace),
    waitUntilReady: ({ instanceId, address, probe }) =>
      waitUntilAnswers({
        address,
        probe,
        dial,
        console: () => consoleOutput(ec2, instanceId),
        signal: cancellationSignal(),
        heartbeat,
        pollSeconds,
      }),
    discardShell: (input) => discardShell(ec2, input, pace),
    removeRecoveryResources: (input) => removeRecoveryResources(ec2, input, pace),
    async removeRecoverySite(input) {
      // Not to be taken back: a run that another has fenced off must not take the application away from it.
      await checkPlanState(objectStore(input.run.repository), input.run);
      return removeRecoverySite(ec2, input, pace);
    },
  } satisfies FailoverActivities;
  return withFailures(beating(activities));
}

/** Driver injection, which is bound to the host that the volumes are attached to. */
export function createDriverActivities(
  dependencies: DriverDependencies,
): Pick<AwsProxyHostActivities, 'injectDrivers'> {
  const activities = {
    injectDrivers: (input) => injectDrivers(dependencies, input),
  } satisfies Pick<AwsProxyHostActivities, 'injectDrivers'>;
  return withFailures(beating(activities));
}
