import { hash } from 'node:crypto';
import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { removeForgotten, writeAtomically } from '../../blocks/journal';
import { type WriterState } from '../maps/block-map-writer';
import { EntryList } from '../maps/entry-list';
import { type PageStretch } from '../maps/page-in-making';

/** A stretch of a disk, within a page of its map, that is looked at, and whose changed blocks are stored. */
export interface Segment extends PageStretch {
  /** Number of the page. */
  page: number;
  /** What all pages between this one and that of the segment before are, which nobody needed to look at. */
  skipped: 'zeros' | 'as before';
  /** The block after the stretch's last; the stretch begins where the one before ends, or with the page. */
  to: number;
  pack?: { key: string; n: number };
}

/** Everything up to a page, in short. What it stands for needs no segments any more. */
export interface Checkpoint extends WriterState {
  /** The first page that is not finished. */
  nextPage: number;
  nextPack: number;
  storedBlocks: number;
  storedBytes: number;
}

/** What looking at blocks that are said not to have changed came to; see audit.ts. */
export interface AuditFindings {
  /** What the blocks were chosen by. */
  seed: string;
  /** Blocks that were read, of so many that are said not to have changed. */
  read: number;
  of: number;
  /** The first block that is not what it is said to be; absent where all are. */
  mismatch?: number;
}

const count = z.int().nonnegative();
const base64 = z.base64().transform((text) => Buffer.from(text, 'base64'));
const header = z.object({
  /** Of the records that follow. */
  version: z.literal(2),
  identity: z.array(z.string()),
  previous: z.string().nullable(),
  beganAt: z.number(),
});
const audit = z.object({
  audit: z.object({ seed: z.string(), read: count, of: count, mismatch: count.optional() }),
});
const sending = z.object({ sending: count });
const segment = z.object({
  page: count,
  skipped: z.enum(['zeros', 'as before']),
  to: count,
  gone: z.array(count),
  pack: z.object({ key: z.string(), n: count }).optional(),
  stored: base64.transform((bytes) => EntryList.of(bytes)),
});
const checkpoint = z.object({
  nextPage: count,
  nextPack: count,
  nextObject: count,
  storedBlocks: count,
  storedBytes: count,
  directory: base64,
  pending: z.array(z.object({ n: count, entries: count, bytes: base64 })),
});

/**
 * What of a disk's backup is done, in a file that outlives the process: a checkpoint, and the segments that were
 * stored after it. One line a record, each with its checksum; a line that a crash cut short ends the file. A
 * checkpoint begins the file anew, so neither the file nor what is read of it grows with the disk's data.
 */
export class BackupJournal {
  private sentBlocks = 0;
  private storedBlocks = 0;
  private checkpoint?: Checkpoint;
  private segments: Segment[] = [];
  private audited?: AuditFindings;
  /** The last of the writes, which come one after another: packs under way are recorded at the same time. */
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly path: string,
    private file: FileHandle,
    private readonly first: z.infer<typeof header>,
    private bytes: number,
  ) {}

  /** Backup that this one builds on; it stays the same however often the backup is resumed. */
  get previous(): string | undefined {
    return this.first.previous ?? undefined;
  }

  /** Milliseconds since 1970. */
  get beganAt(): number {
    return this.first.beganAt;
  }

  /**
   * Opens the journal, or begins one where there is none of this backup.
   * @param identity names the backup and the disk with its size
   * @param choosePrevious names the backup to build on, where the journal begins now
   */
  static async open(
    path: string,
    identity: string[],
    choosePrevious: () => Promise<string | undefined>,
  ): Promise<BackupJournal> {
    const { records, validBytes } = await readRecords(path);
    const first = header.safeParse(records.shift());
    if (first.success && first.data.identity.join('\n') === identity.join('\n')) {
      const file = await open(path, 'r+');
      // What follows the last whole record would garble the next one.
      await file.truncate(validBytes);
      const journal = new BackupJournal(path, file, first.data, validBytes);
      for (const record of records) journal.take(record);
      return journal;
    }
    await mkdir(dirname(path), { recursive: true });
    await removeForgotten(dirname(path));
    const begun = {
      version: 2 as const,
      identity,
      beganAt: Date.now(),
      previous: (await choosePrevious()) ?? null,
    };
    const bytes = line(begun);
    await writeAtomically(path, bytes);
    return new BackupJournal(path, await open(path, 'r+'), begun, bytes.length);
  }

  private take(record: unknown): void {
    const sent = sending.safeParse(record);
    if (sent.success) {
      this.sentBlocks += sent.data.sending;
      return;
    }
    const looked = audit.safeParse(record);
    if (looked.success) {
      this.audited = looked.data.audit;
      return;
    }
    const short = checkpoint.safeParse(record);
    if (short.success) {
      this.checkpoint = short.data;
      this.storedBlocks = short.data.storedBlocks;
      return;
    }
    const done = segment.parse(record);
    this.segments.push(done);
    this.storedBlocks += done.stored.length;
  }

  /** What earlier tries came to; to be taken once, so that it stays in nobody's memory. */
  takeDone(): { checkpoint?: Checkpoint; segments: Segment[] } {
    const done = { checkpoint: this.checkpoint, segments: this.segments };
    this.checkpoint = undefined;
    this.segments = [];
    return done;
  }

  /** Whether parts of the disk are decided already; to be asked before {@link takeDone}. */
  get isUnderWay(): boolean {
    return this.checkpoint !== undefined || this.segments.length > 0;
  }

  /** What the audit of this backup came to, by which its later tries go, too; absent where there was none yet. */
  get audit(): AuditFindings | undefined {
    return this.audited;
  }

  /** Records what the audit came to. Durable when it returns. */
  async addAudit(findings: AuditFindings): Promise<void> {
    this.audited = findings;
    await this.write(async () => {
      await this.append({ audit: findings });
      await this.file.datasync();
    });
  }

  /** Blocks that were, or may have been, uploaded more than once. */
  get sentAgain(): number {
    return this.sentBlocks - this.storedBlocks;
  }

  /** To be called before that many blocks are uploaded. */
  async sending(blocks: number): Promise<void> {
    this.sentBlocks += blocks;
    await this.write(() => this.append({ sending: blocks }));
  }

  /** To be called when the segment's pack is stored, in disk order. Durable when it returns. */
  async add(done: Segment): Promise<void> {
    this.storedBlocks += done.stored.length;
    await this.write(async () => {
      await this.append({ ...done, stored: done.stored.toBuffer().toString('base64') });
      await this.file.datasync();
    });
  }

  private async append(record: object): Promise<void> {
    const bytes = line(record);
    await this.file.write(bytes, 0, bytes.length, this.bytes);
    this.bytes += bytes.length;
  }

  /** Replaces all that is recorded. Durable when it returns. */
  async replace(short: Checkpoint): Promise<void> {
    await this.write(async () => {
      const pending = short.pending.map((page) => ({ ...page, bytes: page.bytes.toString('base64') }));
      const bytes = Buffer.concat([
        line(this.first),
        ...(this.audited === undefined ? [] : [line({ audit: this.audited })]),
        line({ ...short, directory: short.directory.toString('base64'), pending }),
        line({ sending: this.sentBlocks }),
      ]);
      await writeAtomically(this.path, bytes);
      const replaced = this.file;
      this.file = await open(this.path, 'r+');
      this.bytes = bytes.length;
      await replaced.close();
    });
  }

  private async write(work: () => Promise<void>): Promise<void> {
    const written = this.writing.then(work);
    // Thrown where it is awaited; whoever comes next finds out by itself.
    this.writing = written.catch(() => undefined);
    await written;
  }

  async close(): Promise<void> {
    await this.writing;
    await this.file.close();
  }
}

function line(record: object): Buffer {
  const json = JSON.stringify(record);
  return Buffer.from(`${hash('sha256', json)} ${json}\n`);
}

async function readRecords(path: string): Promise<{ records: unknown[]; validBytes: number }> {
  const records: unknown[] = [];
  let validBytes = 0;
  let text: Buffer;
  try {
    text = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { records, validBytes };
    throw error;
  }
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', validBytes)) {
    const [sum, json] = [
      text.toString('utf8', validBytes, validBytes + 64),
      text.toString('utf8', validBytes + 65, end),
    ];
    if (hash('sha256', json) !== sum) break;
    records.push(JSON.parse(json));
    validBytes = end + 1;
  }
  return { records, validBytes };
}
