import { open } from 'node:fs/promises';

/** Makes what was written to a file, or a block device, durable, whoever wrote it. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
