import { writeFile } from 'node:fs/promises';
import { readSandboxConfig } from '../config';
import { writeFileAtomically } from '../../host/atomic-file';
import { sandboxPaths, sandboxProcesses } from './processes';
import { Supervised } from './supervised';

/**
 * Entry of the supervisor: `node supervisor/main.js <sandbox directory>`. Keeps the sandbox's processes running until
 * it gets SIGTERM; then it stops them, the workers first, so that nothing asks a server that has gone.
 */
async function main(directory: string): Promise<void> {
  const config = await readSandboxConfig(directory);
  if (!config) throw new Error(`There is no sandbox in ${directory}.`);
  const paths = sandboxPaths(config);
  await writeFile(paths.supervisorPid, `${process.pid}\n`);

  let writing: Promise<void> = Promise.resolve();
  const report = (): void => {
    const text = `${JSON.stringify(all.map((one) => one.report))}\n`;
    writing = writing.then(() => writeFileAtomically(paths.supervisorReport, text));
  };
  const all = sandboxProcesses(config).map((spec) => new Supervised(spec, () => report()));

  // Bound before anything starts: a SIGTERM in between must not orphan a child.
  const stopped = new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  for (const one of all) one.start();
  await stopped;
  for (const one of all.toReversed()) await one.stop();
  await writing;
}

main(process.argv[2] ?? '').catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
