import { type BackupJournal } from './backup-journal';
import { type BackupMemory, processMemory } from './backup-memory';
import { scanStretch, type Stretch } from './backup-scan';
import { type DiskSource } from './backup-source';
import { type BlockMap } from '../maps/block-map';
import { type MapOfBackup } from '../maps/block-map-writer';
import { type KnownAreas } from './disk-areas';
import { packKey } from '../objects/keys';
import { type MapProgress } from './map-progress';
import { storeNumbered } from '../objects/numbered-object';
import { OpenPack } from '../packs/pack';

export interface DiskBackup extends MapOfBackup {
  source: DiskSource;
  /** The disk's map in the backup that this one builds on. */
  previous?: BlockMap;
  /** What need not be read; `as before` only where it is relative to exactly the backup of `previous`. */
  known?: KnownAreas;
  journal: BackupJournal;
  /** Called with the blocks decided so far, and the bytes stored. */
  onProgress(doneBlocks: number, storedBytes: number): void;
  /** Shared with other backups; where absent, that of the process. */
  memory?: BackupMemory;
}

/**
 * Fills a pack from a stretch of a page, and sees to it that it is sent and recorded.
 * @returns the block at which the next pack begins, as soon as that is certain
 */
export type FillNext = (page: number, stretch: Stretch) => Promise<number>;

/** Packs on their way: one is filled while the ones before are sent, as far as the memory for packs allows. */
export class PackLine {
  private readonly failed = new AbortController();
  private readonly signal: AbortSignal;
  private readonly underWay = new Set<Promise<void>>();
  /** Packs are numbered, and recorded, in disk order, whichever arrives first. */
  private numbered: Promise<void> = Promise.resolve();
  private recorded: Promise<void> = Promise.resolve();
  private nextNumber: number;

  private constructor(
    private readonly backup: DiskBackup,
    private readonly progress: MapProgress,
  ) {
    this.signal = AbortSignal.any([backup.signal, this.failed.signal]);
    this.nextNumber = progress.nextPack;
  }

  /** Ends when all packs that `fill` began are recorded, or, where one failed, are given up. @throws the first failure */
  static async run(
    backup: DiskBackup,
    progress: MapProgress,
    fill: (fillNext: FillNext) => Promise<void>,
  ): Promise<void> {
    const line = new PackLine(backup, progress);
    try {
      await fill((page, stretch) => line.fillNext(page, stretch));
      await line.recorded;
      line.signal.throwIfAborted();
    } catch (error) {
      line.failed.abort(error);
      throw line.signal.reason;
    } finally {
      await Promise.all(line.underWay);
    }
  }

  private async fillNext(page: number, stretch: Stretch): Promise<number> {
    const { packs } = this.backup.memory ?? processMemory;
    const buffer = await packs.take(this.signal);
    const before = { numbered: this.numbered, recorded: this.recorded };
    return new Promise((resolve, reject) => {
      let isNumbered = (): void => undefined;
      this.numbered = new Promise((done) => (isNumbered = done));
      this.recorded = this.makePack(page, stretch, buffer, before, resolve, isNumbered);
      const settled = this.recorded
        .catch((error: unknown) => {
          this.failed.abort(error);
          isNumbered();
          reject(error as Error);
        })
        .then(() => void this.underWay.delete(settled));
      this.underWay.add(settled);
    });
  }

  private async makePack(
    page: number,
    stretch: Stretch,
    buffer: Buffer,
    before: { numbered: Promise<void>; recorded: Promise<void> },
    onIssued: (to: number) => void,
    onNumbered: () => void,
  ): Promise<void> {
    const { backup, signal } = this;
    const memory = backup.memory ?? processMemory;
    const pack = new OpenPack(buffer);
    let scanned;
    let stored: { key: string; n: number } | undefined;
    try {
      scanned = await scanStretch(backup.source, stretch, pack, memory, signal, onIssued);
      await before.numbered;
      signal.throwIfAborted();
      const number = pack.blocks.length > 0 ? this.nextNumber++ : undefined;
      onNumbered();
      if (number !== undefined) stored = await this.send(pack, number);
    } finally {
      memory.packs.give(buffer);
    }
    await before.recorded;
    signal.throwIfAborted();
    const { to, gone } = scanned;
    await this.progress.record(
      { page, skipped: stretch.outside, to, gone, stored: pack.blocks, ...(stored && { pack: stored }) },
      stretch.previous,
    );
    backup.onProgress(to, this.progress.storedBytes);
  }

  private async send(pack: OpenPack, number: number): Promise<{ key: string; n: number }> {
    const { store, vm, backupId, diskKey, journal } = this.backup;
    await journal.sending(pack.blocks.length);
    const keyOf = (n: number) => packKey(vm, backupId, diskKey, n);
    return storeNumbered(store, keyOf, number, () => this.nextNumber++, pack.toBuffer(), this.signal);
  }
}
