import { type Writable } from 'node:stream';
import { type ByteReader } from './byte-reader';
import {
  blockSizeInfo,
  exportInfo,
  FIXED_NEWSTYLE,
  GREETING_MAGIC,
  INFO,
  LONGEST_OPTION_BYTES,
  NO_ZEROES,
  OPTION,
  OPTION_HEADER_BYTES,
  OPTION_MAGIC,
  OPTION_REPLY,
  optionReply,
} from './protocol';

/** Zeros after the size and flags of an export, for clients that do not do without. */
const ZEROES_BYTES = 124;

/**
 * The fixed newstyle handshake, of a server whose one export answers to every name.
 * @returns whether requests follow; otherwise the client has gone, wanted no more, or sent what is no handshake
 */
export async function shakeHands(from: ByteReader, to: Writable, sizeBytes: number): Promise<boolean> {
  to.write(greeting());
  const flags = (await from.read(4))?.readUInt32BE(0);
  if (flags === undefined || (flags & ~(FIXED_NEWSTYLE | NO_ZEROES)) !== 0) return false;
  for (;;) {
    const head = await from.read(OPTION_HEADER_BYTES);
    if (head?.readBigUInt64BE(0) !== OPTION_MAGIC) return false;
    const option = head.readUInt32BE(8);
    const length = head.readUInt32BE(12);
    if (length > LONGEST_OPTION_BYTES) return false;
    const data = await from.read(length);
    if (data === undefined) return false;
    switch (option) {
      case OPTION.exportName: {
        to.write(exportInfo(sizeBytes));
        if ((flags & NO_ZEROES) === 0) to.write(Buffer.alloc(ZEROES_BYTES));
        return true;
      }
      case OPTION.go:
      case OPTION.info: {
        if (!namesAnExport(data)) {
          to.write(optionReply(option, OPTION_REPLY.invalid));
          break;
        }
        to.write(
          optionReply(option, OPTION_REPLY.info, Buffer.concat([u16(INFO.export), exportInfo(sizeBytes)])),
        );
        to.write(optionReply(option, OPTION_REPLY.info, blockSizeInfo()));
        to.write(optionReply(option, OPTION_REPLY.acknowledged));
        if (option === OPTION.go) return true;
        break;
      }
      case OPTION.list: {
        // One export, of an empty name.
        to.write(optionReply(option, OPTION_REPLY.server, Buffer.alloc(4)));
        to.write(optionReply(option, OPTION_REPLY.acknowledged));
        break;
      }
      case OPTION.abort: {
        to.write(optionReply(option, OPTION_REPLY.acknowledged));
        return false;
      }
      default: {
        // TLS, structured replies and block status among them: clients do without.
        to.write(optionReply(option, OPTION_REPLY.unsupported));
      }
    }
  }
}

function greeting(): Buffer {
  const bytes = Buffer.alloc(18);
  bytes.writeBigUInt64BE(GREETING_MAGIC, 0);
  bytes.writeBigUInt64BE(OPTION_MAGIC, 8);
  bytes.writeUInt16BE(FIXED_NEWSTYLE | NO_ZEROES, 16);
  return bytes;
}

/** Whether the data of NBD_OPT_GO is a name and a list of what the client would like to be told, which it is told anyway. */
function namesAnExport(data: Buffer): boolean {
  if (data.length < 6) return false;
  const name = data.readUInt32BE(0);
  return name <= data.length - 6 && data.length === 6 + name + 2 * data.readUInt16BE(4 + name);
}

function u16(number: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(number);
  return bytes;
}
