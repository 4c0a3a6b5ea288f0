/**
 * What O_DIRECT asks of memory, offset and length. 512 would do on most devices; 4096 is the largest logical block that
 * disks have, and the page that the rest of a file is cached by.
 */
export const DIRECT_ALIGNMENT = 4096;

const WASM_PAGE_BYTES = 64 * 1024;

/** Node has it; its typings and those of ECMAScript do not. */
declare const WebAssembly: {
  Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
};

/** Memory that is known to begin on a page. */
const pageAligned = new WeakSet<object>();

/**
 * A buffer for files that were opened with O_DIRECT. JavaScript cannot ask for an alignment, nor see the one that it got; the
 * memory of WebAssembly begins on a page by design, so it is used here as nothing but memory. To be kept and used
 * again: a new one costs the kernel every page of it anew.
 */
export function alignedBuffer(bytes: number): Buffer {
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
  let memory: ArrayBuffer;
  try {
    memory = new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer;
  } catch (error) {
    // A limit on address space (ulimit -v): any memory will do, without O_DIRECT.
    if ((error as Error).name === 'RangeError') return Buffer.allocUnsafeSlow(bytes);
    throw error;
  }
  pageAligned.add(memory);
  return Buffer.from(memory, 0, bytes);
}

/** Whether O_DIRECT can take these bytes to or from that offset of a file. */
export function isDirectable(buffer: Buffer, offset: number): boolean {
  return (
    pageAligned.has(buffer.buffer) &&
    [buffer.byteOffset, buffer.length, offset].every((number) => number % DIRECT_ALIGNMENT === 0)
  );
}
