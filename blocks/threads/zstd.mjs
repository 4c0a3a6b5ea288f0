// Blocks out of zstd frames, for blocks/threads/worker.mjs: plain JavaScript, as that is.
import { Buffer } from 'node:buffer';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { constants, createZstdDecompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/**
 * Fills `block` with what a frame decompresses into.
 * @callback Decompress
 * @param {Buffer} block
 * @param {Buffer} frame
 * @returns {void}
 * @throws {Error} saying what is wrong where the frame is damaged, or does not hold exactly a block
 */

/**
 * Binary logarithm of the memory that a frame may ask for beside its block: 8 MiB, the least that decoders should have (RFC
 * 8878), and more than a block's frame needs. A context that is used again would keep what a hostile one had it take.
 */
const WINDOW_LOG = 23;
/** Blocks between two collections of what decompressing them has left: 8 MiB. */
const COLLECT_AFTER = 16;

/**
 * What Node's own synchronous calls are made of, and npm's minizlib uses, but no document tells.
 * @typedef {import('node:zlib').ZstdDecompress & {
 *   reset(): void,
 *   _handle: { writeSync(...call: [number, Buffer, number, number, Buffer, number, number]): void },
 *   _writeState: Uint32Array,
 * }} Engine
 */

/**
 * Decompresses straight into the block, by one context that is used again and again: a third of the CPU of the documented way,
 * whose context, buffer and copy are new for each block, and no memory that comes and goes.
 * @returns {Decompress | undefined} undefined where this Node has no such way
 */
export function directly() {
  /** @type {Engine | undefined} */
  let engine;
  const spare = Buffer.alloc(1);
  const open = () => {
    const params = { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG };
    const opened = /** @type {Engine} */ (createZstdDecompress({ params }));
    // Is told by `errored`, at once; as an event it comes later, and would end the thread.
    opened.on('error', () => undefined);
    return opened;
  };

  /** @type {Decompress} */
  const decompress = (block, frame) => {
    engine ??= open();
    engine.reset();
    /** @param {number} from @param {Buffer} into @returns {[room: number, left: number]} */
    const write = (from, into) => {
      const { _handle, _writeState } = /** @type {Engine} */ (engine);
      _handle.writeSync(constants.ZSTD_e_end, frame, from, frame.length - from, into, 0, into.length);
      const error = engine?.errored;
      if (error) {
        engine = undefined;
        throw new Error(`it cannot be decompressed (${error.message})`);
      }
      const [room = 0, left = 0] = _writeState;
      return [room, left];
    };
    const [room, left] = write(0, block);
    if (room > 0) throw new Error(`it has ${block.length - room} bytes`);
    // Whatever is still to come shows in one byte more.
    if (write(frame.length - left, spare)[0] === 0) throw new Error(`it has more than ${block.length} bytes`);
  };
  return works(decompress) ? decompress : undefined;
}

/** Whether a way gets right what is known. @param {Decompress} decompress */
function works(decompress) {
  const plain = Buffer.alloc(4096, 'block');
  const block = Buffer.from(new SharedArrayBuffer(plain.length));
  try {
    decompress(block, zstdCompressSync(plain));
    return block.equals(plain);
  } catch {
    return false;
  }
}

/**
 * The documented way.
 * @returns {Decompress}
 */
export function documented() {
  // The threads make next to no objects, so that V8 sees no need to collect, while each block that was decompressed holds on
  // to 512 KiB outside of its heap.
  setFlagsFromString('--expose-gc');
  const collect = /** @type {(options: { type: 'minor' }) => void} */ (runInNewContext('gc'));
  let decompressed = 0;
  return (block, frame) => {
    if (++decompressed % COLLECT_AFTER === 0) collect({ type: 'minor' });
    let made;
    try {
      // A few hostile bytes may claim to be terabytes; nothing longer than a block is made of them. There is room for all
      // of the output, so that zstd decompresses in one pass, and some more: a full buffer makes zlib get another one.
      made = zstdDecompressSync(frame, { chunkSize: block.length + 64, maxOutputLength: block.length });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`it cannot be decompressed (${message})`, { cause: error });
    }
    if (made.length !== block.length) throw new Error(`it has ${made.length} bytes`);
    // Not copy(): into shared memory, that goes byte by byte wherever the two are not aligned alike.
    block.fill(made);
  };
}
