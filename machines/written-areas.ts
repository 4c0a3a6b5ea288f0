import { open } from 'node:fs/promises';
import { z } from 'zod';
import { toolOutput } from '../host/run-tool';

/** Bytes `offset` to `offset + length - 1` of a disk. */
export interface WrittenArea {
  offset: number;
  length: number;
}

/** What `qemu-img map` says of a stretch; `present` is whether the image itself tells what is there, be it zeros. */
const mapSchema = z.array(z.object({ start: z.int(), length: z.int(), present: z.boolean() }));

/**
 * What a qcow2 overlay holds while it is exported.
 * @param path of the export
 * @throws ToolFailedError, or a system error where its daemon has ended
 */
export async function writtenAreas(path: string, overlay: string): Promise<WrittenArea[]> {
  // QEMU keeps some of the overlay's tables in memory until it is told to flush.
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  // The daemon has the image locked against others that would write to it.
  const map = await toolOutput('qemu-img', ['map', '--force-share', '--output=json', '-f', 'qcow2', overlay]);
  return mapSchema
    .parse(JSON.parse(map))
    .filter(({ present }) => present)
    .map(({ start, length }) => ({ offset: start, length }));
}
