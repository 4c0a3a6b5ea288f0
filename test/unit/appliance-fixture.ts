import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Appliance } from '../../guest/files/appliance/appliance';
import { type Tree } from './guest-fixture';

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

/** A disk that is a tar archive, for the appliance to unpack: nothing here mounts anything. */
export function treeDisk(tree: Tree, below = '.'): string {
  const source = mkdtempSync(join(directory, 'tree-'));
  for (const [name, content] of Object.entries(tree)) {
    const target = join(source, below, name);
    mkdirSync(dirname(target), { recursive: true });
    if (typeof content === 'string' || content instanceof Uint8Array) writeFileSync(target, content);
    else symlinkSync(content.link, target);
  }
  mkdirSync(join(source, below), { recursive: true });
  const path = `${source}.tar`;
  execFileSync('tar', ['-cf', path, '--owner=0', '--group=0', '-C', join(source, below), '.']);
  return path;
}

/** Commands of the appliance that mount a device. */
export const mount = (type: string, device: string, at: string, options = 'rw'): string[][] => [
  ['/applets/modprobe', type],
  ['/applets/mkdir', '-p', at],
  ['/bin/busybox', 'mount', '-t', type, '-o', options, device, at],
];
