import { hash } from 'node:crypto';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { type BlockInTransit, copyBlocks } from '../blocks/copy';
import { CopyJournal } from '../blocks/journal';
import { BLOCK_SIZE, type BlockRange, type BlockSink } from '../blocks/port';
import { type CopyProgress, SpeedMeter } from '../blocks/progress';
import { type CopyResult } from './copy-result';

/**
 * Milliseconds between heartbeats: a copy goes on one heartbeat timeout after the last recorded one, and the progress
 * bar is drawn from them. The SDK's own throttle thins them out where a worker sets it longer.
 */
const BEAT_MS = 1000;

/** Heartbeat details of a block copy. */
export interface CopyHeartbeat extends CopyProgress {
  /** All blocks below this are done: where another host can go on that lacks the journal. */
  resumeAt?: number;
}

/** A copy's progress as its activity keeps it. */
export interface TrackedProgress extends CopyProgress {
  /** Finds out {@link CopyHeartbeat.resumeAt}; asked at every beat, as it takes more than to keep a count. */
  resumeAt?: () => number;
}

/** A copy's progress before anything is known of it. */
export function newProgress(what: string, vm: string, disk: string): TrackedProgress {
  return { what, vm, disk, doneBlocks: 0, totalBlocks: 0, bytes: 0 };
}

/** Beats with the progress, whatever it is at the time, as long as the work lasts. */
export async function beatingProgress<T>(progress: TrackedProgress, work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const meter = new SpeedMeter();
  const beat = (): void => {
    const details: CopyHeartbeat = {
      ...progress,
      ...meter.look(progress),
      resumeAt: progress.resumeAt?.(),
    };
    context.heartbeat(details);
  };
  beat();
  const timer = setInterval(beat, BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** Where a copy's journal is; one file for each thing that is copied. */
export function journalPath(stateDirectory: string, kind: string, identity: readonly string[]): string {
  // The parts come from plans, hypervisors and tags, so none of them becomes part of a path.
  return join(stateDirectory, `${kind}-${hash('sha256', JSON.stringify(identity)).slice(0, 32)}`);
}

export interface DiskCopy {
  /** Changes as the copy goes on. */
  progress: TrackedProgress;
  stateDirectory: string;
  /** Everything that must be the same for recorded progress to mean anything. */
  identity: readonly string[];
  /** Within which the blocks lie. */
  range: BlockRange;
  /** Blocks that the copy is about, and the bytes that they come to on the target's side. */
  totalBlocks: number;
  totalBytes: number;
  openSink(signal: AbortSignal): Promise<BlockSink>;
  durable: 'at once' | 'when flushed';
  /** Blocks under way at once, at most, where a service is asked for them: what it takes at once may change. */
  concurrency?: () => number;
  /** Streams those of the blocks that are not done yet; asks about every block. */
  read(isPending: (index: number) => boolean, signal: AbortSignal): AsyncIterable<BlockInTransit>;
}

/** Blocks of one copy to a device under way, at most: 32 MiB, in memory that other copies share. */
const CONCURRENCY = 64;

/** Copies blocks under a journal and the activity's cancellation; goes on from where an earlier try was. */
export async function copyDisk(copy: DiskCopy): Promise<CopyResult> {
  const { cancellationSignal: signal, info } = Context.current();
  const { progress, range, totalBlocks, totalBytes } = copy;
  const details = info.heartbeatDetails as Partial<CopyHeartbeat> | undefined;
  // What an earlier try on another host had done.
  const doneBelow = typeof details?.resumeAt === 'number' ? details.resumeAt : range.from;
  const path = journalPath(copy.stateDirectory, progress.what, [...copy.identity, String(range.from)]);
  const journal = await CopyJournal.open(path, copy.identity, range);
  Object.assign(progress, { totalBlocks, doneBlocks: 0, bytes: 0, resumeAt: () => doneBelow });
  const countDone = (): void => {
    progress.doneBlocks++;
    progress.bytes = Math.min(totalBytes, progress.doneBlocks * BLOCK_SIZE);
  };
  const isPending = (index: number): boolean => {
    if (index >= doneBelow && !journal.isDone(index)) return true;
    countDone();
    return false;
  };
  try {
    const sink = await copy.openSink(signal);
    try {
      await copyBlocks({
        blocks: copy.read(isPending, signal),
        sink,
        journal,
        durable: copy.durable,
        concurrency: copy.concurrency ?? (() => CONCURRENCY),
        signal,
        onDone(_index, resumeAt) {
          countDone();
          progress.resumeAt = () => Math.max(doneBelow, resumeAt());
        },
      });
    } finally {
      await sink.close();
    }
    return {
      blocks: totalBlocks,
      bytes: totalBytes,
      blocksSentAgain: journal.sentAgain,
      seconds: (Date.now() - journal.beganAt) / 1000,
    };
  } finally {
    journal.close();
  }
}
