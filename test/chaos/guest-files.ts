import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { listing, text } from '../unit/guest-fixture';

const execute = promisify(execFile);

/** What the adaptation leaves in a guest, as docs/guests.md has it; written down here again, as nothing of the product judges it. */
const STATE = '/var/lib/lifeboat';
const MANIFEST = `${STATE}/adaptation.json`;
const LAUNCH_UNIT = '/etc/systemd/system/lifeboat-launch.service';
const READER = `${STATE}/read-launch-data`;
const LAUNCH_HOSTS = `${STATE}/launch/hosts`;

/** How a guest's disk was adapted. */
export type Adapted = 'launch copy' | 'volumes';

/** Names of a VM that a guest is to find, with the address that its disk has for it. */
export interface NamedHost {
  address: string;
  name: string;
}

/** What is wrong with the files of a guest of one ext4 partition (`debian`) that is to be launched, or was. */
export function adaptationProblems(disk: string, adapted: Adapted, hosts: NamedHost[]): Promise<string[]> {
  return onCopy(disk, (copy) => {
    const files = listing(copy);
    const problems: string[] = [];
    const must = (path: string, there: boolean): void => {
      if (Object.hasOwn(files, path) !== there) problems.push(`${path} is ${there ? 'missing' : 'there'}`);
    };
    must(MANIFEST, true);
    must(READER, adapted === 'launch copy');
    must(LAUNCH_UNIT, adapted === 'launch copy');
    const lines = hosts.map(({ address, name }) => `${address} ${name}\n`);
    const etcHosts = text(copy, '/etc/hosts');
    for (const line of lines)
      if (!etcHosts.includes(line)) problems.push(`/etc/hosts lacks "${line.trim()}"`);
    if (adapted === 'launch copy' && hosts.length > 0) {
      const found = Object.hasOwn(files, LAUNCH_HOSTS) ? text(copy, LAUNCH_HOSTS) : 'nothing';
      if (found !== lines.join('')) problems.push(`${LAUNCH_HOSTS} has ${found}`);
    }
    return problems;
  });
}

/** Paths in which the files of two such guests differ. */
export async function differingFiles(disk: string, other: string): Promise<string[]> {
  const [one, two] = [await onCopy(disk, listing), await onCopy(other, listing)];
  return [...new Set([...Object.keys(one), ...Object.keys(two)])].filter((path) => one[path] !== two[path]);
}

/** The tools open what they read for writing; the disk may be somebody's, who also removes files that he does not know. */
async function onCopy<T>(disk: string, work: (copy: string) => T): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-chaos-'));
  const copy = join(directory, 'disk.raw');
  try {
    // A volume is a GiB, of which a few MiB are there.
    await execute('cp', ['--sparse=always', disk, copy]);
    return work(copy);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
