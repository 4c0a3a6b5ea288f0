import { hash } from 'node:crypto';
import { closeSync, fdatasync, openSync, writeSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const MAGIC = Buffer.from('LBCOPY01', 'latin1');
/** Magic, SHA-256 that says what is copied where, milliseconds since 1970 at which the copy began. */
const HEADER_BYTES = MAGIC.length + 32 + 8;

const DONE = 0x80;
const STARTS = 0x7f;

/** Journals of copies that nobody came back to; no Temporal retry reaches that far. */
const FORGOTTEN_AFTER_MS = 7 * 24 * 3600 * 1000;

/**
 * What of a copy is done, in a file that outlives the process: one byte a block of the disk, its upper bit set when
 * the block is done, the rest counting how often it was begun. Single bytes are written in place, so a kill at any
 * moment leaves a journal that tells the truth: a block counts as done only after it was.
 *
 * SIGKILL loses nothing, since what was written is in the page cache. {@link sync} makes it outlast the host, too; what
 * a host's crash loses is copied again.
 */
export class CopyJournal {
  private constructor(
    private readonly fd: number,
    private readonly states: Buffer,
    /** When the copy began, in milliseconds since 1970; a resumed copy keeps it. */
    readonly beganAt: number,
  ) {}

  /**
   * Opens the journal of a copy, or begins one. A journal of something else, or a damaged one, is replaced.
   * @param identity everything that must be the same for the recorded progress to mean anything: the source, the
   *   target and their versions
   */
  static async open(path: string, identity: readonly string[], blocks: number): Promise<CopyJournal> {
    const fingerprint = hash('sha256', JSON.stringify(identity), 'buffer');
    const found = await read(path);
    if (
      found?.length === HEADER_BYTES + blocks &&
      found.subarray(0, MAGIC.length).equals(MAGIC) &&
      found.subarray(MAGIC.length, MAGIC.length + 32).equals(fingerprint)
    ) {
      const beganAt = Number(found.readBigUInt64BE(MAGIC.length + 32));
      return new CopyJournal(openSync(path, 'r+'), found.subarray(HEADER_BYTES), beganAt);
    }
    await mkdir(dirname(path), { recursive: true });
    await removeForgotten(dirname(path));
    const beganAt = Date.now();
    const bytes = Buffer.alloc(HEADER_BYTES + blocks);
    MAGIC.copy(bytes);
    fingerprint.copy(bytes, MAGIC.length);
    bytes.writeBigUInt64BE(BigInt(beganAt), MAGIC.length + 32);
    await writeAtomically(path, bytes);
    return new CopyJournal(openSync(path, 'r+'), bytes.subarray(HEADER_BYTES), beganAt);
  }

  isDone(index: number): boolean {
    return (this.states[index]! & DONE) !== 0;
  }

  /** To be called before a block is sent. */
  started(index: number): void {
    const state = this.states[index]!;
    this.set(index, (state & STARTS) === STARTS ? state : state + 1);
  }

  /** To be called when the block can no longer be lost. */
  done(index: number): void {
    this.set(index, this.states[index]! | DONE);
  }

  /** How many times a block was begun again after the copy had been interrupted. */
  get startedAgain(): number {
    let again = 0;
    for (const state of this.states) again += Math.max(0, (state & STARTS) - 1);
    return again;
  }

  private set(index: number, state: number): void {
    this.states[index] = state;
    // Synchronous on purpose: a few µs into the page cache, and the order of the two marks is certain.
    writeSync(this.fd, this.states, index, 1, HEADER_BYTES + index);
  }

  /** Puts what was recorded on stable storage. */
  async sync(): Promise<void> {
    await promisify(fdatasync)(this.fd);
  }

  close(): void {
    closeSync(this.fd);
  }
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
