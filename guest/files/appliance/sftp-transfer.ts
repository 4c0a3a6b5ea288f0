import { GuestFileError } from '../port';
import { type Answer, type SftpChannel } from './sftp-channel';
import { OPEN, PacketWriter, REPLY, REQUEST, STATUS_EOF, type SettableAttributes } from './sftp-packet';

/** A part of a file, with room for the packet around it. */
const CHUNK_BYTES = 128 * 1024;
/** Parts under way at once. */
const WINDOW = 8;
/** The server reads a regular file in whole parts up to its end; a few that are not may be. */
const MAX_SHORT_PARTS = 64;

/** Reads the bytes of a file from a place, as far as there are any. */
export type ReadAt = (offset: number, length: number) => Promise<Uint8Array>;

/**
 * Reads a file from its start to its end, in order.
 * @throws GuestFileError where it is larger than `maxBytes`
 */
export async function readFile(
  channel: SftpChannel,
  path: string,
  maxBytes: number,
  take: (part: Buffer) => Promise<void>,
): Promise<void> {
  const open = new PacketWriter().text(path).uint32(OPEN.READ).attributes({});
  await channel.withHandle(path, REQUEST.OPEN, open, async (handle) => {
    const ask = (offset: number): Promise<Answer> => {
      const answer = channel.request(
        REQUEST.READ,
        new PacketWriter().bytes(handle).uint64(offset).uint32(CHUNK_BYTES),
      );
      answer.catch(() => undefined); // awaited later, or not at all after an earlier one has failed
      return answer;
    };
    const asked: { offset: number; answer: Promise<Answer> }[] = [];
    let next = 0;
    let short = 0;
    for (;;) {
      while (asked.length < WINDOW && next <= maxBytes) {
        asked.push({ offset: next, answer: ask(next) });
        next += CHUNK_BYTES;
      }
      const first = asked.shift();
      if (first === undefined) throw new GuestFileError(path, `is larger than ${maxBytes} bytes`);
      const answer = await first.answer;
      const error = channel.error(answer);
      if (error !== undefined) {
        if (error.code !== STATUS_EOF) throw new GuestFileError(path, error.message);
        await Promise.allSettled(asked.map((one) => one.answer));
        return;
      }
      const part = channel.parse(answer, REPLY.DATA, (reader) => reader.bytes());
      if (part.length > CHUNK_BYTES || part.length === 0) throw channel.malformed();
      if (first.offset + part.length > maxBytes)
        throw new GuestFileError(path, `is larger than ${maxBytes} bytes`);
      await take(part);
      if (part.length === CHUNK_BYTES) continue;
      // A short answer is the end of the file as a rule; what was asked for beyond it begins at the wrong place.
      if (++short > MAX_SHORT_PARTS) throw channel.malformed();
      await Promise.allSettled(asked.splice(0).map((one) => one.answer));
      next = first.offset + part.length;
    }
  });
}

/** The first bytes of a file, fewer where it is shorter; at most one part of {@link readFile}. */
export async function readFileStart(channel: SftpChannel, path: string, length: number): Promise<Buffer> {
  if (length > CHUNK_BYTES) throw new Error(`No start of a file has ${length} bytes.`);
  const open = new PacketWriter().text(path).uint32(OPEN.READ).attributes({});
  return channel.withHandle(path, REQUEST.OPEN, open, async (handle) => {
    const answer = await channel.request(
      REQUEST.READ,
      new PacketWriter().bytes(handle).uint64(0).uint32(length),
    );
    const error = channel.error(answer);
    if (error?.code === STATUS_EOF) return Buffer.alloc(0);
    if (error !== undefined) throw new GuestFileError(path, error.message);
    const part = channel.parse(answer, REPLY.DATA, (reader) => Buffer.from(reader.bytes()));
    if (part.length > length) throw channel.malformed();
    return part;
  });
}

/**
 * Writes a file from its start, and sets its attributes.
 * @param how whether the file must be there, and is cut to nothing first, or must not be there
 */
export async function writeFile(
  channel: SftpChannel,
  path: string,
  how: 'create' | 'replace',
  readAt: ReadAt,
  attributes: SettableAttributes,
): Promise<void> {
  const flags = OPEN.WRITE + (how === 'create' ? OPEN.CREATE + OPEN.EXCLUSIVE : OPEN.TRUNCATE);
  // Until it belongs to whom it shall belong, nobody may read it.
  const open = new PacketWriter().text(path).uint32(flags);
  open.attributes(how === 'create' ? { mode: 0o600 } : {});
  await channel.withHandle(path, REQUEST.OPEN, open, async (handle) => {
    const written: Promise<void>[] = [];
    for (let offset = 0; ;) {
      const part = await readAt(offset, CHUNK_BYTES);
      if (part.length === 0) break;
      const answer = channel.ok(
        path,
        REQUEST.WRITE,
        new PacketWriter().bytes(handle).uint64(offset).bytes(part),
      );
      answer.catch(() => undefined); // as above
      written.push(answer);
      if (written.length >= WINDOW) await written.shift();
      offset += part.length;
    }
    await Promise.all(written);
    // A change of owner takes away bits of the mode: it goes first.
    const { owner, ...others } = attributes;
    if (owner)
      await channel.ok(path, REQUEST.FSETSTAT, new PacketWriter().bytes(handle).attributes({ owner }));
    await channel.ok(path, REQUEST.FSETSTAT, new PacketWriter().bytes(handle).attributes(others));
  });
}
