import { type Duplex } from 'node:stream';
import { GuestFileError, type GuestFileStat, type GuestFileSystemSpace } from '../port';
import { SftpChannel, type SftpPatience } from './sftp-channel';
import {
  MalformedPacketError,
  PacketWriter,
  REPLY,
  REQUEST,
  STATUS_EOF,
  STATUS_NO_SUCH_FILE,
  type SettableAttributes,
} from './sftp-packet';
import { readFile, readFileStart, writeFile, type ReadAt } from './sftp-transfer';

/** Linux has 255 bytes for a name; NTFS has as many characters, of up to four bytes here. */
const MAX_NAME_BYTES = 1020;

/** The file server of the appliance. What it says comes, in the end, from a guest's disk: all of it is bounded. */
export class SftpClient {
  private readonly channel: SftpChannel;

  /** @param gone tells why the stream has ended */
  constructor(stream: Duplex, patience?: Partial<SftpPatience>, gone?: () => Promise<Error>) {
    this.channel = new SftpChannel(stream, patience, gone);
  }

  /** Ends whatever is waited for with this error; the first one counts. */
  fail(error: Error): void {
    this.channel.fail(error);
  }

  /** Agrees on the version. */
  start(): Promise<void> {
    return this.channel.start();
  }

  /** Undefined where nothing is there. */
  async lstat(path: string): Promise<GuestFileStat | undefined> {
    const answer = await this.channel.request(REQUEST.LSTAT, new PacketWriter().text(path));
    const error = this.channel.error(answer);
    if (error?.code === STATUS_NO_SUCH_FILE) return undefined;
    if (error !== undefined) throw new GuestFileError(path, error.message);
    return this.channel.parse(answer, REPLY.ATTRS, (reader) => reader.stat());
  }

  async readlink(path: string): Promise<string> {
    const answer = await this.channel.request(REQUEST.READLINK, new PacketWriter().text(path));
    this.channel.refuse(path, answer);
    return this.channel.parse(answer, REPLY.NAME, (reader) => {
      if (reader.uint32() !== 1) throw new MalformedPacketError();
      return reader.text();
    });
  }

  /** Names in a directory as it has them. @throws GuestFileError where there are more than `maxNames` */
  async readdir(path: string, maxNames: number): Promise<string[]> {
    return this.channel.withHandle(path, REQUEST.OPENDIR, new PacketWriter().text(path), async (handle) => {
      const names: string[] = [];
      for (;;) {
        const answer = await this.channel.request(REQUEST.READDIR, new PacketWriter().bytes(handle));
        const error = this.channel.error(answer);
        if (error?.code === STATUS_EOF) return names;
        if (error !== undefined) throw new GuestFileError(path, error.message);
        this.channel.parse(answer, REPLY.NAME, (reader) => {
          const count = reader.uint32();
          // The end of a directory has an answer of its own: with none of these, it would never come.
          if (count === 0) throw new MalformedPacketError();
          for (let left = count; left > 0; left--) {
            const name = reader.text();
            if (name.length > MAX_NAME_BYTES) throw new MalformedPacketError();
            names.push(name);
            reader.text(); // the line that ls -l would print
            reader.skipAttributes();
          }
        });
        if (names.length > maxNames) throw new GuestFileError(path, `has more than ${maxNames} entries`);
      }
    });
  }

  /** {@link readFile} */
  read(path: string, maxBytes: number, take: (part: Buffer) => Promise<void>): Promise<void> {
    return readFile(this.channel, path, maxBytes, take);
  }

  /** {@link readFileStart} */
  readStart(path: string, length: number): Promise<Buffer> {
    return readFileStart(this.channel, path, length);
  }

  /** {@link writeFile} */
  write(
    path: string,
    how: 'create' | 'replace',
    readAt: ReadAt,
    attributes: SettableAttributes,
  ): Promise<void> {
    return writeFile(this.channel, path, how, readAt, attributes);
  }

  /** Sets attributes of what is no symbolic link. */
  async setstat(path: string, { owner, ...others }: SettableAttributes): Promise<void> {
    if (owner)
      await this.channel.ok(path, REQUEST.SETSTAT, new PacketWriter().text(path).attributes({ owner }));
    await this.channel.ok(path, REQUEST.SETSTAT, new PacketWriter().text(path).attributes(others));
  }

  async mkdir(path: string, mode: number): Promise<void> {
    await this.channel.ok(path, REQUEST.MKDIR, new PacketWriter().text(path).attributes({ mode }));
  }

  async symlink(path: string, target: string): Promise<void> {
    // OpenSSH takes the two in this order, and not in the draft's.
    await this.channel.ok(path, REQUEST.SYMLINK, new PacketWriter().text(target).text(path));
  }

  async remove(path: string): Promise<void> {
    await this.channel.ok(path, REQUEST.REMOVE, new PacketWriter().text(path));
  }

  async rmdir(path: string): Promise<void> {
    await this.channel.ok(path, REQUEST.RMDIR, new PacketWriter().text(path));
  }

  /** Room in the file system that holds the path. */
  async space(path: string): Promise<Omit<GuestFileSystemSpace, 'fileSystem'>> {
    const answer = await this.channel.request(
      REQUEST.EXTENDED,
      new PacketWriter().text('statvfs@openssh.com').text(path),
    );
    this.channel.refuse(path, answer);
    return this.channel.parse(answer, REPLY.EXTENDED_REPLY, (reader) => {
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
}
