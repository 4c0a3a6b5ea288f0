import { hash } from 'node:crypto';
import { closeSync, fdatasync, openSync, writeSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type BlockRange } from './port';

const MAGIC = Buffer.from('LBCOPY02', 'latin1');
const SHA256_BYTES = 32;
/** Magic, SHA-256 that says what is copied where, milliseconds since 1970 at which the copy began, blocks sent again. */
const HEADER_BYTES = MAGIC.length + SHA256_BYTES + 8 + 8;
const BEGAN_AT = MAGIC.length + SHA256_BYTES;
const SENT_AGAIN_AT = BEGAN_AT + 8;

/** Journals of copies that nobody came back to; no Temporal retry reaches that far. */
const FORGOTTEN_AFTER_MS = 7 * 24 * 3600 * 1000;

/**
 * What of a copy is done, in a file that outlives the process: two bits a block, one set before the block is sent, one
 * when it can no longer be lost. Single bytes are written in place, so a kill at any moment leaves a journal that tells
 * the truth: a block counts as done only after it was. A full TiB takes 512 KiB, on disk as in memory.
 *
 * SIGKILL loses nothing, since what was written is in the page cache. {@link sync} makes it outlast the host, too; what
 * a host's crash loses is copied again.
 */
export class CopyJournal {
  private constructor(
    private readonly fd: number,
    /** The whole file: header, started bits, done bits. */
    private readonly file: Buffer,
    private readonly range: BlockRange,
  ) {}

  /**
   * Opens the journal of a copy, or begins one. A journal of something else, or a damaged one, is replaced.
   * @param identity everything that must be the same for the recorded progress to mean anything: the source, the
   *   target and their versions
   */
  static async open(path: string, identity: readonly string[], range: BlockRange): Promise<CopyJournal> {
    const fingerprint = hash('sha256', JSON.stringify([identity, range.from, range.to]), 'buffer');
    const found = await read(path);
    if (
      found?.length === HEADER_BYTES + 2 * bitmapBytes(range) &&
      found.subarray(0, MAGIC.length).equals(MAGIC) &&
      found.subarray(MAGIC.length, BEGAN_AT).equals(fingerprint)
    ) {
      const journal = new CopyJournal(openSync(path, 'r+'), found, range);
      await journal.countInterrupted();
      return journal;
    }
    await mkdir(dirname(path), { recursive: true });
    await removeForgotten(dirname(path));
    const bytes = Buffer.alloc(HEADER_BYTES + 2 * bitmapBytes(range));
    MAGIC.copy(bytes);
    fingerprint.copy(bytes, MAGIC.length);
    bytes.writeBigUInt64BE(BigInt(Date.now()), BEGAN_AT);
    await writeAtomically(path, bytes);
    return new CopyJournal(openSync(path, 'r+'), bytes, range);
  }

  /** When the copy began, in milliseconds since 1970; a resumed copy keeps it. */
  get beganAt(): number {
    return Number(this.file.readBigUInt64BE(BEGAN_AT));
  }

  isDone(index: number): boolean {
    const { at, bit } = this.place(index, 'done');
    return (this.file[at]! & bit) !== 0;
  }

  /** Blocks that are done. */
  get doneBlocks(): number {
    const begin = HEADER_BYTES + bitmapBytes(this.range);
    let done = 0;
    for (const byte of this.file.subarray(begin)) done += ONES[byte]!;
    return done;
  }

  /** To be called before a block is sent. */
  started(index: number): void {
    this.set(index, 'started');
  }

  /** To be called when the block can no longer be lost. */
  done(index: number): void {
    this.set(index, 'done');
  }

  /** How many blocks were, or may have been, sent once more because the copy had been interrupted. */
  get sentAgain(): number {
    return Number(this.file.readBigUInt64BE(SENT_AGAIN_AT));
  }

  /** What an earlier process had begun and not finished is sent again by this one. */
  private async countInterrupted(): Promise<void> {
    const bytes = bitmapBytes(this.range);
    let interrupted = 0;
    for (let n = HEADER_BYTES; n < HEADER_BYTES + bytes; n++) {
      interrupted += ONES[this.file[n]! & ~this.file[n + bytes]!]!;
      this.file[n] = this.file[n]! & this.file[n + bytes]!;
    }
    if (interrupted === 0) return;
    this.file.writeBigUInt64BE(BigInt(this.sentAgain + interrupted), SENT_AGAIN_AT);
    writeSync(this.fd, this.file, 0, HEADER_BYTES + bytes, 0);
    await this.sync();
  }

  private place(index: number, kind: 'started' | 'done'): { at: number; bit: number } {
    const n = index - this.range.from;
    if (!(n >= 0 && index < this.range.to))
      throw new RangeError(`Block ${index} is not of this copy, of ${this.range.from} to ${this.range.to}.`);
    const begin = HEADER_BYTES + (kind === 'done' ? bitmapBytes(this.range) : 0);
    return { at: begin + (n >>> 3), bit: 1 << (n & 7) };
  }

  private set(index: number, kind: 'started' | 'done'): void {
    const { at, bit } = this.place(index, kind);
    if ((this.file[at]! & bit) !== 0) return;
    this.file[at] = this.file[at]! | bit;
    // Synchronous on purpose: a few µs into the page cache, and the order of the two marks is certain.
    writeSync(this.fd, this.file, at, 1, at);
  }

  /** Puts what was recorded on stable storage. */
  async sync(): Promise<void> {
    await promisify(fdatasync)(this.fd);
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Bits that are set in each value of a byte. */
const ONES = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll('0', '').length);

function bitmapBytes({ from, to }: BlockRange): number {
  return Math.ceil((to - from) / 8);
}

async function read(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes a file that is there whole or not at all, whenever the host crashes. */
export async function writeAtomically(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}`);
  const file = await open(temporary, 'w');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Removes journals that no retry will ask for again. */
export async function removeForgotten(directory: string): Promise<void> {
  const limit = Date.now() - FORGOTTEN_AFTER_MS;
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
      // Another copy on this host may be tidying up, too.
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (found?.isFile() && found.mtimeMs < limit) await rm(path, { force: true });
  }
}
