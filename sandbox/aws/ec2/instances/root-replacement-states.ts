import { type Account, now } from '../../account';
import { workFails } from '../../faults/afflicted-work';
import { type InstanceRecord, type RootReplacementRecord, type VolumeRecord } from '../../state/records';
import { attachedVolumes, machineOf } from './instance-states';
import { removeVolume } from '../volume-states';

export function rootOf(account: Account, instance: InstanceRecord): VolumeRecord | undefined {
  return attachedVolumes(account, instance.id).find(
    ({ attachment }) => attachment?.device === instance.rootDeviceName,
  );
}

export const isUnderWay = ({ state }: RootReplacementRecord): boolean =>
  state === 'pending' || state === 'in-progress' || state === 'failing';

/** Whether an instance's machine may be off because its root is being replaced. */
export function isReplacing(account: Account, instanceId: string): boolean {
  return account.rootReplacements.all().some((task) => task.instanceId === instanceId && isUnderWay(task));
}

/**
 * pending → in-progress → succeeded, or failing → failed: then the original root is where it was. The instance counts as
 * running all the while, and boots anew. Where the endpoint dies on the way, it goes on from what is attached.
 */
export function continueRootReplacement(account: Account, id: string): void {
  const begun = account.rootReplacements.get(id);
  if (begun === undefined) return;
  // By the instance's name: a stop or an end of it waits for this.
  void account.background.run(begun.instanceId, async () => {
    const task = account.rootReplacements.get(id);
    if (task === undefined || !isUnderWay(task)) return;
    if (task.state === 'failing') return fail(account, task);
    await account.background.wait(account.times.rootReplace);
    const instance = runningInstance(account, task);
    if (instance === undefined || workFails()) return fail(account, task);
    account.rootReplacements.update(id, { state: 'in-progress' });
    await account.runner.kill(instance.id);
    await account.background.wait(account.times.rootReplace);
    if (!exchange(account, task, instance)) return fail(account, task);
    await account.runner.start(machineOf(account, instance));
    account.rootReplacements.update(id, { state: 'succeeded', completedAt: now() });
    if (task.deleteReplaced) deleteReplaced(account, task);
  });
}

/** A stop, or an end, that was asked for meanwhile comes first. */
function runningInstance(
  account: Account,
  { instanceId }: RootReplacementRecord,
): InstanceRecord | undefined {
  const instance = account.instances.get(instanceId);
  return instance?.state === 'running' ? instance : undefined;
}

/** Takes the root off and puts the volume there. @returns whether it could: the volume may have been taken meanwhile */
function exchange(account: Account, task: RootReplacementRecord, instance: InstanceRecord): boolean {
  if (runningInstance(account, task) === undefined) return false;
  const root = rootOf(account, instance);
  // The endpoint died after it had done this.
  if (root?.id === task.volumeId) return true;
  const volume = account.volumes.get(task.volumeId);
  if (volume?.state !== 'available' || volume.attachment !== undefined || volume.deletedAt !== undefined)
    return false;
  // The replaced root first: no moment has two of them, and a restart between finds which one it was by the task.
  if (root !== undefined) {
    account.rootReplacements.update(task.id, { replacedVolumeId: root.id });
    account.volumes.put({ ...root, state: 'available', attachment: undefined });
  }
  account.volumes.put({
    ...volume,
    state: 'in-use',
    attachment: {
      instanceId: instance.id,
      device: instance.rootDeviceName,
      state: 'attached',
      // "The replacement root volume gets the same … delete on termination attributes as the original" (User Guide).
      deleteOnTermination: root?.attachment?.deleteOnTermination ?? true,
      attachedAt: now(),
    },
  });
  return true;
}

function deleteReplaced(account: Account, { id }: RootReplacementRecord): void {
  const replaced = account.volumes.get(account.rootReplacements.get(id)?.replacedVolumeId ?? '');
  if (replaced?.state === 'available') removeVolume(account, replaced.id);
}

/** The machine runs on, or again, with the root that it had. */
async function fail(account: Account, task: RootReplacementRecord): Promise<void> {
  account.rootReplacements.update(task.id, { state: 'failing' });
  await account.background.wait(account.times.rootReplace);
  const instance = runningInstance(account, task);
  if (instance !== undefined && !(await account.runner.isRunning(instance.id)))
    await account.runner.start(machineOf(account, instance));
  account.rootReplacements.update(task.id, { state: 'failed', completedAt: now() });
}
