import { buildStep } from './build-step';

/** Writes a partition table; `script` is in the words of sfdisk. */
export async function partition(path: string, script: string): Promise<void> {
  await buildStep('sfdisk', ['--quiet', path], { input: Buffer.from(`${script}\n`) });
}
