import {
  DeleteSnapshotCommand,
  DeleteVolumeCommand,
  type EC2Client,
  type Snapshot,
  type Tag,
  UnlockSnapshotCommand,
} from '@aws-sdk/client-ec2';
import { deregisterImage, listImages } from '../../../activities/aws-proxy/account/images';
import { listSnapshots, listVolumes } from '../../../activities/aws-proxy/account/lookup';
import { deleteSnapshots } from '../../../activities/aws-proxy/account/snapshots';
import { TAG_PREFIX } from '../../../activities/aws-proxy/account/tags';
import { hasCode } from '../../../activities/failures';
import { CHECK_DESCRIPTION, CHECK_FILTER, CHECK_ID, CHECK_TAG, IMAGE_NAME } from '../site';
import { type Made } from './trial';
import { type Failure, trying } from './trying';

/** Largest thing that the check makes. A wrong call, if it were done, makes one of 2 GiB. */
const MOST_GIB = 2;

/**
 * Whether a tag says for certain that a check has made this. Tags are hostile input: whoever may tag could have the check delete a DR
 * copy otherwise. So what carries a tag of Lifeboat's beside it is none, and descriptions and names, which nobody can change, count, too.
 */
function isOurs(tags: Tag[] | undefined): boolean {
  const lifeboats = (tags ?? []).filter(({ Key = '' }) => Key.startsWith(TAG_PREFIX));
  return (
    lifeboats.every(({ Key, Value = '' }) => Key === CHECK_TAG && CHECK_ID.test(Value)) &&
    lifeboats.length > 0
  );
}

/** One kind of what is removed. */
interface Kind {
  kind: Made['kind'];
  list: () => Promise<(string | undefined)[]>;
  remove: (id: string) => Promise<void>;
}

/** In the order in which it goes: an image holds its snapshot. */
const kinds = (ec2: EC2Client): Kind[] => [
  {
    kind: 'image',
    list: async () =>
      (await listImages(ec2, CHECK_FILTER))
        .filter(({ Tags, Name = '' }) => isOurs(Tags) && Name.startsWith(IMAGE_NAME))
        .map(({ ImageId }) => ImageId),
    remove: (id) => deregisterImage(ec2, id),
  },
  {
    kind: 'volume',
    list: async () =>
      (await listVolumes(ec2, CHECK_FILTER))
        .filter(({ Tags, Size = 0 }) => isOurs(Tags) && Size <= MOST_GIB)
        .filter(({ State }) => State !== 'deleting' && State !== 'deleted')
        .map(({ VolumeId }) => VolumeId),
    remove: async (VolumeId) => {
      try {
        await ec2.send(new DeleteVolumeCommand({ VolumeId }));
      } catch (error) {
        if (!hasCode(error, 'InvalidVolume.NotFound')) throw error;
      }
    },
  },
  {
    kind: 'snapshot',
    list: async () =>
      (await listSnapshots(ec2, CHECK_FILTER)).filter(isOurSnapshot).map(({ SnapshotId }) => SnapshotId),
    remove: (id) => removeSnapshot(ec2, id),
  },
];

const isOurSnapshot = ({ Tags, Description, VolumeSize = 0 }: Snapshot): boolean =>
  isOurs(Tags) && Description === CHECK_DESCRIPTION && VolumeSize <= MOST_GIB;

/** A check that was killed between a lock and its end has left it locked. */
async function removeSnapshot(ec2: EC2Client, SnapshotId: string): Promise<void> {
  if ((await deleteSnapshots(ec2, [SnapshotId])).includes(SnapshotId)) return;
  await ec2.send(new UnlockSnapshotCommand({ SnapshotId }));
  await ec2.send(new DeleteSnapshotCommand({ SnapshotId }));
}

/**
 * Removes what checks have made in EC2, as far as that can be done now.
 * @param made what this run knows of, which may not be listed yet
 * @param removed is added to
 */
export async function removeFromEc2(
  ec2: EC2Client,
  made: ReadonlyMap<string, Made>,
  removed: Set<string>,
): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (const { kind, list, remove } of kinds(ec2)) {
    const ids = [...made.values()].filter((one) => one.kind === kind).map(({ id }) => id);
    failures.push(
      ...(await trying(`${kind}s`, async () => void ids.push(...(await list()).flatMap((id) => id ?? [])))),
    );
    for (const id of new Set(ids.filter((one) => !removed.has(one))))
      failures.push(
        ...(await trying(id, async () => {
          await remove(id);
          removed.add(id);
        })),
      );
  }
  return failures;
}
