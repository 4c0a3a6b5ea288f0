import { join } from 'node:path';
import { type SandboxConfig } from '../config';
import { SEGMENTS } from '../segments';
import { sandboxPaths } from '../supervisor/processes';
import { simulatedDatacenterIn, type SimulatorOptions } from '../vcenter/simulator';

/** Where the sandbox's vCenter, its host and its datastore are; gone with the data centre. */
const vcenterDirectory = (config: SandboxConfig): string => join(sandboxPaths(config).datacenter, 'vcenter');

/** Name of its process among the supervisor's. */
export const VCENTER_PROCESS = 'vcenter';

/** Of vCenter's own process, which is not the host's. */
export const vcenterPidFile = (config: SandboxConfig): string =>
  join(sandboxPaths(config).datacenter, 'vcenter.pid');

/** Stands while the data centre is lost. */
export const lostMarker = (config: SandboxConfig): string => join(sandboxPaths(config).datacenter, 'lost');

/** User and password of the backup proxy's account. */
export const credentialsFile = (config: SandboxConfig): string =>
  join(sandboxPaths(config).datacenter, 'vcenter-account.yaml');

/** What the vCenter is started with; its VMs are on the data centre's segment. */
export function simulatorOptions(config: SandboxConfig): SimulatorOptions {
  const segment = SEGMENTS.find(({ name }) => name === 'dc');
  if (!segment) throw new Error('The sandbox has no segment for the data centre.');
  return {
    directory: vcenterDirectory(config),
    network: { network: config.network, segment, portGroups: [segment.name] },
    boots: config.runner !== 'no-boot',
  };
}

/** The vCenter that the supervisor runs, for what a test does behind its back. */
export const simulatedVcenterOf = (config: SandboxConfig): ReturnType<typeof simulatedDatacenterIn> =>
  simulatedDatacenterIn(vcenterDirectory(config));
