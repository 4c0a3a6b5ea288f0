import { hash } from 'node:crypto';
import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { removeForgotten, writeAtomically } from '../blocks/journal';
import { type MapEntry } from './block-map-format';

/** A stretch of a disk whose changed blocks are stored in a pack (or that has none). */
export interface Segment {
  /** First block, and the one after the last. */
  from: number;
  to: number;
  /** Key and number of the pack; absent where the stretch has no changed block. */
  pack?: { key: string; n: number };
  stored: Omit<MapEntry, 'pack'>[];
  /** Blocks that are all zeros now and were not in the previous backup. */
  zeroed: number[];
}

const header = z.object({
  identity: z.array(z.string()),
  previous: z.string().nullable(),
  beganAt: z.number(),
});
const sending = z.object({ sending: z.int().nonnegative() });
const position = z.int().nonnegative();
const segment = z.object({
  from: position,
  to: position,
  pack: z.object({ key: z.string(), n: position }).optional(),
  stored: z.array(z.tuple([position, position, position, z.enum(['raw', 'zstd']), z.base64()])),
  zeroed: z.array(position),
});

/**
 * What of a disk's backup is done: the segments whose packs are stored, in a file that outlives the process. One line
 * a record, each with its checksum; a line that a crash cut short ends the file.
 */
export class BackupJournal {
  private sentBlocks = 0;

  private constructor(
    private readonly file: FileHandle,
    /** Backup that this one builds on; it stays the same however often the backup is resumed. */
    readonly previous: string | undefined,
    /** Milliseconds since 1970. */
    readonly beganAt: number,
    readonly segments: Segment[],
  ) {}

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
      const journal = new BackupJournal(file, first.data.previous ?? undefined, first.data.beganAt, []);
      for (const record of records) journal.take(record);
      return journal;
    }
    await mkdir(dirname(path), { recursive: true });
    await removeForgotten(dirname(path));
    const beganAt = Date.now();
    const previous = await choosePrevious();
    await writeAtomically(path, line({ identity, previous: previous ?? null, beganAt }));
    return new BackupJournal(await open(path, 'r+'), previous, beganAt, []);
  }

  private take(record: unknown): void {
    const sent = sending.safeParse(record);
    if (sent.success) {
      this.sentBlocks += sent.data.sending;
      return;
    }
    const { stored, ...rest } = segment.parse(record);
    this.segments.push({
      ...rest,
      stored: stored.map(([index, offset, length, encoding, sha256]) => ({
        index,
        offset,
        length,
        encoding,
        sha256: Buffer.from(sha256, 'base64'),
      })),
    });
  }

  /** Blocks that were, or may have been, uploaded more than once. */
  get sentAgain(): number {
    return this.sentBlocks - this.segments.reduce((sum, { stored }) => sum + stored.length, 0);
  }

  /** To be called before that many blocks are uploaded. */
  async sending(blocks: number): Promise<void> {
    this.sentBlocks += blocks;
    await this.append({ sending: blocks });
  }

  /** To be called when the segment's pack is stored. Durable when it returns. */
  async add(done: Segment): Promise<void> {
    const stored = done.stored.map((block) => [
      block.index,
      block.offset,
      block.length,
      block.encoding,
      block.sha256.toString('base64'),
    ]);
    await this.append({ ...done, stored });
    await this.file.datasync();
    this.segments.push(done);
  }

  private async append(record: object): Promise<void> {
    const bytes = line(record);
    const { size } = await this.file.stat();
    await this.file.write(bytes, 0, bytes.length, size);
  }

  async close(): Promise<void> {
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
