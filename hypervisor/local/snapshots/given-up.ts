import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../../../host/atomic-file';
import { exists, readIfExists } from '../../../host/if-exists';
import { type VmFiles } from '../vm-files';

/**
 * Which snapshots were given up, so that a try of their run that nobody waits for any more takes none of them again. The caller holds the
 * VM's lock.
 */

/** A try that goes on for longer than a hundred backups of its VM take is none that is heard of. */
const KEPT_IDS = 100;

const givenUpFile = z.strictObject({ version: z.literal(1), ids: z.array(z.string()) });

/** Notes that nobody is to take the snapshot again. Of a VM that is not there, none can be taken. */
export async function giveUp(files: VmFiles, id: string): Promise<void> {
  if (!(await exists(files.home))) return;
  const ids = [...(await givenUp(files)).filter((one) => one !== id), id].slice(-KEPT_IDS);
  await writeFileAtomically(pathOf(files), JSON.stringify({ version: 1, ids }, null, 2));
}

/** @throws Error where the snapshot was given up */
export async function expectNotGivenUp(files: VmFiles, id: string): Promise<void> {
  if ((await givenUp(files)).includes(id))
    throw new Error(`The snapshot "${id}" of VM "${files.vm}" was given up; its backup is over.`);
}

async function givenUp(files: VmFiles): Promise<string[]> {
  const text = await readIfExists(pathOf(files));
  return text === undefined ? [] : givenUpFile.parse(JSON.parse(text)).ids;
}

const pathOf = (files: VmFiles): string => join(files.home, 'given-up.json');
