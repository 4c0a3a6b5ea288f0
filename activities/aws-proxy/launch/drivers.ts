import { ApplicationFailure } from '@temporalio/common';
import { type AdaptationReport, type BootScript, type GuestAdapter } from '../../../guest/port';
import { bootScriptOf } from '../../boot-script';
import { otherDisks } from '../../other-disks';
import { type RepositoryAddress } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { loadBootScript } from '../../../repository/plans/plans';
import { attachAt, claimNames, detachFromProxy, type ProxyHost } from '../proxy-host/attachment';
import { type DeviceClaim } from '../proxy-host/device-names';
import { type HostLookup } from './hosts';
import { type LaunchHostActivities, type RecoveredVolume } from './contract';

export interface DriverDependencies {
  host: ProxyHost;
  guestAdapter: GuestAdapter;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** See {@link hostLookup}. */
  lookUpHosts: HostLookup;
}

type InjectDrivers = Parameters<LaunchHostActivities['injectDrivers']>[0];

/**
 * Attaches the VM's volumes to this host, adapts the guest on the boot volume, and detaches them again, come what may.
 * The data volumes are attached for what they are called by, and for those of the system's directories that are on them.
 */
export async function injectDrivers(
  { host, guestAdapter, objectStore, lookUpHosts }: DriverDependencies,
  { run, vm, volumes, bootScripts, hosts, test, without }: InjectDrivers,
): Promise<AdaptationReport> {
  const boot = volumes.find((volume) => volume.boot);
  if (boot === undefined)
    throw ApplicationFailure.nonRetryable(`${vm} has no boot volume among ${volumes.length}.`, 'WrongVolume');
  const store = objectStore(run.repository);
  const scripts: BootScript[] = [];
  for (const reference of bootScripts)
    scripts.push(bootScriptOf(reference, await loadBootScript(store, reference)));

  const addresses = hosts ?? (await lookUpHosts(run, vm, test, without));

  return withAttached(host, volumes, (paths) => {
    const pathOf = (volume: RecoveredVolume): string => paths.get(volume.volumeId) ?? '';
    return guestAdapter.adaptForRecoverySite({
      diskPath: pathOf(boot),
      ...otherDisks(volumes, boot, pathOf),
      bootScripts: scripts,
      hosts: addresses,
      runId: run.runId,
    });
  });
}

/** Runs work on volumes that are attached to this host meanwhile. The paths are by volume id. */
async function withAttached<T>(
  host: ProxyHost,
  volumes: RecoveredVolume[],
  work: (paths: ReadonlyMap<string, string>) => Promise<T>,
): Promise<T> {
  const claim = await claimNames(host, volumes);
  try {
    return await whileAttached(host, volumes, claim, work);
  } finally {
    claim.release();
  }
}

async function whileAttached<T>(
  host: ProxyHost,
  volumes: RecoveredVolume[],
  claim: DeviceClaim,
  work: (paths: ReadonlyMap<string, string>) => Promise<T>,
): Promise<T> {
  const begun: RecoveredVolume[] = [];
  const paths = new Map<string, string>();
  let result: T;
  try {
    for (const volume of volumes) {
      // Before the attempt: one that is cut off may have attached the volume all the same.
      begun.push(volume);
      paths.set(volume.volumeId, (await attachAt(host, volume, claim)).path);
    }
    result = await work(paths);
  } catch (error) {
    // The first failure is the one to tell; a volume left attached is taken off by whoever needs it next.
    await Promise.allSettled(begun.map((volume) => detachFromProxy(host, volume)));
    throw error;
  }
  for (const volume of volumes) await detachFromProxy(host, volume);
  return result;
}
