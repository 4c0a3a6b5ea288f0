import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Appliance } from '../../guest/files/appliance/appliance';

/** Disks with file systems that this host need not know, made by the appliance's own tools. */

export const directory = mkdtempSync(join(tmpdir(), 'lifeboat-test-appliance-'));
let disks = 0;

export function removeDisks(): void {
  rmSync(directory, { recursive: true, force: true });
}

export function emptyDisk(sizeMiB: number): string {
  const path = join(directory, `disk-${++disks}.raw`);
  writeFileSync(path, '');
  truncateSync(path, sizeMiB * 1024 * 1024);
  return path;
}

/** Runs commands of the appliance on disks, one after the other; each must succeed. */
export async function onDisks(
  paths: string[],
  commands: string[][],
  end: 'off' | 'cut' = 'off',
): Promise<void> {
  const appliance = await Appliance.start(paths, 'write');
  try {
    for (const command of commands) {
      const { exitCode, stdout, stderr } = await appliance.run(command, 120);
      if (exitCode !== 0) throw new Error(`${command.join(' ')}: ${exitCode} ${stdout}${stderr}`);
    }
    if (end === 'off') await appliance.close();
  } finally {
    await appliance.kill();
  }
}
