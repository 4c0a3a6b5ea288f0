import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

/** The Temporal CLI, whose dev server is the real server: TEMPORAL_CLI, else the project's own, else that on PATH. */
export function temporalCli(): string | undefined {
  const own = path.resolve(__dirname, '../../.lifeboat/tools/python/bin/temporal');
  for (const candidate of [process.env.TEMPORAL_CLI, own])
    if (candidate && existsSync(candidate)) return candidate;
  try {
    return execFileSync('which', ['temporal'], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}
