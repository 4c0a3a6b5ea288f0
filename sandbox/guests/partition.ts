import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ToolFailedError } from './run-tool';

/** Writes a partition table; `script` is in the words of sfdisk. */
export async function partition(path: string, script: string): Promise<void> {
  const sfdisk = spawn('sfdisk', ['--quiet', path], { stdio: ['pipe', 'ignore', 'pipe'] });
  let errors = '';
  sfdisk.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  sfdisk.stdin.end(`${script}\n`);
  const [code] = (await once(sfdisk, 'close')) as [number | null];
  if (code !== 0) throw new ToolFailedError('sfdisk', [path], errors, undefined);
}
