import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Account, collectGarbage, now } from '../account';
import { workFails } from '../faults/afflicted-work';
import { type InstanceRecord, type VolumeRecord } from '../state/records';

/** creating → available: makes the volume's file with the bytes of its snapshot. */
export function createVolumeFile(account: Account, id: string): void {
  void account.background.run(id, async () => {
    const volume = account.volumes.get(id);
    if (volume?.state !== 'creating' || volume.deletedAt !== undefined) return;
    const wait = account.background.wait(account.times.volumeCreate);
    wait.catch(() => {}); // awaited below; an early end must not count as unhandled while the copy still runs
    const map = volume.baseMap === undefined ? undefined : account.maps.get(volume.baseMap);
    try {
      await account.volumeFiles.create(id, volume.sizeGiB, map);
    } catch (error) {
      // A volume that was removed meanwhile (its instance was terminated) may have lost its layers: no harm.
      if (account.volumes.get(id)?.deletedAt === undefined) account.volumes.update(id, { state: 'error' });
      else account.volumeFiles.delete(id);
      throw error;
    }
    await wait;
    if (account.volumes.get(id)?.deletedAt !== undefined) return account.volumeFiles.delete(id);
    if (workFails()) return void account.volumes.update(id, { state: 'error' });
    account.volumes.update(id, { state: volume.attachment === undefined ? 'available' : 'in-use' });
  });
}

/** Deletes a volume for good; its record stays for its client token only. */
export function removeVolume(account: Account, id: string): void {
  account.volumes.update(id, { state: 'deleting', deletedAt: now(), attachment: undefined });
  account.volumeFiles.delete(id);
  collectGarbage(account);
}

export function beginAttach(
  account: Account,
  volume: VolumeRecord,
  instance: InstanceRecord,
  device: string,
): VolumeRecord {
  const attaching = account.volumes.put({
    ...volume,
    state: 'in-use',
    attachment: {
      instanceId: instance.id,
      device,
      state: 'attaching',
      // What AWS sets for volumes attached by hand; RunInstances has its own default.
      deleteOnTermination: false,
      attachedAt: now(),
    },
  });
  continueAttachment(account, volume.id);
  return attaching;
}

export function beginDetach(account: Account, volume: VolumeRecord): VolumeRecord {
  const { attachment } = volume;
  if (attachment === undefined) throw new Error(`${volume.id} is not attached`);
  const detaching = account.volumes.put({ ...volume, attachment: { ...attachment, state: 'detaching' } });
  continueAttachment(account, volume.id);
  return detaching;
}

/** attaching → attached, detaching → available. */
export function continueAttachment(account: Account, volumeId: string): void {
  void account.background.run(volumeId, async () => {
    const { attachment } = account.volumes.get(volumeId) ?? {};
    if (attachment === undefined || attachment.state === 'attached') return;
    const onHost = account.instances.get(attachment.instanceId)?.host ?? false;
    // Like on EC2, the device is there a little before the API says so, and gone before it says "available".
    if (onHost && attachment.state === 'attaching') showDevice(account, volumeId);
    if (onHost && attachment.state === 'detaching') hideDevice(account, volumeId);
    await account.background.wait(account.times.volumeAttach);
    const current = account.volumes.get(volumeId);
    if (current?.attachment === undefined || current.deletedAt !== undefined) return;
    if (current.attachment.state === 'attaching')
      account.volumes.put({ ...current, attachment: { ...current.attachment, state: 'attached' } });
    else if (current.attachment.state === 'detaching')
      account.volumes.put({ ...current, state: 'available', attachment: undefined });
  });
}

/** Name of a volume's device on an instance, in /dev/disk/by-id there and in the device directory here. */
function devicePath(account: Account, volumeId: string): string {
  return join(account.config.deviceDirectory, `nvme-Amazon_Elastic_Block_Store_${volumeId.replace('-', '')}`);
}

function showDevice(account: Account, volumeId: string): void {
  mkdirSync(account.config.deviceDirectory, { recursive: true });
  hideDevice(account, volumeId);
  symlinkSync(resolve(account.volumeFiles.path(volumeId)), devicePath(account, volumeId));
}

export function hideDevice(account: Account, volumeId: string): void {
  rmSync(devicePath(account, volumeId), { force: true });
}
