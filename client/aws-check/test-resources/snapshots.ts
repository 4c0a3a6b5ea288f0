import { type Snapshot } from '@aws-sdk/client-ec2';
import { findSnapshot } from '../../../activities/aws-proxy/account/lookup';
import { aggregateOf, type Blocks, checksumOf, complete, putBlock, randomBlock } from './blocks';
import { BLOCK_SIZE } from '../../../blocks/port';
import { tryReading } from './reading';
import { GIB, start, type TriedSnapshots, watchSnapshot } from './start';
import { type Trial } from './trial';
import { tryPending, trySpoiltSnapshot } from './wrong-calls';

/**
 * Snapshots by EBS direct, as restores and launch copies make them: a full one, a child of it, what changed between them, all of it
 * read back. Wrong calls go to a third one, since a snapshot that has refused some may be good for nothing any more.
 * @returns undefined where a later question has nothing to go on with
 */
export async function trySnapshots(trial: Trial): Promise<TriedSnapshots | undefined> {
  const parent = await makeParent(trial);
  await trySpoiltSnapshot(trial, parent?.id);
  if (parent === undefined) return undefined;
  const child = await makeChild(trial, parent);
  if (child === undefined) return undefined;
  await tryReading(trial, parent, child);
  return { parent, child, first: child.blocks.get(0) ?? Buffer.alloc(0) };
}

async function makeParent(trial: Trial): Promise<TriedSnapshots['parent'] | undefined> {
  const { questions, clients } = trial;
  const { ebs, ec2 } = clients;
  const started = await questions.ask({
    id: 'ebs.start',
    about: 'EBS direct begins a snapshot of 1 GiB, with tags and a client token',
    action: 'ebs:StartSnapshot',
    call: () => trial.make('snapshot', GIB, ebs.send(start(trial, 'parent', {}))),
    facts: ({ Status = null, BlockSize = null, VolumeSize = null }) => ({ Status, BlockSize, VolumeSize }),
  });
  const id = started?.SnapshotId;
  if (id === undefined) return undefined;
  await questions.ask({
    id: 'ebs.start-again',
    about: 'the same client token again gives the same snapshot',
    action: 'ebs:StartSnapshot',
    call: () => trial.make('snapshot', GIB, ebs.send(start(trial, 'parent', {}))),
    facts: ({ SnapshotId }) => ({ 'the same snapshot': SnapshotId === id }),
  });
  await questions.ask({
    id: 'ebs.start-token-reused',
    about: 'the client token with another size is refused',
    action: 'ebs:StartSnapshot',
    call: () => trial.make('snapshot', 2, ebs.send(start(trial, 'parent', { VolumeSize: 2 }))),
  });
  await questions.watch<Snapshot>({
    id: 'ec2.pending-listed',
    about: 'EC2 lists it while it is pending',
    action: 'ec2:DescribeSnapshots',
    look: () => findSnapshot(ec2, id),
    state: ({ State }) => State,
    until: 'pending',
    never: ['completed', 'error'],
    facts: ({ VolumeId = null, Progress = null, Tags = [] }) => ({
      VolumeId,
      Progress,
      tags: Tags.map(({ Key = '' }) => Key).sort(),
    }),
  });
  const blocks = new Map([0, 1].map((index) => [index, randomBlock()]));
  for (const [index, block] of blocks) {
    const put = await questions.ask({
      id: `ebs.put-${index}`,
      about: `block ${index} of 512 KiB is written, with its SHA-256`,
      action: 'ebs:PutSnapshotBlock',
      call: () => ebs.send(putBlock(id, index, block)),
      facts: ({ Checksum }) => ({ 'the same checksum': Checksum === checksumOf(block) }),
    });
    if (put === undefined) return undefined;
  }
  await questions.ask({
    id: 'ebs.put-twice',
    about: 'a block is written a second time, as after a lost answer',
    action: 'ebs:PutSnapshotBlock',
    call: () => ebs.send(putBlock(id, 0, blocks.get(0) ?? randomBlock())),
  });
  await tryPending(trial, id);
  const completed = await questions.ask({
    id: 'ebs.complete',
    about: 'the snapshot is completed, with the number of blocks and the checksum over them',
    action: 'ebs:CompleteSnapshot',
    call: () => ebs.send(complete(id, blocks)),
    facts: ({ Status = null }) => ({ Status }),
  });
  if (completed === undefined) return undefined;
  await questions.ask({
    id: 'ebs.complete-again',
    about: 'completing it a second time is no error, as after a lost answer',
    action: 'ebs:CompleteSnapshot',
    call: () => ebs.send(complete(id, blocks)),
  });
  if ((await watchSnapshot(trial, id, 'ec2.completed', 'it becomes completed')) === undefined)
    return undefined;
  await questions.ask({
    id: 'ebs.put-completed',
    about: 'a block of a completed snapshot is refused',
    action: 'ebs:PutSnapshotBlock',
    call: () => ebs.send(putBlock(id, 2, randomBlock())),
  });
  return { id, blocks };
}

async function makeChild(
  trial: Trial,
  parent: TriedSnapshots['parent'],
): Promise<{ id: string; blocks: Blocks } | undefined> {
  const { questions, clients } = trial;
  const { ebs } = clients;
  const started = await questions.ask({
    id: 'ebs.start-child',
    about: 'a child of the snapshot is begun (ParentSnapshotId)',
    action: 'ebs:StartSnapshot',
    call: () => trial.make('snapshot', GIB, ebs.send(start(trial, 'child', { ParentSnapshotId: parent.id }))),
    facts: ({ Status = null, ParentSnapshotId }) => ({
      Status,
      'the parent': ParentSnapshotId === parent.id,
    }),
  });
  const id = started?.SnapshotId;
  if (id === undefined) return undefined;
  const written = new Map([
    [0, parent.blocks.get(0) ?? randomBlock()],
    [1, randomBlock()],
    [5, Buffer.alloc(BLOCK_SIZE)],
  ]);
  for (const [index, block] of written) {
    const put = await questions.ask({
      id: `ebs.put-child-${index}`,
      about:
        { 0: 'the same block again', 1: 'a changed block', 5: 'a block of zeros' }[index] +
        ' is written to it',
      action: 'ebs:PutSnapshotBlock',
      call: () => ebs.send(putBlock(id, index, block)),
    });
    if (put === undefined) return undefined;
  }
  const completed = await questions.ask({
    id: 'ebs.complete-child',
    about: 'it is completed: number and checksum are of the blocks written to it alone',
    action: 'ebs:CompleteSnapshot',
    call: () => ebs.send(complete(id, written, { checksum: aggregateOf(written) })),
    facts: ({ Status = null }) => ({ Status }),
  });
  if (completed === undefined) return undefined;
  const seen = await watchSnapshot(trial, id, 'ec2.child-completed', 'the child becomes completed');
  return seen === undefined ? undefined : { id, blocks: written };
}
