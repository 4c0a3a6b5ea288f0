import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../../host/atomic-file';
import { exists, readIfExists } from '../../host/if-exists';
import { toolOutput } from '../../host/run-tool';
import { syncFile } from '../../host/sync-file';
import { uefiVariablesFile } from '../../machines/firmware';
import { VmHeldError } from '../port';
import { checkImage } from './images/image-check';
import { parseVmFile, type VmFile, type VmFiles } from './vm-files';

/**
 * A VM that is held: `held/` has copies of the files that its disks, its firmware's variables and its description were in, which
 * come back by being renamed. Whoever still writes to a disk of a VM that was given back writes into a file that has no name any
 * more. Where the file system can share blocks between files (XFS, Btrfs), the copies take no time and no room; on others they take
 * what the disks hold. Callers hold the VM's lock, and see to it that nothing has its disks open.
 */

/** Copying a disk of terabytes on a file system that shares no blocks. */
const COPY_SECONDS = 12 * 3600;

const keptSchema = z.strictObject({
  version: z.literal(1),
  id: z.string(),
  /** vm.json, as it was. */
  vm: z.unknown(),
  /** Names of files in the VM's directory; the copy of the first is `0`, and so on. */
  files: z.array(z.string().refine((file) => basename(file) === file && file !== '..')),
  /** Whether the firmware's variables are among them: what is not was not there. */
  uefiVariables: z.boolean(),
});

type Kept = z.infer<typeof keptSchema>;

/** Keeps the VM as it is. @throws VmHeldError where it is held already */
export async function hold(files: VmFiles, id: string): Promise<void> {
  const file = await files.read();
  if (file.heldBy !== undefined) throw new VmHeldError(files.vm, file.heldBy);
  // Until vm.json says that the VM is held, what a broken-off try has copied counts for nothing.
  await rm(files.held, { recursive: true, force: true });
  await mkdir(files.held, { recursive: true });
  const kept = await namesToKeep(files, file, id);
  for (const [n, name] of kept.files.entries()) {
    const copy = join(files.held, String(n));
    await toolOutput('cp', ['--reflink=auto', '--sparse=always', '--', join(files.home, name), copy], {
      timeoutSeconds: COPY_SECONDS,
    });
    await syncFile(copy);
  }
  await writeFileAtomically(keptFile(files), JSON.stringify(kept, null, 2));
  await files.write({ ...file, heldBy: id });
}

/** Puts back what was kept; a try that was cut off is made good by the next. @param stop takes power and open disks away */
export async function revert(files: VmFiles, id: string, stop: () => Promise<void>): Promise<void> {
  const file = await files.read();
  // A try that was cut off at its end.
  if (file.heldBy === undefined) await rm(files.held, { recursive: true, force: true });
  if (file.heldBy !== id) return;
  await stop();
  const kept = await readKept(files);
  for (const [n, name] of kept.files.entries()) {
    const copy = join(files.held, String(n));
    if (await exists(copy)) await rename(copy, join(files.home, name));
  }
  if (!kept.uefiVariables) await rm(uefiVariablesFile(files.machine), { force: true });
  // Raised: a snapshot that was taken meanwhile is void.
  await files.write({ ...parseVmFile(keptFile(files), kept.vm), revision: file.revision + 1 });
  await rm(files.held, { recursive: true, force: true });
}

/** Lets the VM be what it is now. */
export async function drop(files: VmFiles, id: string): Promise<void> {
  const { heldBy, ...file } = await files.read();
  if (heldBy !== undefined && heldBy !== id) return;
  if (heldBy === id) await files.write(file);
  await rm(files.held, { recursive: true, force: true });
}

async function namesToKeep(files: VmFiles, file: VmFile, id: string): Promise<Kept> {
  const names = new Set<string>();
  for (const { key, sizeBytes } of file.configuration.disks) {
    const image = files.image(file, key);
    // What an image consists of lies beside it (image-check.ts).
    for (const path of [image.path, ...(await checkImage(image, sizeBytes)).files]) names.add(basename(path));
  }
  const variables = uefiVariablesFile(files.machine);
  const uefiVariables = await exists(variables);
  if (uefiVariables) names.add(basename(variables));
  return { version: 1, id, vm: file, files: [...names], uefiVariables };
}

async function readKept(files: VmFiles): Promise<Kept> {
  const text = await readFile(keptFile(files), 'utf8');
  return keptSchema.parse(JSON.parse(text));
}

/** Whether a VM that is gone, or was never there, is asked for. */
export async function isThere(files: VmFiles): Promise<boolean> {
  return (await readIfExists(join(files.home, 'vm.json'))) !== undefined;
}

function keptFile(files: VmFiles): string {
  return join(files.held, 'kept.json');
}
