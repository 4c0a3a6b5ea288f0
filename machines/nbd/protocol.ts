/**
 * Numbers of the Network Block Device protocol, as far as a read-only server of one export needs them; the NBD project's
 * doc/proto.md has them all. Integers are unsigned and big-endian.
 */

/** "NBDMAGIC", the first of a server's greeting. */
export const GREETING_MAGIC = 0x4e42444d41474943n;
/** "IHAVEOPT", the second of the greeting, and before each option that a client sends. */
export const OPTION_MAGIC = 0x49484156454f5054n;
export const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;

/** Of the handshake, server's and client's alike: newstyle as it was fixed, and no zeros to fill the export's answer up. */
export const FIXED_NEWSTYLE = 1 << 0;
export const NO_ZEROES = 1 << 1;

export const OPTION = { exportName: 1, abort: 2, list: 3, info: 6, go: 7 } as const;
export const OPTION_REPLY = {
  acknowledged: 1,
  server: 2,
  info: 3,
  unsupported: 2 ** 31 + 1,
  invalid: 2 ** 31 + 3,
} as const;
export const INFO = { export: 0, blockSize: 3 } as const;

/** Of the export: these flags are meant, it is read-only, and clients may have several connections. */
export const TRANSMISSION_FLAGS = (1 << 0) | (1 << 1) | (1 << 8);

export const COMMAND = { read: 0, write: 1, disconnect: 2 } as const;
export const ERROR = { none: 0, io: 5, invalid: 22 } as const;

export const OPTION_HEADER_BYTES = 8 + 4 + 4;
export const REQUEST_BYTES = 4 + 2 + 2 + 8 + 8 + 4;

/** What a client may send with an option: a name of 4096 bytes and a few numbers, by the protocol. */
export const LONGEST_OPTION_BYTES = 8192;
/** What a client may ask for at once. QEMU and the kernel split what is longer; a FUSE request is at most as long. */
export const LONGEST_READ_BYTES = 2 ** 20;
/** What suits the one who answers: what a page cache reads ahead. Any offset and length will do. */
const PREFERRED_BYTES = 4096;

export interface Request {
  command: number;
  cookie: bigint;
  /** Beyond what a number can hold, it is past the end of any disk, and so it stays. */
  offset: number;
  length: number;
}

/** @returns undefined where it does not begin as one */
export function parseRequest(bytes: Buffer): Request | undefined {
  if (bytes.readUInt32BE(0) !== REQUEST_MAGIC) return undefined;
  return {
    command: bytes.readUInt16BE(6),
    cookie: bytes.readBigUInt64BE(8),
    offset: Number(bytes.readBigUInt64BE(16)),
    length: bytes.readUInt32BE(24),
  };
}

export function simpleReply(cookie: bigint, error: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0);
  bytes.writeUInt32BE(error, 4);
  bytes.writeBigUInt64BE(cookie, 8);
  return bytes;
}

export function optionReply(option: number, reply: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(reply, 12);
  head.writeUInt32BE(data.length, 16);
  return Buffer.concat([head, data]);
}

/** Size and flags of the export, as the oldest of the options is answered and as NBD_INFO_EXPORT has them. */
export function exportInfo(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeBigUInt64BE(BigInt(sizeBytes), 0);
  bytes.writeUInt16BE(TRANSMISSION_FLAGS, 8);
  return bytes;
}

/** NBD_INFO_BLOCK_SIZE: least, preferred and longest request. */
export function blockSizeInfo(): Buffer {
  const bytes = Buffer.alloc(14);
  bytes.writeUInt16BE(INFO.blockSize, 0);
  [1, PREFERRED_BYTES, LONGEST_READ_BYTES].forEach((size, n) => bytes.writeUInt32BE(size, 2 + 4 * n));
  return bytes;
}
