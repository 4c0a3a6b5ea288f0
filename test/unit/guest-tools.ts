import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

/**
 * The tools that read a guest's network configuration, as set-up unpacked them; LIFEBOAT_GUEST_TOOLS names other directories, with
 * packages of other releases. One with a C library of its own is run with that.
 */
const DIRECTORIES = (process.env.LIFEBOAT_GUEST_TOOLS ?? resolve('.lifeboat/tools/guest-network')).split(
  delimiter,
);
const LIBRARIES = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu', 'usr/lib/aarch64-linux-gnu'];
const LOADERS = ['usr/lib64/ld-linux-x86-64.so.2', 'lib64/ld-linux-x86-64.so.2'];

export interface Tool {
  /** For test names. */
  name: string;
  run(args: string[], input?: string): { status: number | null; stdout: string; stderr: string };
}

/** Each version of a tool that is there and runs, by where it may be in its package. */
export function tools(...places: string[]): Tool[] {
  return DIRECTORIES.flatMap((directory) => {
    const program = places.map((place) => join(directory, place)).find((path) => existsSync(path));
    if (program === undefined) return [];
    const libraries = LIBRARIES.map((one) => join(directory, one)).join(':');
    const loader = LOADERS.map((one) => join(directory, one)).find((path) => existsSync(path));
    const run: Tool['run'] = (args, input) =>
      loader === undefined
        ? spawnSync(program, args, {
            input,
            encoding: 'utf8',
            env: { ...process.env, LD_LIBRARY_PATH: libraries, LC_ALL: 'C' },
          })
        : spawnSync(loader, ['--library-path', libraries, program, ...args], { input, encoding: 'utf8' });
    // One that lacks a library is as good as none.
    return run(['--help']).status === 127 ? [] : [{ name: program, run }];
  });
}

/** A tool of this host, where it has it and it does what is asked. */
export function hostTool(program: string, probe: string[]): Tool[] {
  const run: Tool['run'] = (args, input) =>
    spawnSync(program, args, { input, encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  return run(probe).status === 0 ? [{ name: program, run }] : [];
}

/** Runs a test by every tool given; by none, it is skipped, which shows in the totals. */
export function judgedBy(
  judges: Tool[],
  missing: string,
  name: string,
  test: (tool: Tool) => Promise<void>,
): void {
  if (judges.length === 0) it.skip(`${name} (skipped: ${missing})`, () => undefined);
  for (const tool of judges) it(`${name} (${tool.name})`, () => test(tool));
}
