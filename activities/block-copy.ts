import { hash } from 'node:crypto';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { type BlockInTransit, copyBlocks } from '../blocks/copy';
import { CopyJournal } from '../blocks/journal';
import { type BlockSink } from '../blocks/port';
import { type CopyProgress } from '../blocks/progress';
import { type CopyResult } from './backup-proxy/contract';

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

/** Beats with the progress, whatever it is at the time, as long as the work lasts. */
export async function beatingProgress<T>(progress: CopyHeartbeat, work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const beat = (): void => context.heartbeat({ ...progress });
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
  progress: CopyHeartbeat;
  stateDirectory: string;
  /** Everything that must be the same for recorded progress to mean anything. */
  identity: readonly string[];
  /** Blocks that the target has room for. */
  targetBlocks: number;
  /** Indexes of the blocks to copy, ascending. */
  work: Uint32Array;
  /** Bytes that a block comes to on the target's side. */
  bytesOf(index: number): number;
  openSink(signal: AbortSignal): Promise<BlockSink>;
  durable: 'at once' | 'when flushed';
  concurrency: number;
  /** Streams those of the blocks that are not done yet. */
  read(isPending: (index: number) => boolean, signal: AbortSignal): AsyncIterable<BlockInTransit>;
}

/** Copies blocks under a journal and the activity's cancellation; goes on from where an earlier try was. */
export async function copyDisk(copy: DiskCopy): Promise<CopyResult> {
  const { cancellationSignal: signal } = Context.current();
  const { progress, work } = copy;
  const path = journalPath(copy.stateDirectory, progress.what, copy.identity);
  const journal = await CopyJournal.open(path, copy.identity, copy.targetBlocks);
  try {
    markDoneElsewhere(journal, work);
    const bytes = work.reduce((sum, index) => sum + copy.bytesOf(index), 0);
    progress.totalBlocks = work.length;
    progress.doneBlocks = 0;
    progress.bytes = 0;
    for (const index of work) if (journal.isDone(index)) countDone(copy, index);

    if (progress.doneBlocks < progress.totalBlocks) {
      const sink = await copy.openSink(signal);
      try {
        let lowest = 0;
        await copyBlocks({
          blocks: copy.read((index) => !journal.isDone(index), signal),
          sink,
          journal,
          durable: copy.durable,
          concurrency: copy.concurrency,
          signal,
          onDone(index) {
            countDone(copy, index);
            while (lowest < work.length && journal.isDone(work[lowest]!)) lowest++;
            progress.resumeAt = work[lowest] ?? copy.targetBlocks;
          },
        });
      } finally {
        await sink.close();
      }
    }
    return {
      blocks: work.length,
      bytes,
      blocksSentAgain: journal.startedAgain,
      seconds: (Date.now() - journal.beganAt) / 1000,
    };
  } finally {
    journal.close();
  }
}

function countDone({ progress, bytesOf }: DiskCopy, index: number): void {
  progress.doneBlocks++;
  progress.bytes += bytesOf(index);
}

/** What an earlier try on another host had done, as its last heartbeat tells. */
function markDoneElsewhere(journal: CopyJournal, work: Uint32Array): void {
  const details = Context.current().info.heartbeatDetails as Partial<CopyHeartbeat> | undefined;
  const resumeAt = typeof details?.resumeAt === 'number' ? details.resumeAt : 0;
  for (const index of work) if (index < resumeAt && !journal.isDone(index)) journal.done(index);
}
