import {
  CreateSnapshotCommand,
  CreateVolumeCommand,
  DeleteVolumeCommand,
  type Snapshot,
  type Volume,
} from '@aws-sdk/client-ec2';
import { findSnapshot, findVolume } from '../../../activities/aws-proxy/account/lookup';
import { type TriedPlace } from '../place';
import { CHECK_DESCRIPTION } from '../site';
import { listChanged } from './blocks';
import { type TriedSnapshots } from './start';
import { type Trial } from './trial';

const GIB = 1;

/**
 * A volume of the child, and a snapshot of that volume: whether EBS tells what changed between the two decides how much a failback to
 * VMs that survived has to fetch (docs/decisions/0036).
 */
export async function tryVolume(
  trial: Trial,
  { parent, child }: TriedSnapshots,
  place: TriedPlace | undefined,
) {
  const { questions, clients, tags, id: run } = trial;
  const { ec2, ebs } = clients;
  const question = {
    id: 'ec2.volume',
    about: 'a volume is made of the child',
    action: 'ec2:CreateVolume',
  };
  if (place === undefined)
    return questions.tell(question, 'not asked', 'There is no subnet that says in which zone.');
  const created = await questions.ask({
    ...question,
    call: () =>
      trial.make(
        'volume',
        GIB,
        ec2.send(
          new CreateVolumeCommand({
            AvailabilityZone: place.availabilityZone,
            SnapshotId: child.id,
            VolumeType: 'gp3',
            ClientToken: `${run}-volume`,
            TagSpecifications: [{ ResourceType: 'volume', Tags: tags }],
          }),
        ),
      ),
    facts: ({ State = null, Size = null, VolumeType = null, SnapshotId }) => ({
      ...{ State, Size, VolumeType },
      'of the child': SnapshotId === child.id,
    }),
  });
  const volumeId = created?.VolumeId;
  if (volumeId === undefined) return;
  const available = await questions.watch<Volume>({
    id: 'ec2.volume-available',
    about: 'the volume becomes available',
    action: 'ec2:DescribeVolumes',
    from: 'creating',
    look: () => findVolume(ec2, volumeId),
    state: ({ State }) => State,
    until: 'available',
    never: ['error', 'deleting'],
    facts: ({ Size = null, VolumeType = null }) => ({ Size, VolumeType }),
  });
  if (available === undefined) return;
  const taken = await questions.ask({
    id: 'ec2.snapshot-of-volume',
    about: 'a snapshot is made of the volume',
    action: 'ec2:CreateSnapshot',
    call: () =>
      trial.make(
        'snapshot',
        GIB,
        ec2.send(
          new CreateSnapshotCommand({
            VolumeId: volumeId,
            Description: CHECK_DESCRIPTION,
            TagSpecifications: [{ ResourceType: 'snapshot', Tags: tags }],
          }),
        ),
      ),
    facts: ({ State = null, VolumeSize = null, VolumeId }) => ({
      State,
      VolumeSize,
      'of the volume': VolumeId === volumeId,
    }),
  });
  const snapshotId = taken?.SnapshotId;
  if (snapshotId === undefined) return;
  const completed = await questions.watch<Snapshot>({
    id: 'ec2.snapshot-of-volume-completed',
    about: 'the snapshot of the volume becomes completed',
    action: 'ec2:DescribeSnapshots',
    from: 'pending',
    look: () => findSnapshot(ec2, snapshotId),
    state: ({ State }) => State,
    until: 'completed',
    never: ['error'],
  });
  if (completed !== undefined)
    for (const [name, first] of [['child', child.id] as const, ['parent', parent.id] as const])
      await questions.ask({
        id: `ebs.changed-${name}-to-volume`,
        about: `what changed between the ${name} and the snapshot of the volume is told`,
        action: 'ebs:ListChangedBlocks',
        call: () => ebs.send(listChanged(first, snapshotId)),
        facts: ({ ChangedBlocks = [] }) => ({
          blocks: ChangedBlocks.map(({ BlockIndex = null }) => BlockIndex),
        }),
      });
  await questions.ask({
    id: 'ec2.delete-volume',
    about: 'the volume is deleted',
    action: 'ec2:DeleteVolume',
    call: () => ec2.send(new DeleteVolumeCommand({ VolumeId: volumeId })),
  });
}
