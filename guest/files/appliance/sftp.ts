import { type Duplex } from 'node:stream';
import { GuestFileError, type GuestFileStat, type GuestFileSystemSpace } from '../port';
import { ApplianceError, printable } from './error';
import {
  MalformedPacketError,
  OPEN,
  PacketReader,
  PacketWriter,
  REPLY,
  REQUEST,
  STATUS_EOF,
  STATUS_NO_SUCH_FILE,
  STATUS_OK,
  type SettableAttributes,
} from './sftp-packet';

/** OpenSSH's sftp-server sends 256 KiB at most (SFTP_MAX_MSG_LENGTH). */
const MAX_PACKET_BYTES = 256 * 1024;
/** A part of a file, with room for the packet around it. */
const CHUNK_BYTES = 128 * 1024;
/** Parts under way at once. */
const WINDOW = 8;
/** Longest silence while an answer is waited for. A disk of EBS that is read for the first time takes some. */
const SILENCE_SECONDS = 120;
const VERSION = 3;

/** The protocol has few codes: 4 stands for every error of the system that has none of its own. */
const STATUS_MEANINGS: Record<number, string> = {
  [STATUS_NO_SUCH_FILE]: 'is missing',
  4: 'cannot be read or written: its file system is full, damaged or read-only',
};

/** Reads the bytes of a file from a place, as far as there are any. */
export type ReadAt = (offset: number, length: number) => Promise<Uint8Array>;

interface Answer {
  type: number;
  reader: PacketReader;
}

/** The file server of the appliance. What it says comes, in the end, from a guest's disk: all of it is bounded. */
export class SftpClient {
  private received: Buffer[] = [];
  private receivedBytes = 0;
  private failure: Error | undefined;
  private timer: NodeJS.Timeout | undefined;
  private nextId = 1;
  private readonly waiting = new Map<
    number,
    { resolve: (answer: Answer) => void; reject: (error: Error) => void }
  >();

  constructor(
    private readonly stream: Duplex,
    private readonly silenceSeconds = SILENCE_SECONDS,
  ) {
    stream.on('data', (data: Buffer) => this.receive(data));
    stream.on('error', () => this.fail(new ApplianceError('has gone')));
    stream.on('close', () => this.fail(new ApplianceError('has gone')));
  }

  /** Ends whatever is waited for with this error; the first one counts. */
  fail(error: Error): void {
    this.failure ??= error;
    clearTimeout(this.timer);
    for (const { reject } of this.waiting.values()) reject(this.failure);
    this.waiting.clear();
  }

  /** Agrees on the version. */
  async start(): Promise<void> {
    const answer = this.expect(0);
    this.send(new PacketWriter().uint32(VERSION).content, REQUEST.INIT);
    await answer;
  }

  /** Undefined where nothing is there. */
  async lstat(path: string): Promise<GuestFileStat | undefined> {
    const answer = await this.request(REQUEST.LSTAT, new PacketWriter().text(path));
    if (answer.type === REPLY.STATUS) {
      const { code, message } = this.status(answer);
      if (code === STATUS_NO_SUCH_FILE) return undefined;
      throw new GuestFileError(path, message);
    }
    return this.parse(answer, REPLY.ATTRS, (reader) => reader.stat());
  }

  async readlink(path: string): Promise<string> {
    const answer = await this.request(REQUEST.READLINK, new PacketWriter().text(path));
    this.refuse(path, answer);
    return this.parse(answer, REPLY.NAME, (reader) => {
      if (reader.uint32() !== 1) throw new MalformedPacketError();
      return reader.text();
    });
  }

  /** Names in a directory as it has them. @throws GuestFileError where there are more than `maxNames` */
  async readdir(path: string, maxNames: number): Promise<string[]> {
    return this.withHandle(path, REQUEST.OPENDIR, new PacketWriter().text(path), async (handle) => {
      const names: string[] = [];
      for (;;) {
        const answer = await this.request(REQUEST.READDIR, new PacketWriter().bytes(handle));
        if (answer.type === REPLY.STATUS) {
          const { code, message } = this.status(answer);
          if (code === STATUS_EOF) return names;
          throw new GuestFileError(path, message);
        }
        this.parse(answer, REPLY.NAME, (reader) => {
          for (let left = reader.uint32(); left > 0; left--) {
            names.push(reader.text());
            reader.text(); // the line that ls -l would print
            reader.skipAttributes();
          }
        });
        if (names.length > maxNames) throw new GuestFileError(path, `has more than ${maxNames} entries`);
      }
    });
  }

  /**
   * Reads a file from its start to its end, in order.
   * @throws GuestFileError where it is larger than `maxBytes`
   */
  async read(path: string, maxBytes: number, take: (part: Buffer) => Promise<void>): Promise<void> {
    const open = new PacketWriter().text(path).uint32(OPEN.READ).attributes({});
    await this.withHandle(path, REQUEST.OPEN, open, async (handle) => {
      const ask = (offset: number): Promise<Answer> => {
        const answer = this.request(
          REQUEST.READ,
          new PacketWriter().bytes(handle).uint64(offset).uint32(CHUNK_BYTES),
        );
        answer.catch(() => undefined); // awaited later, or not at all after an earlier one has failed
        return answer;
      };
      const asked: { offset: number; answer: Promise<Answer> }[] = [];
      let next = 0;
      for (;;) {
        while (asked.length < WINDOW && next <= maxBytes) {
          asked.push({ offset: next, answer: ask(next) });
          next += CHUNK_BYTES;
        }
        const first = asked.shift();
        if (first === undefined) throw new GuestFileError(path, `is larger than ${maxBytes} bytes`);
        const answer = await first.answer;
        if (answer.type === REPLY.STATUS) {
          const { code, message } = this.status(answer);
          if (code !== STATUS_EOF) throw new GuestFileError(path, message);
          await Promise.allSettled(asked.map((one) => one.answer));
          return;
        }
        const part = this.parse(answer, REPLY.DATA, (reader) => reader.bytes());
        if (part.length > CHUNK_BYTES || part.length === 0) throw this.malformed();
        if (first.offset + part.length > maxBytes)
          throw new GuestFileError(path, `is larger than ${maxBytes} bytes`);
        await take(part);
        if (part.length === CHUNK_BYTES) continue;
        // A short answer is the end of the file as a rule; what was asked for beyond it begins at the wrong place.
        await Promise.allSettled(asked.splice(0).map((one) => one.answer));
        next = first.offset + part.length;
      }
    });
  }

  /** The first bytes of a file, fewer where it is shorter; at most one part of {@link read}. */
  async readStart(path: string, length: number): Promise<Buffer> {
    if (length > CHUNK_BYTES) throw new Error(`No start of a file has ${length} bytes.`);
    const open = new PacketWriter().text(path).uint32(OPEN.READ).attributes({});
    return this.withHandle(path, REQUEST.OPEN, open, async (handle) => {
      const answer = await this.request(
        REQUEST.READ,
        new PacketWriter().bytes(handle).uint64(0).uint32(length),
      );
      if (answer.type === REPLY.STATUS) {
        const { code, message } = this.status(answer);
        if (code === STATUS_EOF) return Buffer.alloc(0);
        throw new GuestFileError(path, message);
      }
      const part = this.parse(answer, REPLY.DATA, (reader) => Buffer.from(reader.bytes()));
      if (part.length > length) throw this.malformed();
      return part;
    });
  }

  /**
   * Writes a file from its start, and sets its attributes.
   * @param how whether the file must be there, and is cut to nothing first, or must not be there
   */
  async write(
    path: string,
    how: 'create' | 'replace',
    readAt: ReadAt,
    attributes: SettableAttributes,
  ): Promise<void> {
    const flags = OPEN.WRITE + (how === 'create' ? OPEN.CREATE + OPEN.EXCLUSIVE : OPEN.TRUNCATE);
    // Until it belongs to whom it shall belong, nobody may read it.
    const open = new PacketWriter().text(path).uint32(flags);
    open.attributes(how === 'create' ? { mode: 0o600 } : {});
    await this.withHandle(path, REQUEST.OPEN, open, async (handle) => {
      const written: Promise<void>[] = [];
      for (let offset = 0; ;) {
        const part = await readAt(offset, CHUNK_BYTES);
        if (part.length === 0) break;
        const answer = this.ok(
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
        await this.ok(path, REQUEST.FSETSTAT, new PacketWriter().bytes(handle).attributes({ owner }));
      await this.ok(path, REQUEST.FSETSTAT, new PacketWriter().bytes(handle).attributes(others));
    });
  }

  /** Sets attributes of what is no symbolic link. */
  async setstat(path: string, { owner, ...others }: SettableAttributes): Promise<void> {
    if (owner) await this.ok(path, REQUEST.SETSTAT, new PacketWriter().text(path).attributes({ owner }));
    await this.ok(path, REQUEST.SETSTAT, new PacketWriter().text(path).attributes(others));
  }

  async mkdir(path: string, mode: number): Promise<void> {
    await this.ok(path, REQUEST.MKDIR, new PacketWriter().text(path).attributes({ mode }));
  }

  async symlink(path: string, target: string): Promise<void> {
    // OpenSSH takes the two in this order, and not in the draft's.
    await this.ok(path, REQUEST.SYMLINK, new PacketWriter().text(target).text(path));
  }

  async remove(path: string): Promise<void> {
    await this.ok(path, REQUEST.REMOVE, new PacketWriter().text(path));
  }

  async rmdir(path: string): Promise<void> {
    await this.ok(path, REQUEST.RMDIR, new PacketWriter().text(path));
  }

  /** Room in the file system that holds the path. */
  async space(path: string): Promise<Omit<GuestFileSystemSpace, 'fileSystem'>> {
    const answer = await this.request(
      REQUEST.EXTENDED,
      new PacketWriter().text('statvfs@openssh.com').text(path),
    );
    this.refuse(path, answer);
    return this.parse(answer, REPLY.EXTENDED_REPLY, (reader) => {
      reader.uint64(); // the size that is best for reading
      const blockSize = reader.uint64();
      reader.uint64(); // blocks
      reader.uint64(); // free blocks, with those for root only
      const freeBlocks = reader.uint64();
      const inodes = reader.uint64();
      const freeInodes = reader.uint64();
      // btrfs makes inodes as it needs them, and says 0 of 0.
      return { blockSize, freeBlocks, freeInodes: inodes === 0 ? Number.MAX_SAFE_INTEGER : freeInodes };
    });
  }

  private async withHandle<T>(
    path: string,
    type: number,
    body: PacketWriter,
    work: (handle: Buffer) => Promise<T>,
  ): Promise<T> {
    const answer = await this.request(type, body);
    this.refuse(path, answer);
    const handle = this.parse(answer, REPLY.HANDLE, (reader) => Buffer.from(reader.bytes()));
    let result: T;
    try {
      result = await work(handle);
    } catch (error) {
      // The first error says what went wrong; closing fails in its wake.
      await this.ok(path, REQUEST.CLOSE, new PacketWriter().bytes(handle)).catch(() => undefined);
      throw error;
    }
    await this.ok(path, REQUEST.CLOSE, new PacketWriter().bytes(handle));
    return result;
  }

  private async ok(path: string, type: number, body: PacketWriter): Promise<void> {
    const answer = await this.request(type, body);
    this.refuse(path, answer);
    if (answer.type !== REPLY.STATUS) throw this.malformed();
  }

  private request(type: number, body: PacketWriter): Promise<Answer> {
    const id = this.nextId++;
    const answer = this.expect(id);
    this.send(Buffer.concat([new PacketWriter().uint32(id).content, body.content]), type);
    return answer;
  }

  private expect(id: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.failure) return reject(this.failure);
      this.waiting.set(id, { resolve, reject });
      this.watch();
    });
  }

  private send(body: Buffer, type: number): void {
    if (this.failure) return;
    const head = Buffer.alloc(5);
    head.writeUInt32BE(body.length + 1);
    head.writeUInt8(type, 4);
    this.stream.write(head);
    this.stream.write(body);
  }

  /** Every answer gives the rest as much time again. */
  private watch(): void {
    clearTimeout(this.timer);
    if (this.waiting.size === 0) return;
    this.timer = setTimeout(
      () => this.fail(new ApplianceError(`does not answer (files) within ${this.silenceSeconds} s`)),
      this.silenceSeconds * 1000,
    );
  }

  private receive(data: Buffer): void {
    this.received.push(data);
    this.receivedBytes += data.length;
    while (this.failure === undefined && this.receivedBytes >= 4) {
      const length = this.peekLength();
      if (length < 1 || length > MAX_PACKET_BYTES) {
        this.malformed();
        return;
      }
      if (this.receivedBytes < 4 + length) return;
      const all = Buffer.concat(this.received);
      this.received = [all.subarray(4 + length)];
      this.receivedBytes = all.length - 4 - length;
      this.take(all.subarray(4, 4 + length));
    }
  }

  private peekLength(): number {
    if ((this.received[0]?.length ?? 0) < 4) this.received = [Buffer.concat(this.received)];
    return this.received[0]?.readUInt32BE() ?? 0;
  }

  private take(packet: Buffer): void {
    const type = packet.readUInt8();
    const reader = new PacketReader(packet.subarray(1));
    try {
      // The first answer has no number but the version.
      const first = reader.uint32();
      const id = type === REPLY.VERSION && first === VERSION ? 0 : first;
      const waiting = this.waiting.get(id);
      if (waiting === undefined || (type === REPLY.VERSION) !== (id === 0)) throw new MalformedPacketError();
      this.waiting.delete(id);
      this.watch();
      waiting.resolve({ type, reader });
    } catch {
      this.malformed();
    }
  }

  private parse<T>({ type, reader }: Answer, expected: number, read: (reader: PacketReader) => T): T {
    try {
      if (type !== expected) throw new MalformedPacketError();
      return read(reader);
    } catch (error) {
      if (error instanceof MalformedPacketError) throw this.malformed();
      throw error;
    }
  }

  private status(answer: Answer): { code: number; message: string } {
    return this.parse(answer, REPLY.STATUS, (reader) => {
      const code = reader.uint32();
      const message = printable(reader.text()).slice(0, 200);
      return { code, message: STATUS_MEANINGS[code] ?? (message || `error ${code}`) };
    });
  }

  /** @throws GuestFileError where the answer is that it did not work */
  private refuse(path: string, answer: Answer): void {
    if (answer.type !== REPLY.STATUS) return;
    const { code, message } = this.status(answer);
    if (code !== STATUS_OK) throw new GuestFileError(path, message);
  }

  private malformed(): Error {
    const error = new ApplianceError('answers what is not understood (files)');
    this.fail(error);
    return error;
  }
}
