import { type Readable } from 'node:stream';

/** A stream read in pieces of a given length. */
export class ByteReader {
  private readonly pieces: AsyncIterator<Buffer>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(stream: Readable) {
    this.pieces = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** The next bytes; undefined where the stream ends before. @throws what ends the stream with an error */
  async read(length: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [this.rest];
    let have = this.rest.length;
    while (have < length) {
      const next = await this.pieces.next();
      if (next.done === true) return undefined;
      parts.push(next.value);
      have += next.value.length;
    }
    const bytes = parts.length === 1 ? this.rest : Buffer.concat(parts);
    this.rest = bytes.subarray(length);
    return bytes.subarray(0, length);
  }
}
