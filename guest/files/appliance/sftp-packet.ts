import { type GuestFileStat } from '../port';

/**
 * Packets of the SSH File Transfer Protocol, version 3 (draft-ietf-secsh-filexfer-02), as OpenSSH's sftp-server speaks it
 * (its PROTOCOL file): as much as the appliance is asked for.
 */

export const REQUEST = {
  INIT: 1,
  OPEN: 3,
  CLOSE: 4,
  READ: 5,
  WRITE: 6,
  LSTAT: 7,
  FSETSTAT: 10,
  SETSTAT: 9,
  OPENDIR: 11,
  READDIR: 12,
  REMOVE: 13,
  MKDIR: 14,
  RMDIR: 15,
  READLINK: 19,
  SYMLINK: 20,
  EXTENDED: 200,
} as const;

export const REPLY = {
  VERSION: 2,
  STATUS: 101,
  HANDLE: 102,
  DATA: 103,
  NAME: 104,
  ATTRS: 105,
  EXTENDED_REPLY: 201,
} as const;

export const STATUS_OK = 0;
export const STATUS_EOF = 1;
export const STATUS_NO_SUCH_FILE = 2;

export const OPEN = { READ: 0x01, WRITE: 0x02, CREATE: 0x08, TRUNCATE: 0x10, EXCLUSIVE: 0x20 } as const;

const ATTRIBUTE = { SIZE: 1, OWNER: 2, PERMISSIONS: 4, TIMES: 8, EXTENDED: 0x80000000 } as const;

/** A packet that is not what the protocol says. */
export class MalformedPacketError extends Error {
  constructor() {
    super('a packet of the file server is malformed');
    this.name = 'MalformedPacketError';
  }
}

/** What can be set of a file. Seconds since 1970. */
export interface SettableAttributes {
  owner?: { uid: number; gid: number };
  mode?: number;
  modifiedAt?: number;
}

/** Puts a packet together. */
export class PacketWriter {
  private readonly parts: Buffer[] = [];

  uint32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeUInt32BE(value);
    this.parts.push(part);
    return this;
  }

  uint64(value: number): this {
    const part = Buffer.alloc(8);
    part.writeBigUInt64BE(BigInt(value));
    this.parts.push(part);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.uint32(value.length);
    this.parts.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    return this;
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value, 'latin1'));
  }

  attributes({ owner, mode, modifiedAt }: SettableAttributes): this {
    this.uint32(
      (owner ? ATTRIBUTE.OWNER : 0) +
        (mode === undefined ? 0 : ATTRIBUTE.PERMISSIONS) +
        (modifiedAt === undefined ? 0 : ATTRIBUTE.TIMES),
    );
    if (owner) this.uint32(owner.uid).uint32(owner.gid);
    if (mode !== undefined) this.uint32(mode & 0o7777);
    // The time of the last access goes with it.
    if (modifiedAt !== undefined) this.uint32(modifiedAt).uint32(modifiedAt);
    return this;
  }

  get content(): Buffer {
    return Buffer.concat(this.parts);
  }
}

/** Takes a packet apart. Whatever reads past its end throws {@link MalformedPacketError}. */
export class PacketReader {
  private at = 0;

  constructor(private readonly packet: Buffer) {}

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  /** @throws MalformedPacketError where a number cannot hold it, too */
  uint64(): number {
    const value = this.take(8).readBigUInt64BE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new MalformedPacketError();
    return Number(value);
  }

  bytes(): Buffer {
    return this.take(this.uint32());
  }

  text(): string {
    return this.bytes().toString('latin1');
  }

  /** @throws MalformedPacketError where type, owner, mode, size or time is left out */
  stat(): GuestFileStat {
    const needed = ATTRIBUTE.SIZE | ATTRIBUTE.OWNER | ATTRIBUTE.PERMISSIONS | ATTRIBUTE.TIMES;
    if ((this.uint32() & needed) !== needed) throw new MalformedPacketError();
    const [size, uid, gid, mode] = [this.uint64(), this.uint32(), this.uint32(), this.uint32()];
    this.uint32(); // the time of the last access
    const modifiedAt = this.uint32();
    return { type: TYPES[mode & 0o170000] ?? 'other', mode: mode & 0o7777, uid, gid, size, modifiedAt };
  }

  /** Attributes that nobody asked for, as they come with names. */
  skipAttributes(): void {
    const flags = this.uint32();
    if (flags & ATTRIBUTE.SIZE) this.take(8);
    if (flags & ATTRIBUTE.OWNER) this.take(8);
    if (flags & ATTRIBUTE.PERMISSIONS) this.take(4);
    if (flags & ATTRIBUTE.TIMES) this.take(8);
    if (flags & ATTRIBUTE.EXTENDED) throw new MalformedPacketError();
  }

  private take(length: number): Buffer {
    if (length > this.packet.length - this.at) throw new MalformedPacketError();
    this.at += length;
    return this.packet.subarray(this.at - length, this.at);
  }
}

const TYPES: Record<number, GuestFileStat['type']> = {
  0o100000: 'file',
  0o040000: 'directory',
  0o120000: 'symlink',
};
