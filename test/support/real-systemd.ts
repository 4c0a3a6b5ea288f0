import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, realpathSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { projectRoot } from '../../host/project-root';
import { eventually } from './eventually';

const run = promisify(execFile);
/** It takes one; this is for a host that is busy. */
const START_SECONDS = 60;
const SCRIPT = join(projectRoot(), 'test/support/real-systemd.sh');

/**
 * Whether a systemd can be run beside this host's: as root, with systemd installed, and its cgroups by systemd's own hierarchy, which is
 * the kind that was tried.
 */
export const canRunSystemd =
  process.getuid?.() === 0 &&
  existsSync('/lib/systemd/systemd') &&
  existsSync('/sys/fs/cgroup/systemd/cgroup.procs');

/** A systemd that has been started for a test, with files of the test's in /etc. */
export class RealSystemd {
  private constructor(
    private readonly child: ChildProcess,
    private readonly root: string,
    private readonly pid: number,
  ) {}

  /** @param etc files below /etc, by path, the units in `systemd/system/` */
  static async start(etc: Record<string, string>): Promise<RealSystemd> {
    const root = await mkdtemp(join(tmpdir(), 'lifeboat-systemd-'));
    await mkdir(join(root, 'logs'));
    for (const [path, text] of Object.entries(etc)) {
      await mkdir(join(root, 'etc', dirname(path)), { recursive: true });
      await writeFile(join(root, 'etc', path), text);
    }
    await chmod(root, 0o755);
    const node = realpathSync(process.execPath);
    const child = spawn('bash', [SCRIPT, root, node, projectRoot(), basename(root)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const pid = await eventually<number>(START_SECONDS, async () => {
      const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
      for (const one of children.split(' ').filter((text) => text !== ''))
        // Not a tool of the script's.
        if ((await readFile(`/proc/${one}/comm`, 'utf8')) === 'systemd\n') return Number(one);
      return undefined;
    });
    const systemd = new RealSystemd(child, root, pid);
    try {
      await eventually(START_SECONDS, async () => {
        const { code, text } = await systemd.inside('systemctl', 'show-environment');
        if (code !== 0) throw new Error(text);
        return true;
      });
      return systemd;
    } catch (error) {
      await systemd.end();
      throw error;
    }
  }

  /** Runs a program as root of this systemd's host. */
  inside(...command: string[]): Promise<{ code: number; text: string }> {
    return this.enter(this.pid, command);
  }

  /** Runs a program with the mounts that a unit's main process has. */
  async as(unit: string, ...command: string[]): Promise<{ code: number; text: string }> {
    return this.enter(await this.mainPid(unit), command, ['--mount']);
  }

  /** What the kernel tells of a unit's main process (/proc/PID/status). */
  async status(unit: string): Promise<Record<string, string>> {
    const text = await readFile(`/proc/${await this.mainPid(unit)}/status`, 'utf8');
    return Object.fromEntries(text.split('\n').map((line) => line.split(/:\s*/) as [string, string]));
  }

  async property(unit: string, name: string): Promise<string> {
    return (await this.inside('systemctl', 'show', '--property', name, '--value', unit)).text.trim();
  }

  async log(unit: string): Promise<string> {
    return readFile(join(this.root, 'logs', unit), 'utf8').catch(() => '');
  }

  /** Ends it with all that it runs, and takes its cgroups away. */
  async end(): Promise<void> {
    // `unshare`, which takes the first process of the namespaces with it, and that all others.
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, 'exit');
      this.child.kill('SIGKILL');
      await ended;
    }
    const hierarchies = (await readFile('/proc/self/cgroup', 'utf8')).trim().split('\n');
    for (const line of hierarchies) {
      const [, controllers = '', path = ''] = line.split(':');
      if (controllers === '' || controllers === 'cpuset') continue;
      await removeCgroup(join('/sys/fs/cgroup', controllers.replace('name=', ''), path, basename(this.root)));
    }
    await rm(this.root, { recursive: true });
  }

  /** By this host's number, where systemd tells its own. */
  private async mainPid(unit: string): Promise<number> {
    const inner = await this.property(unit, 'MainPID');
    for (const name of await readdir('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const text = await readFile(`/proc/${name}/status`, 'utf8').catch(() => '');
      const [outer, innermost, ...deeper] = (/^NSpid:\s*(.*)$/m.exec(text)?.[1] ?? '').split('\t');
      if (innermost !== inner || deeper.length > 0 || !(await this.sharesPids(name))) continue;
      return Number(outer);
    }
    throw new Error(`${unit} does not run.`);
  }

  private async sharesPids(pid: string): Promise<boolean> {
    const [one, other] = await Promise.all(
      [pid, String(this.pid)].map((of) =>
        run('readlink', [`/proc/${of}/ns/pid`]).catch(() => ({ stdout: of })),
      ),
    );
    return one?.stdout === other?.stdout;
  }

  private async enter(
    pid: number,
    command: string[],
    namespaces = ['--mount', '--pid', '--ipc', '--uts', '--cgroup'],
  ): Promise<{ code: number; text: string }> {
    const args = ['--target', String(pid), ...namespaces, '--', ...command];
    return run('nsenter', args, { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } }).then(
      ({ stdout, stderr }) => ({ code: 0, text: stdout + stderr }),
      (error: { code: number; stdout: string; stderr: string }) => ({
        code: error.code,
        text: error.stdout + error.stderr,
      }),
    );
  }
}

/** A cgroup goes when those below it have gone, and when the last of its processes has, which the kernel may still be taking down. */
async function removeCgroup(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  for (const entry of await readdir(directory, { withFileTypes: true }))
    if (entry.isDirectory()) await removeCgroup(join(directory, entry.name));
  await eventually(START_SECONDS, async () => {
    try {
      await rmdir(directory);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
      return undefined;
    }
  });
}
