import {
  DeleteVolumeCommand,
  DetachVolumeCommand,
  type EC2Client,
  type Volume,
  type VolumeAttachment,
} from '@aws-sdk/client-ec2';
import { hasCode } from '../../failures';
import { findVolume } from './lookup';
import { volumeLooks } from './volume-looks';
import { waitFor, type WaitOptions } from './waiting';

/** An id that AWS always answers with. @throws Error where it did not */
export function known(call: string, id: string | undefined): string {
  if (id === undefined || id === '') throw new Error(`${call} answered without an id.`);
  return id;
}

/** Waits until the volume hangs on nothing and can be used. @throws ApplicationFailure VolumeFailed */
export async function volumeAvailable(
  ec2: EC2Client,
  volumeId: string,
  options: WaitOptions = {},
): Promise<void> {
  const look = volumeLooks(ec2, volumeId);
  await waitFor(
    `${volumeId} to be available`,
    async () => ((await look())?.State === 'available' ? true : undefined),
    options,
  );
}

/** Looks, some two minutes of them, after which a proxy that has not let go of a volume is taken for hung. */
const FORCE_AFTER_LOOKS = 48;

/**
 * Detaches a volume from whatever has it, and waits until it is available or gone.
 * @param options.force takes it also from a host that does not let go of it; what the host holds back is lost then
 */
export async function detachVolume(
  ec2: EC2Client,
  volumeId: string,
  { force = false, ...options }: WaitOptions & { force?: boolean } = {},
): Promise<void> {
  let looks = 0;
  await waitFor(
    `${volumeId} to be detached`,
    async () => {
      const volume = await findVolume(ec2, volumeId);
      if (volume === undefined || volume.State === 'deleting' || volume.State === 'deleted') return true;
      const holder = attachmentOf(volume);
      if (holder === undefined) return volume.State === 'in-use' ? undefined : true;
      looks++;
      const hung = force && looks % FORCE_AFTER_LOOKS === 0;
      if (holder.State !== 'detaching' || hung)
        await requestDetach(ec2, volumeId, holder.InstanceId ?? '', hung);
      return undefined;
    },
    options,
  );
}

/** DeleteVolume; one that is gone, or going, is no error. */
export async function requestDeletion(ec2: EC2Client, volumeId: string): Promise<void> {
  try {
    await ec2.send(new DeleteVolumeCommand({ VolumeId: volumeId }));
  } catch (error) {
    if (!hasCode(error, 'InvalidVolume.NotFound')) throw error;
  }
}

/** DetachVolume; a volume that is on its way off, or off, is none the worse for it. */
export async function requestDetach(
  ec2: EC2Client,
  volumeId: string,
  instanceId: string,
  force = false,
): Promise<void> {
  try {
    await ec2.send(
      new DetachVolumeCommand({
        VolumeId: volumeId,
        InstanceId: instanceId,
        ...(force ? { Force: true } : {}),
      }),
    );
  } catch (error) {
    if (!hasCode(error, 'IncorrectState', 'InvalidAttachment.NotFound', 'InvalidVolume.NotFound'))
      throw error;
  }
}

/** The attachment of a volume that can have but one (Lifeboat makes no multi-attach volumes). */
export function attachmentOf(volume: Volume): VolumeAttachment | undefined {
  return volume.Attachments?.find(({ State }) => State !== 'detached');
}
