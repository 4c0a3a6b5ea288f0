import { type Account, now } from '../../account';
import { workFails } from '../../faults/afflicted-work';
import { type InstanceMachine } from '../../runner/runner';
import { derivedMac } from '../../state/ids';
import { type InstanceRecord, type VolumeRecord } from '../../state/records';
import { openPorts } from '../addresses';
import { findInstanceType } from './instance-types';
import { continueAttachment, hideDevice, removeVolume } from '../volume-states';

/** What a machine gets at most: several must fit on a developer's computer. */
const DEFAULT_MEMORY_MIB = 384;
const DEFAULT_CPUS = 1;

/** Seconds between looks at volumes that are still being made. */
const VOLUME_POLL = 0.05;

export function attachedVolumes(account: Account, instanceId: string): VolumeRecord[] {
  return account.volumes
    .all()
    .filter(({ attachment }) => attachment?.instanceId === instanceId)
    .sort((a, b) => ((a.attachment?.device ?? '') < (b.attachment?.device ?? '') ? -1 : 1));
}

/** The machine that an instance is. */
export function machineOf(account: Account, instance: InstanceRecord): InstanceMachine {
  const { config } = account;
  const type = findInstanceType(instance.instanceType);
  const subnet = config.fixtures.subnets.find(({ id }) => id === instance.subnetId);
  if (subnet === undefined)
    throw new Error(`the subnet ${instance.subnetId} of ${instance.id} is gone from the settings`);
  const groups = config.fixtures.securityGroups.filter(({ id }) => instance.securityGroups.includes(id));
  const disks = attachedVolumes(account, instance.id)
    .filter(({ attachment }) => attachment?.state !== 'detaching')
    .map((volume) => ({
      path: account.volumeFiles.path(volume.id),
      volumeId: volume.id,
      root: volume.attachment?.device === instance.rootDeviceName,
    }))
    .sort((a, b) => Number(b.root) - Number(a.root));
  return {
    instanceId: instance.id,
    firmware: instance.bootMode === 'uefi' || instance.bootMode === 'uefi-preferred' ? 'uefi' : 'bios',
    cpus: Math.min(type.vcpus, config.machineCpus ?? DEFAULT_CPUS),
    memoryMiB: Math.min(type.memoryMiB, config.machineMemoryMiB ?? DEFAULT_MEMORY_MIB),
    disks,
    nic: { segment: subnet.segment, mac: derivedMac(instance.id), address: instance.privateAddress },
    published:
      instance.publicAddress === undefined
        ? undefined
        : { address: instance.publicAddress, ports: openPorts(groups) },
  };
}

/** Moves an instance on from where its state says that it is under way; nothing to do in any other state. */
export function continueInstance(account: Account, id: string): void {
  void account.background.run(id, async () => {
    const instance = account.instances.get(id);
    switch (instance?.state) {
      case 'pending':
        return startUp(account, instance);
      case 'stopping':
        return goDown(account, instance);
      case 'shutting-down':
        return terminate(account, instance);
    }
  });
}

async function startUp(account: Account, { id }: InstanceRecord): Promise<void> {
  while (attachedVolumes(account, id).some(({ state }) => state === 'creating'))
    await account.background.wait(VOLUME_POLL);
  const stillPending = (): InstanceRecord | undefined => {
    const instance = account.instances.get(id);
    return instance?.state === 'pending' ? instance : undefined;
  };
  const instance = stillPending();
  if (instance === undefined) return;
  try {
    if (workFails()) throw new Error('a fault of the rules');
    await account.runner.start(machineOf(account, instance));
  } catch (error) {
    account.log(`${id} could not be started`, error);
    const message = 'Server.InternalError: Internal error on launch';
    const reason = { code: 'Server.InternalError', message };
    // The way of EC2: what was never up is terminated, and a stopped instance that does not start is stopped again.
    const state = instance.hasRun === true ? 'stopping' : 'shutting-down';
    if (stillPending() !== undefined)
      account.instances.update(id, { state, stateReason: reason, stopMode: 'forced' });
    continueInstance(account, id);
    return;
  }
  await account.background.wait(account.times.instanceStart);
  if (stillPending() !== undefined)
    account.instances.update(id, { state: 'running', stateReason: undefined, hasRun: true });
}

async function goDown(account: Account, instance: InstanceRecord): Promise<void> {
  const { id } = instance;
  if (instance.stopMode === 'forced') await account.runner.kill(id);
  else if (!(await account.runner.powerDown(id, account.times.powerDown))) await account.runner.kill(id);
  await account.runner.release(machineOf(account, instance));
  await account.background.wait(account.times.instanceStop);
  if (account.instances.get(id)?.state !== 'stopping') return;
  account.instances.update(id, {
    state: 'stopped',
    publicAddress: undefined,
    previousPublicAddress: instance.publicAddress,
    stopMode: undefined,
  });
}

async function terminate(account: Account, instance: InstanceRecord): Promise<void> {
  const { id } = instance;
  await account.runner.kill(id);
  await account.runner.release(machineOf(account, instance));
  await account.background.wait(account.times.instanceStop);
  for (const volume of attachedVolumes(account, id)) {
    if (instance.host) hideDevice(account, volume.id);
    if (volume.attachment?.deleteOnTermination) removeVolume(account, volume.id);
    else
      account.volumes.put({
        ...volume,
        attachment: undefined,
        state: volume.state === 'in-use' ? 'available' : volume.state,
      });
  }
  await account.runner.forget(id);
  account.instances.update(id, {
    state: 'terminated',
    publicAddress: undefined,
    previousPublicAddress: instance.publicAddress,
    stopMode: undefined,
    terminatedAt: now(),
  });
}

/** Whether the instance's guest or machine ended without being told to by the API. */
async function hasGoneOff(account: Account, id: string): Promise<boolean> {
  const running = (): boolean =>
    account.instances.get(id)?.state === 'running' && !account.background.isRunning(id);
  return running() && !(await account.runner.isRunning(id)) && running();
}

/** Notices machines that went off by themselves: their instances stop, or end where they were asked to. */
export async function watchInstances(account: Account): Promise<void> {
  for (const { id, state, host } of account.instances.all())
    if (state === 'running' && !host && (await hasGoneOff(account, id))) instanceWentOff(account, id);
}

function instanceWentOff(account: Account, id: string): void {
  const instance = account.instances.get(id);
  if (instance === undefined) return;
  const reason = {
    code: 'Client.InstanceInitiatedShutdown',
    message: 'Client.InstanceInitiatedShutdown: Instance initiated shutdown',
  };
  const state = instance.shutdownBehavior === 'terminate' ? 'shutting-down' : 'stopping';
  account.instances.update(id, { state, stateReason: reason, stopMode: 'forced' });
  continueInstance(account, id);
}

/**
 * After a start of the endpoint: takes up running machines and everything that was under way.
 * @param isReplacing whether an instance's machine may be off because its root is being replaced
 */
export async function resumeInstances(
  account: Account,
  isReplacing: (instanceId: string) => boolean,
): Promise<void> {
  for (const instance of account.instances.all()) {
    if (isReplacing(instance.id)) continue;
    if (instance.state === 'running' && !instance.host) {
      if (!(await account.runner.adopt(machineOf(account, instance)))) instanceWentOff(account, instance.id);
    } else continueInstance(account, instance.id);
  }
  for (const { id, attachment } of account.volumes.all())
    if (attachment !== undefined && attachment.state !== 'attached') continueAttachment(account, id);
}
