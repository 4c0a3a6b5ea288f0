import { RegisterImageCommand } from '@aws-sdk/client-ec2';
import { guestImage, ROOT_DEVICE } from '../../../activities/aws-proxy/account/images';
import { IMAGE_NAME } from '../site';
import { checksumOf, complete, listBlocks, listChanged, putBlock, randomBlock } from './blocks';
import { BLOCK_SIZE } from '../../../blocks/port';
import { GIB, start, watchSnapshot } from './start';
import { type Trial } from './trial';

const BLOCKS_OF_SNAPSHOT = (GIB * 2 ** 30) / BLOCK_SIZE;

/** What a snapshot that is not completed is no good for. */
export async function tryPending(trial: Trial, id: string): Promise<void> {
  const { questions, clients, tags } = trial;
  const { ebs, ec2 } = clients;
  await questions.ask({
    id: 'ebs.list-pending',
    about: 'the blocks of a pending snapshot are not listed',
    action: 'ebs:ListSnapshotBlocks',
    call: () => ebs.send(listBlocks(id)),
  });
  await questions.ask({
    id: 'ebs.child-of-pending',
    about: 'a child of a pending snapshot is refused',
    action: 'ebs:StartSnapshot',
    call: () => trial.make('snapshot', GIB, ebs.send(start(trial, 'too-early', { ParentSnapshotId: id }))),
  });
  await questions.ask({
    id: 'ec2.image-of-pending',
    about: 'an image of a pending snapshot is refused',
    action: 'ec2:RegisterImage',
    call: () =>
      trial.make(
        'image',
        0,
        ec2.send(
          new RegisterImageCommand({
            Name: `${IMAGE_NAME}${trial.id}-pending`,
            ...guestImage('bios'),
            BlockDeviceMappings: [{ DeviceName: ROOT_DEVICE, Ebs: { SnapshotId: id } }],
            TagSpecifications: [{ ResourceType: 'image', Tags: tags }],
          }),
        ),
      ),
  });
}

/** Wrong calls, and what becomes of a snapshot that has refused them. */
export async function trySpoiltSnapshot(trial: Trial, related: string | undefined): Promise<void> {
  const { questions, clients } = trial;
  const { ebs } = clients;
  const started = await questions.ask({
    id: 'ebs.start-other',
    about: 'a second snapshot is begun, for calls that are wrong',
    action: 'ebs:StartSnapshot',
    call: () => trial.make('snapshot', GIB, ebs.send(start(trial, 'other', {}))),
  });
  const id = started?.SnapshotId;
  if (id === undefined) return;
  const block = randomBlock();
  const blocks = new Map([[0, block]]);
  const action = 'ebs:PutSnapshotBlock';
  const put = (index: number, data: Buffer, checksum?: string) =>
    ebs.send(putBlock(id, index, data, checksum));
  const wrong = checksumOf(randomBlock());
  await questions.ask({
    id: 'ebs.put-other',
    about: 'a block is written to it',
    action,
    call: () => put(0, block),
  });
  await questions.ask({
    id: 'ebs.put-wrong-checksum',
    about: 'a block with a wrong checksum is refused',
    action,
    call: () => put(1, block, wrong),
  });
  await questions.ask({
    id: 'ebs.put-beyond-end',
    about: 'a block beyond the end is refused',
    action,
    call: () => put(BLOCKS_OF_SNAPSHOT, block),
  });
  await questions.ask({
    id: 'ebs.put-short',
    about: 'a block of other than 512 KiB is refused',
    action,
    call: () => put(2, block.subarray(0, 4096)),
  });
  await questions.ask({
    id: 'ebs.complete-wrong-count',
    about: 'completing with a wrong number of blocks is refused',
    action: 'ebs:CompleteSnapshot',
    call: () => ebs.send(complete(id, blocks, { count: 2 })),
  });
  await questions.ask({
    id: 'ebs.complete-wrong-checksum',
    about: 'completing with a wrong checksum is refused',
    action: 'ebs:CompleteSnapshot',
    call: () => ebs.send(complete(id, blocks, { checksum: wrong })),
  });
  const completed = await questions.ask({
    id: 'ebs.complete-after-refusals',
    about: 'completing it rightly after that is done',
    action: 'ebs:CompleteSnapshot',
    call: () => ebs.send(complete(id, blocks)),
    facts: ({ Status = null }) => ({ Status }),
  });
  if (completed === undefined) return;
  const seen = await watchSnapshot(trial, id, 'ec2.completed-after-refusals', 'it becomes completed');
  if (seen === undefined || related === undefined) return;
  await questions.ask({
    id: 'ebs.changed-unrelated',
    about: 'what changed between snapshots of different lineage is refused',
    action: 'ebs:ListChangedBlocks',
    call: () => ebs.send(listChanged(related, id)),
  });
}
