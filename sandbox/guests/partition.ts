import { buildStep } from './build-step';

/**
 * Writes a partition table to a file; `script` is in the words of sfdisk. Without the two options it takes the file for a disk in
 * use: it waits a quarter of a second, and has everything written that this whole host has yet to write.
 */
export async function partition(path: string, script: string): Promise<void> {
  await buildStep('sfdisk', ['--quiet', '--no-reread', '--no-tell-kernel', path], {
    input: Buffer.from(`${script}\n`),
  });
}
