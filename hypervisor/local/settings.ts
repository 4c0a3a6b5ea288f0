import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/**
 * What a process must know to run VMs of a data centre, kept in its directory, so that a backup proxy started
 * afresh needs the directory alone.
 */
const settingsSchema = z.strictObject({
  network: z.strictObject({ id: z.string(), runDirectory: z.string() }),
  segment: z.strictObject({
    name: z.string(),
    cidr: z.string(),
    gateway: z.string(),
    dhcp: z.boolean(),
  }),
  /** N of the published addresses 127.N.10.x. */
  loopbackOctet: z.number().int().min(1).max(254),
  /** `false`: a VM that is started has its disks open, and its CPUs stand still; for tests of everything else. */
  boots: z.boolean().optional(),
});

export type DatacenterSettings = z.infer<typeof settingsSchema>;

export function settingsFile(directory: string): string {
  return join(directory, 'datacenter.json');
}

/** The settings of the data centre in `directory`; undefined where it has none, and its VMs no network. */
export async function readSettings(directory: string): Promise<DatacenterSettings | undefined> {
  let text: string;
  try {
    text = await readFile(settingsFile(directory), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return settingsSchema.parse(JSON.parse(text));
}
