import { execFileSync } from 'node:child_process';

/**
 * Without these sfdisk takes a file for a disk in use: it waits a quarter of a second, and then has everything written that
 * this whole host has yet to write, for every disk that a test makes.
 */
const ON_A_FILE = ['--quiet', '--no-reread', '--no-tell-kernel'];

/** Writes a partition table to a file; `script` is in the words of sfdisk. */
export function partition(disk: string, script: string): void {
  execFileSync('sfdisk', [...ON_A_FILE, disk], { input: script });
}

/** Changes the type or the identity of one partition. */
export function changePartition(
  disk: string,
  what: '--part-type' | '--part-uuid',
  number: number,
  to: string,
): void {
  execFileSync('sfdisk', [...ON_A_FILE, what, disk, String(number), to]);
}
