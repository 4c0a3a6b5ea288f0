import { CreateSnapshotCommand, CreateVolumeCommand, DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { open } from 'node:fs/promises';
import { attachToProxy } from '../../activities/aws-proxy/proxy-host/attachment';
import { type CopySite, inActivity } from './copy-site';

/**
 * The volume of a recovered VM, as the guest on EC2 writes to it, and its snapshots.
 * @param from an empty volume's size in GiB, or the snapshot that it is made from
 */
export async function recoveredVolume(
  { ec2, availabilityZone, proxy }: CopySite,
  from: { Size: number } | { SnapshotId: string },
) {
  const { VolumeId = '' } = await ec2.send(
    new CreateVolumeCommand({ ...from, AvailabilityZone: availabilityZone }),
  );
  const attach = (volumeId: string) => attachToProxy(proxy, { volumeId });
  const { path } = await inActivity(attach, VolumeId);
  const file = await open(path, 'r+');
  const snapshot = async (): Promise<string> => {
    await file.sync();
    const { SnapshotId = '' } = await ec2.send(new CreateSnapshotCommand({ VolumeId }));
    for (;;) {
      const { Snapshots } = await ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId] }));
      if (Snapshots?.[0]?.State === 'completed') return SnapshotId;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  return { file, snapshot };
}
