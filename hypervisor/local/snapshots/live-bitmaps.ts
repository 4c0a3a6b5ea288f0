import { diskNode } from '../../../machines/hardware';
import { type QmpClient } from '../../../machines/qmp';
import { type DiskConfiguration } from '../../port';

/**
 * Which parts of a running VM's disks were written between its snapshots, kept by QEMU in dirty bitmaps. A disk has
 * one bitmap for each interval from a snapshot to the next: the transaction that takes a snapshot stops the bitmap of
 * the interval that ends there and begins the next one, so that no write falls between them. What has changed since
 * an earlier snapshot is the union of the intervals from there on. All of it lives in the QEMU process and ends with it,
 * and a bitmap's name says all that must be known of it: this side keeps nothing that could disagree.
 */

/** Intervals kept for each disk: the backup before, and a few more in case backups were not finished. */
const KEPT_INTERVALS = 4;

/** A bit for each block of a copy (512 KiB): 16 MiB of QEMU's memory an interval for a disk of 64 TiB. */
export const BITMAP_GRANULARITY = 512 * 1024;

/** `lifeboat-<number>-<tag>`: numbers rise by one with each snapshot, the tag is that of the snapshot it began at. */
const NAME = /^lifeboat-(\d{1,15})-([0-9a-f]{12})$/;

/** The writes from one snapshot to the next one, or, while it is recording, till now. */
export interface Interval {
  name: string;
  sequence: number;
  /** Of the snapshot at its beginning. */
  tag: string;
  recording: boolean;
  /** Bytes that were written, in whole granules. */
  count: number;
}

interface BlockNode {
  'node-name': string;
  /** QEMU's own, of the snapshots' jobs, have no name. */
  'dirty-bitmaps'?: { name?: string; recording: boolean; inconsistent?: boolean; count: number }[];
}

/** The intervals of a disk that QEMU keeps, oldest first. One that QEMU does not trust is left out. */
export async function intervalsOf(qmp: QmpClient, disk: DiskConfiguration): Promise<Interval[]> {
  return intervals(await queryNodes(qmp), disk);
}

/**
 * The actions by which the transaction of a snapshot ends one interval and begins the next, after the oldest ones have
 * been deleted. They must come after those that hold the disks' writes back.
 */
export async function nextIntervalActions(
  qmp: QmpClient,
  disks: readonly DiskConfiguration[],
  tag: string,
): Promise<{ type: string; data: Record<string, unknown> }[]> {
  const nodes = await queryNodes(qmp);
  const found = disks.map((disk) => ({ node: diskNode(disk), intervals: intervals(nodes, disk) }));
  for (const { node, intervals: old } of found)
    // Oldest first, so that a break here leaves no gap.
    for (const { name } of old.slice(0, Math.max(0, old.length - (KEPT_INTERVALS - 1))))
      await qmp.execute('block-dirty-bitmap-remove', { node, name });

  const sequence = 1 + Math.max(0, ...found.flatMap((disk) => disk.intervals.map((one) => one.sequence)));
  return found.flatMap(({ node, intervals: current }) => [
    ...current
      .filter(({ recording }) => recording)
      .map(({ name }) => ({ type: 'block-dirty-bitmap-disable', data: { node, name } })),
    {
      type: 'block-dirty-bitmap-add',
      data: { node, name: `lifeboat-${sequence}-${tag}`, granularity: BITMAP_GRANULARITY, persistent: false },
    },
  ]);
}

/**
 * The intervals that make up all that was written between two snapshots; undefined where one of them is not known.
 * A tag that was used twice, as after a try that was broken off, means its first snapshot as the beginning, and its
 * last as the end: that finds too much, never too little.
 */
export function intervalsBetween(all: readonly Interval[], from: string, to: string): Interval[] | undefined {
  const first = all.find(({ tag }) => tag === from);
  const last = all.findLast(({ tag }) => tag === to);
  if (!first || !last || last.sequence < first.sequence) return undefined;
  const between = all.filter(({ sequence }) => sequence >= first.sequence && sequence < last.sequence);
  const complete = between.length === last.sequence - first.sequence;
  return complete && between.every(({ recording }) => !recording) ? between : undefined;
}

async function queryNodes(qmp: QmpClient): Promise<BlockNode[]> {
  return qmp.execute<BlockNode[]>('query-named-block-nodes', { flat: true });
}

function intervals(nodes: readonly BlockNode[], disk: DiskConfiguration): Interval[] {
  const node = nodes.find((candidate) => candidate['node-name'] === diskNode(disk));
  return (node?.['dirty-bitmaps'] ?? [])
    .flatMap(({ name, recording, inconsistent, count }) => {
      const [, sequence, tag] = NAME.exec(name ?? '') ?? [];
      if (name === undefined || sequence === undefined || tag === undefined || inconsistent === true)
        return [];
      return [{ name, sequence: Number(sequence), tag, recording, count }];
    })
    .sort((a, b) => a.sequence - b.sequence);
}
