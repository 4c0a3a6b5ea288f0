import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Bytes of one request. Where a device has no command for it, the kernel writes the zeros, and a program that a killed
 * worker leaves behind goes on with that: it shall be a second's work at most. Starting the program takes some 3 ms.
 */
const REQUEST_BYTES = 256 * 2 ** 20;

/**
 * Makes a range of a file or device read as zeros without sending them: BLKZEROOUT on a block device, a file's own
 * zero range otherwise. Never a discard, after which a device may still give the old data. Node has no call for either,
 * so util-linux's programs make it.
 *
 * @param start first byte, a multiple of 512 as is `end`
 * @returns the byte up to which the range is zeros; less than `end` where this host or this file has no such request
 */
export async function zeroRange(
  target: { path: string; isDevice: boolean },
  start: number,
  end: number,
): Promise<number> {
  let zeroed = start;
  while (zeroed < end) {
    const length = Math.min(REQUEST_BYTES, end - zeroed);
    const range = ['--offset', String(zeroed), '--length', String(length)];
    const [program, args] = target.isDevice
      ? // Forced, since the sink has the device to itself, and the program would want it for itself.
        (['blkdiscard', ['--force', '--zeroout', ...range, target.path]] as const)
      : (['fallocate', ['--zero-range', '--keep-size', ...range, target.path]] as const);
    try {
      await run(program, args);
    } catch (error) {
      // Not installed, too old to know an option, not supported: the caller writes zeros, and what is truly wrong with
      // the target shows there with an error code.
      if (isRefusal(error)) return zeroed;
      throw error;
    }
    zeroed += length;
  }
  return end;
}

/** Whether the program was not there, or ended by itself with a failure. */
function isRefusal(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === 'ENOENT' || (typeof code === 'number' && code > 0);
}
