import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { BLOCK_SIZE } from './block';

const run = promisify(execFile);

/** A map of a large, scattered file has many lines of JSON. */
const LARGEST_MAP = 256 * 1024 * 1024;

interface Extent {
  start: number;
  length: number;
  zero: boolean;
}

/**
 * Which blocks of a raw file may hold data; the others are holes. `qemu-img map` asks the file system (SEEK_DATA),
 * which node cannot. A disk is mostly holes, and reading those takes half a second a GiB.
 */
export async function readExtents(path: string): Promise<(index: number) => boolean> {
  const args = ['map', '--output=json', '-f', 'raw', '--', path];
  const { stdout } = await run('qemu-img', args, { maxBuffer: LARGEST_MAP });
  const extents = (JSON.parse(stdout) as Extent[]).filter(({ zero }) => !zero);
  const blocks = new Set<number>();
  for (const { start, length } of extents)
    for (let index = Math.floor(start / BLOCK_SIZE); index * BLOCK_SIZE < start + length; index++)
      blocks.add(index);
  return (index) => blocks.has(index);
}
