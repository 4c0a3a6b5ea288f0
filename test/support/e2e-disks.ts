import { type EBSClient, GetSnapshotBlockCommand, ListSnapshotBlocksCommand } from '@aws-sdk/client-ebs';
import { hash } from 'node:crypto';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BLOCK_SIZE } from '../../blocks/port';
import { isZero } from '../../blocks/zero';
import { type DiskConfiguration, type Hypervisor, type VmConfiguration } from '../../hypervisor/port';
import { type BlockMap } from '../../repository/maps/block-map';
import { entriesOf } from './block-maps';
import { type E2eSandbox } from './e2e-sandbox';
import { type Pattern, patternBlock } from './synthetic-disk';

/** A disk to make: its size, and which of its blocks hold something; all others are zero. */
export interface MadeDisk extends DiskConfiguration {
  blocks: number[];
}

const blocksOf = (sizeBytes: number): number => Math.ceil(sizeBytes / BLOCK_SIZE);

/** Puts a VM into the data centre whose disks hold incompressible bytes and no operating system. */
export async function importMadeVm(sandbox: E2eSandbox, vm: string, disks: MadeDisk[]): Promise<void> {
  const configuration: VmConfiguration = {
    cpus: 1,
    memoryMiB: 64,
    firmware: 'bios',
    nics: [{ network: 'dc', mac: '00:50:56:00:20:01' }],
    guestOs: 'other-64',
    disks: disks.map(({ key, sizeBytes, slot, boot }) => ({ key, sizeBytes, slot, boot })),
  };
  const rawDisks = [];
  for (const disk of disks) {
    const path = join(sandbox.config.directory, 'made', `${vm}-${disk.key}.raw`);
    await makeRawDisk(path, `${vm}/${disk.key}`, disk);
    rawDisks.push({ key: disk.key, path });
  }
  await sandbox.site.importVm({ name: vm, configuration, rawDisks });
}

/** A sparse raw file with the blocks of a disk that hold something. */
export async function makeRawDisk(
  path: string,
  seed: string,
  { sizeBytes, blocks }: Pick<MadeDisk, 'sizeBytes' | 'blocks'>,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'w');
  try {
    await file.truncate(sizeBytes);
    for (const index of blocks) await writeBlock(file, index, sizeBytes, { random: `${seed} ${index}` });
  } finally {
    await file.close();
  }
}

/** Changes blocks of a powered-off VM's disk. */
export async function changeBlocks(
  hypervisor: Hypervisor,
  vm: string,
  key: string,
  changes: Record<number, Pattern>,
): Promise<void> {
  const disk = await hypervisor.openDisk(vm, key);
  try {
    const file = await open(disk.path, 'r+');
    try {
      for (const [index, pattern] of Object.entries(changes))
        await writeBlock(file, Number(index), disk.sizeBytes, pattern);
    } finally {
      await file.close();
    }
  } finally {
    await disk.close();
  }
}

async function writeBlock(
  file: FileHandle,
  index: number,
  sizeBytes: number,
  pattern: Pattern,
): Promise<void> {
  const offset = index * BLOCK_SIZE;
  await file.write(patternBlock(pattern), 0, Math.min(BLOCK_SIZE, sizeBytes - offset), offset);
}

/** Calls ListSnapshotBlocks to its end. */
async function listedBlocks(ebs: EBSClient, SnapshotId: string): Promise<Map<number, string>> {
  const tokens = new Map<number, string>();
  let NextToken: string | undefined;
  do {
    const page = await ebs.send(new ListSnapshotBlocksCommand({ SnapshotId, NextToken, MaxResults: 1000 }));
    for (const { BlockIndex, BlockToken } of page.Blocks ?? [])
      tokens.set(BlockIndex ?? -1, BlockToken ?? '');
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return tokens;
}

/**
 * Compares a snapshot, read by the EBS direct APIs alone, with the bytes of a disk; a block that is not listed is
 * zero, and so is what lies behind the disk's end.
 * @returns a line for each block that differs
 */
export async function snapshotDifferences(
  ebs: EBSClient,
  snapshotId: string,
  disk: { path: string; sizeBytes: number },
): Promise<string[]> {
  const listed = await listedBlocks(ebs, snapshotId);
  const differences: string[] = [];
  const file = await open(disk.path, 'r');
  try {
    const last = Math.max(blocksOf(disk.sizeBytes) - 1, ...listed.keys());
    const expected = Buffer.alloc(BLOCK_SIZE);
    for (let index = 0; index <= last; index++) {
      expected.fill(0);
      const offset = index * BLOCK_SIZE;
      const length = Math.max(0, Math.min(BLOCK_SIZE, disk.sizeBytes - offset));
      if (length > 0) {
        const { bytesRead } = await file.read(expected, 0, length, offset);
        if (bytesRead !== length) throw new Error(`${disk.path} ends in block ${index}.`);
      }
      const token = listed.get(index);
      const same =
        token === undefined
          ? isZero(expected)
          : expected.equals(await readBlock(ebs, snapshotId, index, token));
      if (!same) differences.push(`block ${index}${token === undefined ? ' is missing' : ' differs'}`);
    }
  } finally {
    await file.close();
  }
  return differences;
}

/** One block of a snapshot; zeros where the snapshot does not list it. */
export async function snapshotBlock(ebs: EBSClient, snapshotId: string, index: number): Promise<Buffer> {
  const token = (await listedBlocks(ebs, snapshotId)).get(index);
  return token === undefined ? Buffer.alloc(BLOCK_SIZE) : readBlock(ebs, snapshotId, index, token);
}

async function readBlock(
  ebs: EBSClient,
  SnapshotId: string,
  BlockIndex: number,
  BlockToken: string,
): Promise<Buffer> {
  const { BlockData } = await ebs.send(new GetSnapshotBlockCommand({ SnapshotId, BlockIndex, BlockToken }));
  return Buffer.from((await BlockData?.transformToByteArray()) ?? []);
}

/** Opens a disk of a powered-off VM, compares, and gives it up again. */
export async function diskDifferences(
  { site, aws }: Pick<E2eSandbox, 'site' | 'aws'>,
  vm: string,
  key: string,
  snapshotId: string,
): Promise<string[]> {
  const disk = await site.hypervisor.openDisk(vm, key);
  try {
    return await snapshotDifferences(aws.ebs, snapshotId, disk);
  } finally {
    await disk.close();
  }
}

/**
 * Compares a snapshot with what a backup says of the disk: the digest of every block that is not zero.
 * @returns a line for each block that differs
 */
export async function mapDifferences(ebs: EBSClient, snapshotId: string, map: BlockMap): Promise<string[]> {
  const listed = await listedBlocks(ebs, snapshotId);
  const differences: string[] = [];
  const entries = new Map((await entriesOf(map)).map(({ index, sha256 }) => [index, sha256]));
  const unlisted = new Set(entries.keys());
  for (const [index, token] of listed) {
    unlisted.delete(index);
    const block = await readBlock(ebs, snapshotId, index, token);
    const expected = entries.get(index);
    const same = expected === undefined ? isZero(block) : hash('sha256', block, 'buffer').equals(expected);
    if (!same) differences.push(`block ${index} differs`);
  }
  return [...differences, ...[...unlisted].map((index) => `block ${index} is missing`)];
}

/** Writes what a snapshot holds into a sparse raw file. */
export async function snapshotToFile(
  ebs: EBSClient,
  snapshotId: string,
  path: string,
  sizeBytes: number,
): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.truncate(sizeBytes);
    for (const [index, token] of await listedBlocks(ebs, snapshotId))
      await file.write(await readBlock(ebs, snapshotId, index, token), 0, BLOCK_SIZE, index * BLOCK_SIZE);
  } finally {
    await file.close();
  }
}

/** Byte positions at which two files differ in their first `sizeBytes`, by block; and bytes of `path` behind that. */
export async function fileDifferences(
  path: string,
  expectedPath: string,
  sizeBytes: number,
): Promise<string[]> {
  const [file, expectedFile] = await Promise.all([open(path, 'r'), open(expectedPath, 'r')]);
  try {
    const { size } = await file.stat();
    const differences: string[] = [];
    for (let offset = 0; offset < size; offset += BLOCK_SIZE) {
      const length = Math.min(BLOCK_SIZE, size - offset);
      const expected = Buffer.alloc(length);
      const inside = Math.max(0, Math.min(length, sizeBytes - offset));
      if (inside > 0) await expectedFile.read(expected, 0, inside, offset);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
      if (bytesRead !== length || !buffer.equals(expected))
        differences.push(`differs in block ${offset / BLOCK_SIZE}`);
    }
    if (size < sizeBytes) differences.push(`has ${size} of ${sizeBytes} bytes`);
    return differences;
  } finally {
    await Promise.all([file.close(), expectedFile.close()]);
  }
}
