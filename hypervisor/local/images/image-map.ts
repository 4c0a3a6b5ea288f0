import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { ToolFailedError } from '../../../host/run-tool';
import { toolEnvironment } from '../../../host/tool-environment';
import { withoutBacking } from '../../../machines/hardware';
import { type DiskArea } from '../../port';
import { AreaCollector, withinAreas } from '../../areas';
import { type DiskImage } from '../vm-files';

/** A part of an image that is the same throughout, as `qemu-img map` tells it. */
export interface MappedRange {
  start: number;
  length: number;
  /** Whether it is known to read as zeros. */
  zero: boolean;
  data: boolean;
  /** Where its bytes are in the image's file, where they are there as they are. */
  offset?: number;
}

/** An image has so many ranges that listing them takes too long. */
export class MapTooLongError extends Error {
  constructor() {
    super(`Listing the areas of a disk takes longer than ${MAP_MILLISECONDS} ms.`);
    this.name = 'MapTooLongError';
  }
}

/** Whoever waits for the VM's lock gives up at 120 s. */
const MAP_MILLISECONDS = 110_000;

/** Enough of what a program wrote to stderr to say what went wrong. */
const STDERR_CHARACTERS = 4000;

/**
 * Hands the ranges of an image to `take`, one by one and in order: there may be millions.
 * @param source options of a block node, its driver among them
 */
export async function mapImage(
  source: Record<string, unknown>,
  take: (range: MappedRange) => void,
): Promise<void> {
  // Sharing the image with a QEMU that runs is safe where the caller's source is one that QEMU does not cache.
  const args = ['map', '--force-share', '--output=json', `json:${JSON.stringify(source)}`];
  const child = spawn('qemu-img', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: MAP_MILLISECONDS,
    env: toolEnvironment(),
  });
  const ended = once(child, 'close') as Promise<[number | null]>;
  ended.catch(() => {}); // that it could not be started is seen below
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_CHARACTERS);
  });
  try {
    // An array, each element on a line of its own.
    for await (const line of createInterface({ input: child.stdout })) {
      const element = line.replace(/^\[/, '').replace(/[,\]]\s*$/, '');
      if (element !== '') take(JSON.parse(element) as MappedRange);
    }
  } catch (error) {
    if (child.killed) throw new MapTooLongError(); // in the middle of a line
    child.kill();
    throw error;
  }
  const [code] = await ended;
  if (child.killed) throw new MapTooLongError();
  if (code !== 0) throw new ToolFailedError(['qemu-img', ...args].join(' '), code ?? undefined, stderr);
}

/**
 * The areas of an image that may hold anything but zeros.
 * @param files what the image consists of
 */
export async function allocatedAreas(
  { path, format }: DiskImage,
  files: readonly string[],
): Promise<DiskArea[]> {
  const found = new AreaCollector();
  // In a sparse VMDK of one file, grains that nothing was written into are holes of that file, which QEMU does not see.
  const inFile = format === 'vmdk' && files.length === 1 ? await fileAreas(path) : undefined;
  const source = { driver: format, file: { driver: 'file', filename: path }, ...withoutBacking(format) };
  await mapImage(source, ({ start, length, zero, offset }) => {
    if (zero) return;
    if (inFile === undefined || offset === undefined) return found.add(start, length);
    for (const part of withinAreas(inFile, offset, length))
      found.add(start + part.offset - offset, part.length);
  });
  return found.merged();
}

/** The areas of a file that are no holes. */
async function fileAreas(path: string): Promise<DiskArea[]> {
  const found = new AreaCollector();
  await mapImage({ driver: 'raw', file: { driver: 'file', filename: path } }, ({ start, length, zero }) => {
    if (!zero) found.add(start, length);
  });
  return found.merged();
}
