/**
 * What O_DIRECT asks of offsets and lengths. 512 would do on most devices; 4096 is the largest logical block that disks
 * have, and the page that the rest of a file is cached by.
 */
export const DIRECT_ALIGNMENT = 4096;

/**
 * What is asked of memory: a page. Disks are content with a sector, but from the middle of a page on a write by FUSE takes a
 * page more, and must not be cut in two; see FILE_WRITE_BYTES in disk-writer.ts.
 */
const MEMORY_ALIGNMENT = DIRECT_ALIGNMENT;

const WASM_PAGE_BYTES = 64 * 1024;

/** Node has it; its typings and those of ECMAScript do not. */
declare const WebAssembly: {
  Memory: new (pages: { initial: number; maximum: number; shared: boolean }) => {
    readonly buffer: ArrayBuffer | SharedArrayBuffer;
  };
};

/** Memory that is known to begin on a page. */
const pageAligned = new WeakSet<ArrayBufferLike>();

/**
 * Memory for files that were opened with O_DIRECT. JavaScript cannot ask for an alignment, nor see the one that it got;
 * the memory of WebAssembly begins on a page by design, so it is used here as nothing but memory. To be kept and used
 * again: a new one costs the kernel every page of it anew.
 */
export function alignedBuffer(bytes: number): Buffer {
  return Buffer.from(allocate(bytes, false) ?? new ArrayBuffer(bytes), 0, bytes);
}

/** The same, to be shared with threads; a piece of it is good for O_DIRECT where it begins on a page. */
export function alignedSharedMemory(bytes: number): SharedArrayBuffer {
  return (allocate(bytes, true) as SharedArrayBuffer | undefined) ?? new SharedArrayBuffer(bytes);
}

/** @returns undefined where a limit on address space (ulimit -v) forbids it: any memory will do, without O_DIRECT */
function allocate(bytes: number, shared: boolean): ArrayBuffer | SharedArrayBuffer | undefined {
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
  try {
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared }).buffer;
    pageAligned.add(memory);
    return memory;
  } catch (error) {
    if ((error as Error).name === 'RangeError') return undefined;
    throw error;
  }
}

/** Whether O_DIRECT can take these bytes to or from that offset of a file. */
export function isDirectable(buffer: Buffer, offset: number): boolean {
  return (
    pageAligned.has(buffer.buffer) &&
    buffer.byteOffset % MEMORY_ALIGNMENT === 0 &&
    buffer.length % DIRECT_ALIGNMENT === 0 &&
    offset % DIRECT_ALIGNMENT === 0
  );
}
