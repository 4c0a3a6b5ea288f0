import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { cpus, totalmem, release } from 'node:os';
import { promisify } from 'node:util';
import { projectRoot } from '../host/project-root';

/** Where figures come from: without it they mean nothing. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
  node: string;
  /** Of this project; "+" where files differ from it. */
  commit: string;
}

export async function describeMachine(): Promise<Machine> {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    commit: await commit(),
  };
}

async function commit(): Promise<string> {
  const git = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('git', ['-C', projectRoot(), ...args])).stdout.trim();
  try {
    const head = await git('rev-parse', '--short=12', 'HEAD');
    return (await git('status', '--porcelain')) === '' ? head : `${head}+`;
  } catch {
    // A source archive has no repository, and is measured all the same.
    return 'unknown';
  }
}

/** coldsnap has no option that tells its version; the paths of its sources in its messages do. */
export async function coldsnapVersion(binary: string): Promise<string> {
  return /\/coldsnap-(\d+\.\d+\.\d+)\/src\//.exec(await readFile(binary, 'latin1'))?.[1] ?? 'unknown';
}

export async function resticVersion(binary: string): Promise<string> {
  const { stdout } = await promisify(execFile)(binary, ['version']);
  return /restic (\S+)/.exec(stdout)?.[1] ?? 'unknown';
}
