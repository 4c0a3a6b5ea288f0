import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { projectRoot } from '../../host/project-root';

/** Makes Node say an old version, unless it was started as the fetched one. */
const OLD_NODE = `if (!process.env.FETCHED) Object.defineProperty(process, 'version', { value: 'v20.19.5' });`;
/** The fetched Node: this process's, by a path of its own. */
const FETCHED_NODE = `#!/bin/sh\nFETCHED=1 exec '${process.execPath}' "$@"\n`;

/** In place of the command: tells how it was started, then does what its first argument says. */
const MAIN = `
const fs = require('node:fs');
const [what, ...rest] = process.argv.slice(2);
const tell = (line) => fs.writeSync(1, line + '\\n');
const { PATH, FETCHED } = process.env;
tell(JSON.stringify({ rest, execArgv: process.execArgv, path: PATH.split(':'), fetched: FETCHED === '1' }));
if (what === 'exit') process.exitCode = Number(rest[0]);
if (what === 'echo') process.stdin.pipe(process.stdout);
if (what === 'die') process.kill(process.pid, rest[0]);
if (what === 'wait') {
  let received = [];
  // Longer than a test takes, and no longer than a run of the tests may: it has to end where no signal comes.
  setTimeout(() => {}, 20_000);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => {
      // Long enough for a second one, and for a command that does not wait to end before.
      if (received.push(signal) === 1)
        setTimeout(() => (tell('cleaned up after ' + received.join(' and ')), process.exit(3)), 500);
    });
  tell('waiting under ' + process.ppid);
}`;

interface Start {
  rest: string[];
  execArgv: string[];
  path: string[];
  fetched: boolean;
}

/** `bin/`, in a folder that looks like a checkout whose Node is too old. */
describe('the command under an old Node', () => {
  let folder: string;
  let fetched: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'lifeboat hand-over-')));
    fetched = join(folder, `.lifeboat/tools/node/node_modules/node-linux-${process.arch}/bin/node`);
    for (const path of [join(folder, 'dist/cli'), join(folder, 'setup'), dirname(fetched)])
      await mkdir(path, { recursive: true });
    await cp(join(projectRoot(), 'bin'), join(folder, 'bin'), { recursive: true });
    await cp(join(projectRoot(), 'package.json'), join(folder, 'package.json'));
    await writeFile(join(folder, 'setup/run.mjs'), '');
    await writeFile(join(folder, 'dist/cli/main.js'), MAIN);
    await writeFile(join(folder, 'old.cjs'), OLD_NODE);
    await writeFile(fetched, FETCHED_NODE);
    await chmod(fetched, 0o755);
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  const argv = (args: string[]): string[] => [
    ...['--require', join(folder, 'old.cjs'), join(folder, 'bin/lifeboat.mjs')],
    ...args,
  ];

  function start(command: string, args: string[]) {
    const child = spawn(command, args, { cwd: tmpdir(), env: { PATH: '/usr/bin:/bin' } });
    children.push(child);
    const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    return { child, ended, stdout: text(child.stdout), stderr: text(child.stderr) };
  }

  async function lifeboat(args: string[], input = '') {
    const { child, ended, stdout, stderr } = start(process.execPath, argv(args));
    child.stdin.end(input);
    const [code, signal] = await ended;
    return { code, signal, stdout: await stdout, stderr: await stderr };
  }

  /** Resolves as soon as the command has said that it waits, to the process that waits for it. */
  const waiting = (child: ChildProcess): Promise<number> =>
    new Promise((resolve) => {
      let told = '';
      child.stdout!.on('data', (data) => {
        const [, pid] = /waiting under (\d+)/.exec((told += String(data))) ?? [];
        if (pid !== undefined) resolve(Number(pid));
      });
    });

  it('goes on in the Node that set-up fetched, with its arguments, flags, input and exit code', async () => {
    const odd = ['a b', '', '$(exit 1)', '--json', "it's"];
    const { code, stdout, stderr } = await lifeboat(['exit', '7', ...odd]);
    expect({ code, stderr }).toEqual({ code: 7, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({
      rest: ['7', ...odd],
      execArgv: ['--require', join(folder, 'old.cjs')],
      path: [dirname(fetched), '/usr/bin', '/bin'],
      fetched: true,
    } satisfies Start);
    expect((await lifeboat(['echo'], 'from stdin')).stdout).toMatch(/\nfrom stdin$/);
  });

  it.each<NodeJS.Signals>(['SIGTERM', 'SIGHUP', 'SIGINT'])(
    'passes %s on, and waits for the end',
    async (signal) => {
      const { child, ended, stdout } = start(process.execPath, argv(['wait']));
      await waiting(child);
      child.kill(signal);
      expect(await ended).toEqual([3, null]);
      expect(await stdout).toMatch(new RegExp(`\\ncleaned up after ${signal}\\n$`));
    },
  );

  it('leaves a key of the terminal to the terminal, which has sent it to both', async () => {
    const command = [process.execPath, ...argv(['wait'])].map((word) => `'${word}'`).join(' ');
    // In place of the shell, which would have the key, too, and end by it.
    const { child, ended, stdout } = start('script', ['-qec', `exec ${command}`, '/dev/null']);
    const pid = await waiting(child);
    // Half of what a key does: a terminal would have sent it to the other by itself.
    process.kill(pid, 'SIGINT');
    await sleep(300);
    child.stdin.write('\x03');
    expect(await ended).toEqual([3, null]);
    expect(await stdout).toMatch(/cleaned up after SIGINT\r\n$/);
  });

  it('ends by the signal that ended the other', async () => {
    expect(await lifeboat(['die', 'SIGKILL'])).toMatchObject({ code: null, signal: 'SIGKILL' });
  });

  it('says in a sentence what to do where no newer Node was fetched', async () => {
    await rm(fetched);
    const { code, stdout, stderr } = await lifeboat(['exit', '0']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(
      /^lifeboat: needs Node \S+ or later, .* run "node setup\/run\.mjs only" in .*\.\n$/,
    );
    await rm(join(folder, 'setup/run.mjs'));
    expect((await lifeboat(['exit', '0'])).stderr).toMatch(/^lifeboat: needs .*: install a newer one\.\n$/);
  });

  it('says in a sentence what to do where the fetched Node cannot be started', async () => {
    await chmod(fetched, 0o644);
    const { code, stdout, stderr } = await lifeboat(['exit', '0']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(
      /^lifeboat: the Node that set-up fetched cannot be started \(.*EACCES.*\): run .*\n$/,
    );
  });
});
