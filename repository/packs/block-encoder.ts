import { constants, createZstdCompress, type ZstdCompress } from 'node:zlib';
import { BLOCK_SIZE } from '../../blocks/port';
import { type Encoding } from '../maps/block-map-format';
import { looksRandom } from './random-looking';

/**
 * Level 3, zstd's own default: 1.5 % fewer bytes, which are paid for month after month, than level 1, for 0.6 ms more CPU a
 * block, which a backup takes once.
 */
const COMPRESSION_LEVEL = 3;

/** Streams that compress at once: libuv has so many threads for them. */
const STREAMS = 4;

/** What a block is stored as. */
export interface EncodedBlock {
  bytes: Buffer;
  encoding: Encoding;
}

/**
 * A stream that makes a frame of each block. It is used again and again: `zstdCompress` makes a context of more than a MiB
 * and room for the result for every block, and a third of a backup's CPU time went into collecting that garbage.
 */
class FrameStream {
  private readonly stream: ZstdCompress;
  private parts: Buffer[] = [];

  constructor() {
    this.stream = createZstdCompress({
      // Every write ends its frame.
      flush: constants.ZSTD_e_end,
      chunkSize: BLOCK_SIZE,
      params: { [constants.ZSTD_c_compressionLevel]: COMPRESSION_LEVEL },
    });
    this.stream.on('data', (part: Buffer) => this.parts.push(part));
    // Told to the callback of the write, too, where it is dealt with.
    this.stream.on('error', () => undefined);
  }

  compress(block: Buffer): Promise<Buffer[]> {
    return new Promise((resolve, reject) => {
      this.stream.write(block, (error) => {
        const { parts } = this;
        this.parts = [];
        if (error) reject(error);
        else resolve(parts);
      });
    });
  }
}

const idle: FrameStream[] = [];
let busy = 0;
const waiting: ((stream: FrameStream) => void)[] = [];

function takeStream(): FrameStream | Promise<FrameStream> {
  if (busy >= STREAMS) return new Promise((resolve) => waiting.push(resolve));
  busy++;
  return idle.pop() ?? new FrameStream();
}

function giveStream(stream: FrameStream): void {
  const next = waiting.shift();
  if (next !== undefined) next(stream);
  else {
    busy--;
    idle.push(stream);
  }
}

/**
 * Compresses a block in its own memory; where that does not make it smaller, it stays as it is.
 * @returns a view of the block
 */
export async function encodeBlock(block: Buffer): Promise<EncodedBlock> {
  if (looksRandom(block)) return { bytes: block, encoding: 'raw' };
  let stream = await takeStream();
  try {
    const parts = await stream.compress(block);
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length >= BLOCK_SIZE) return { bytes: block, encoding: 'raw' };
    let offset = 0;
    for (const part of parts) offset += part.copy(block, offset);
    return { bytes: block.subarray(0, length), encoding: 'zstd' };
  } catch (error) {
    // What has failed once may not be trusted with another block.
    stream = new FrameStream();
    throw error;
  } finally {
    giveStream(stream);
  }
}
