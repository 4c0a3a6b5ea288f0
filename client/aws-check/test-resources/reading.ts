import { DeleteSnapshotCommand } from '@aws-sdk/client-ec2';
import { type Blocks, checksumOf, listBlocks, listChanged, readBlock } from './blocks';
import { type TriedSnapshots } from './start';
import { type Trial } from './trial';

/** Everything that was written is read back. */
export async function tryReading(
  { questions, clients }: Trial,
  parent: TriedSnapshots['parent'],
  child: { id: string; blocks: Blocks },
): Promise<void> {
  const { ebs } = clients;
  for (const [name, { id, blocks }] of [['parent', parent] as const, ['child', child] as const]) {
    const listed = await questions.ask({
      id: `ebs.list-${name}`,
      about: `the blocks of the ${name} are listed`,
      action: 'ebs:ListSnapshotBlocks',
      call: () => ebs.send(listBlocks(id)),
      facts: ({ Blocks = [], BlockSize = null, VolumeSize = null }) => ({
        blocks: Blocks.map(({ BlockIndex = null }) => BlockIndex),
        BlockSize,
        VolumeSize,
      }),
    });
    for (const block of listed?.Blocks ?? []) {
      const index = block.BlockIndex ?? -1;
      const expected = blocks.get(index) ?? parent.blocks.get(index);
      await questions.ask({
        id: `ebs.get-${name}-${index}`,
        about: `block ${index} of the ${name} is read back as it was written`,
        action: 'ebs:GetSnapshotBlock',
        call: () => readBlock(ebs, id, block, expected),
        facts: ({ same, Checksum }) => ({
          'the same bytes': same,
          'the same checksum': expected !== undefined && Checksum === checksumOf(expected),
        }),
      });
    }
  }
  await questions.ask({
    id: 'ebs.get-wrong-token',
    about: 'a block by another token is refused',
    action: 'ebs:GetSnapshotBlock',
    call: () => readBlock(ebs, child.id, { BlockIndex: 1, BlockToken: 'AAAA' }, undefined),
  });
  await questions.ask({
    id: 'ebs.changed',
    about: 'what changed between parent and child is listed; what was written again as it was is no change',
    action: 'ebs:ListChangedBlocks',
    call: () => ebs.send(listChanged(parent.id, child.id)),
    facts: ({ ChangedBlocks = [] }) => ({
      blocks: ChangedBlocks.map(({ BlockIndex = null }) => BlockIndex),
    }),
  });
}

/** A child outlives its parent: a restore deletes the DR copy that it has replaced. */
export async function tryChildAlone(
  { questions, clients }: Trial,
  { parent, child, first }: TriedSnapshots,
): Promise<void> {
  const { ebs, ec2 } = clients;
  const deleted = await questions.ask({
    id: 'ec2.delete-parent',
    about: 'the parent is deleted while its child is there',
    action: 'ec2:DeleteSnapshot',
    call: () => ec2.send(new DeleteSnapshotCommand({ SnapshotId: parent.id })),
  });
  if (deleted === undefined) return;
  const listed = await questions.ask({
    id: 'ebs.list-orphan',
    about: 'the child has all blocks without it',
    action: 'ebs:ListSnapshotBlocks',
    call: () => ebs.send(listBlocks(child.id)),
    facts: ({ Blocks = [] }) => ({ blocks: Blocks.map(({ BlockIndex = null }) => BlockIndex) }),
  });
  const block = listed?.Blocks?.find(({ BlockIndex }) => BlockIndex === 0);
  if (block !== undefined)
    await questions.ask({
      id: 'ebs.get-orphan',
      about: 'a block of it is read back without the parent',
      action: 'ebs:GetSnapshotBlock',
      call: () => readBlock(ebs, child.id, block, first),
      facts: ({ same }) => ({ 'the same bytes': same }),
    });
  await questions.ask({
    id: 'ebs.list-deleted',
    about: 'the blocks of a deleted snapshot are not listed',
    action: 'ebs:ListSnapshotBlocks',
    call: () => ebs.send(listBlocks(parent.id)),
  });
}
