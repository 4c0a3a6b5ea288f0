import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { projectRoot } from '../sandbox/project-root';
import { type Benchmark } from './benchmark';
import { backup } from './benchmarks/backup';
import { failback } from './benchmarks/failback';
import { incremental } from './benchmarks/incremental';
import { put } from './benchmarks/put';
import { restore } from './benchmarks/restore';
import { resume } from './benchmarks/resume';
import { scale } from './benchmarks/scale';
import { MissingPeerError } from './peers/coldsnap';
import { describeMachine } from './machine';
import { report } from './report';
import { runPairs } from './run';
import { Workspace } from './workspace';

const BENCHMARKS: Benchmark[] = [put, restore, incremental, failback, backup, scale, resume];

const USAGE = `usage: npm run bench -- NAME [--json] [--pairs N] [--size-mib N] [--directory PATH]

  --json        the last line of the output is the result, as JSON
  --pairs       timed pairs of runs, ours and the peer's; medians are told
  --size-mib    size of the disk
  --directory   where disks and the endpoints' state are kept (.lifeboat/bench)

benchmarks:
${BENCHMARKS.map(({ name, about }) => `  ${name.padEnd(12)}  ${about}`).join('\n')}
`;

/** A command line that cannot be carried out; the message says why. */
class UsageError extends Error {}

function wholeNumber(text: string | undefined, otherwise: number, what: string): number {
  if (text === undefined) return otherwise;
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new UsageError(`${what} must be a whole number from 1.`);
  return number;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      pairs: { type: 'string' },
      'size-mib': { type: 'string' },
      directory: { type: 'string' },
    },
  });
  const [name, ...more] = positionals;
  if (name === undefined) return void process.stdout.write(USAGE);
  const benchmark = BENCHMARKS.find((candidate) => candidate.name === name);
  if (benchmark === undefined || more.length > 0)
    throw new UsageError(`There is no benchmark "${positionals.join(' ')}".`);
  const pairs = wholeNumber(values.pairs, benchmark.pairs, '--pairs');
  const sizeMiB = wholeNumber(values['size-mib'], benchmark.sizeMiB, '--size-mib');
  const say = (line: string): void => void process.stderr.write(`${line}\n`);

  const workspace = await Workspace.create(values.directory ?? join(projectRoot(), '.lifeboat', 'bench'));
  try {
    say(`preparing ${name}: a disk of ${sizeMiB} MiB`);
    const prepared = await benchmark.prepare(workspace, { sizeMiB, pairs });
    const sides = await runPairs(prepared, pairs, say);
    const ceiling = (await prepared.ceiling?.()) ?? null;
    const machine = await describeMachine();
    process.stdout.write(report({ name, sizeMiB, pairs, prepared, sides, ceiling, machine }, values.json));
  } finally {
    await workspace.close();
  }
}

main().catch((error: unknown) => {
  const expected = error instanceof UsageError || error instanceof MissingPeerError;
  console.error(expected ? `bench: ${error.message}` : error);
  if (error instanceof UsageError) console.error(USAGE);
  process.exitCode = 1;
});
