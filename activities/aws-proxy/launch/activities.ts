import { type EBSClient } from '@aws-sdk/client-ebs';
import { type EC2Client } from '@aws-sdk/client-ec2';
import { cancellationSignal, heartbeat } from '@temporalio/activity';
import { type RepositoryAddress } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { checkPlanState } from '../../../repository/plans/plan-state';
import { type Dial } from '../../dial';
import { withFailures } from '../../failures';
import { beating } from '../../heartbeat';
import { waitUntilAnswers } from '../../probe';
import { readBootScripts, requireBootScripts } from './boot-scripts';
import { keepConsoles, notReadyEvidence } from './console-evidence';
import { type DriverDependencies, injectDrivers } from './drivers';
import { startInstance, stopInstance } from './power';
import { hostLookup } from './hosts';
import { attachVolumes } from './instance-volumes';
import { deregisterImages, registerImage } from './launch-image';
import { instancesOfRun } from './instances-of-run';
import { launchInstance } from './launch-instance';
import { launchLicensedShell } from './licensed-shell';
import { replaceRootVolume } from './root-replacement';
import { discardShell, launchShell } from './shell';
import { removeRecoveryResources, removeRecoverySite } from '../account/clean-up';
import { keepTest, removeOverdueTests } from '../account/kept-tests';
import { ensureShellImage } from './shell-image';
import { createVolumes } from './volumes';
import { type LaunchActivities, type LaunchHostActivities } from './contract';

export interface LaunchDependencies {
  ec2: EC2Client;
  ebs: EBSClient;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** How this proxy reaches the guests. */
  dial: Dial;
  /** Seconds between two looks at AWS, or at a guest, instead of the usual pace. */
  pollSeconds?: number;
}

/** EC2 instances made of DR copies, and the recovery site taken down again. */
export function createLaunchActivities(dependencies: LaunchDependencies): LaunchActivities {
  const { ec2, ebs, objectStore, dial, pollSeconds } = dependencies;
  const pace = { pollSeconds };
  const instancesOf = instancesOfRun(ec2);
  const lookUpHosts = hostLookup(instancesOf, objectStore);
  const activities = {
    createVolumes: (input) => createVolumes(ec2, input, pace),
    ensureShellImage: (input) => ensureShellImage({ ec2, ebs }, input, pace),
    launchShell: (input) => launchShell(ec2, input, pace),
    attachVolumes: (input) => attachVolumes(ec2, input, pace),
    startInstance: (input) => startInstance(ec2, input, pace),
    stopInstance: (input) => stopInstance(ec2, input, pace),
    waitUntilReady: ({ run, vm, instanceId, address, probe }) =>
      waitUntilAnswers({
        address,
        probe,
        dial,
        ...notReadyEvidence({ ec2, objectStore }, run, { vm, instanceId }, pace),
        signal: cancellationSignal(),
        heartbeat,
        pollSeconds,
      }),
    readBootScripts: (input) => readBootScripts(ec2, input, pace),
    requireBootScripts: (input) => requireBootScripts(ec2, input, pace),
    keepConsoles: (input) => keepConsoles({ ec2, objectStore }, input, pace),
    registerImage: (input) => registerImage(ec2, instancesOf, input, pace),
    launchInstance: (input) => launchInstance(ec2, lookUpHosts, input, pace),
    deregisterImages: (input) => deregisterImages(ec2, input),
    launchLicensedShell: (input) => launchLicensedShell(ec2, lookUpHosts, input, pace),
    replaceRootVolume: (input) => replaceRootVolume(ec2, input, pace),
    discardShell: (input) => discardShell(ec2, input, pace),
    removeRecoveryResources: (input) => removeRecoveryResources(ec2, input, pace),
    keepTest: (input) => keepTest(ec2, input),
    removeOverdueTests: (input) => removeOverdueTests(ec2, input, pace),
    async removeRecoverySite(input) {
      // Not to be taken back: a run that another has fenced off must not take the application away from it.
      await checkPlanState(objectStore(input.run.repository), input.run);
      return removeRecoverySite(ec2, input, pace);
    },
  } satisfies LaunchActivities;
  return withFailures(beating(activities));
}

/** Driver injection, which is bound to the host that the volumes are attached to. */
export function createDriverActivities(given: Omit<DriverDependencies, 'lookUpHosts'>): LaunchHostActivities {
  const dependencies = {
    ...given,
    lookUpHosts: hostLookup(instancesOfRun(given.host.ec2), given.objectStore),
  };
  const activities = {
    injectDrivers: (input) => injectDrivers(dependencies, input),
  } satisfies LaunchHostActivities;
  return withFailures(beating(activities));
}
