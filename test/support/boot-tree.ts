import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

/**
 * Trees with real makers of initramfs, kernels and modules, as set-up unpacked one (setup/boot-tree.mjs); LIFEBOAT_BOOT_TREES names
 * other directories, with packages of other releases.
 */
const DIRECTORIES = (process.env.LIFEBOAT_BOOT_TREES ?? resolve('.lifeboat/tools/guest-boot')).split(
  delimiter,
);

/** One such tree. */
export class BootTree {
  /** Of its kernel. */
  readonly release: string;
  /** For test names. */
  readonly name: string;

  constructor(readonly root: string) {
    this.release = readdirSync(join(root, 'usr/lib/modules'))[0] ?? '';
    const release = readFileSync(join(root, 'usr/lib/os-release'), 'latin1');
    this.name = /^PRETTY_NAME="?([^"\n]*)/m.exec(release)?.[1] ?? root;
  }

  get kernel(): string {
    return join(this.root, 'boot', `vmlinuz-${this.release}`);
  }

  /**
   * Runs a program of the tree in the tree, and returns what it prints.
   * @param ends exit codes that are no failure
   * @throws Error with what it printed, where it fails
   */
  run(command: string[], ends = [0]): string {
    const { status, stdout, stderr } = spawnSync('unshare', [...enter(this.root), ...command], {
      encoding: 'latin1',
      maxBuffer: 2 ** 26,
      env: { PATH: '/usr/sbin:/usr/bin', LC_ALL: 'C' },
    });
    if (status === null || !ends.includes(status))
      throw new Error(`${command.join(' ')}: ${status} ${stdout.slice(-2000)}${stderr}`);
    return stdout;
  }

  /** The module with all that it needs, in the order of loading, as kmod has it: paths in the tree. */
  withDependencies(module: string): string[] {
    const args = ['-d', this.root, '-S', this.release, '--show-depends', module];
    const shown = execFileSync('modprobe', args, { encoding: 'latin1' });
    return [...shown.matchAll(/^insmod (\S+)/gm)].map(([, path = '']) =>
      path.slice(path.indexOf('lib/modules/')),
    );
  }
}

function enter(root: string): string[] {
  // Its own /proc, so that scripts that read from /dev/fd have one.
  return ['--mount', '--pid', '--fork', `--root=${root}`, '--mount-proc', '--wd=/', '--'];
}

/** Trees that can be used here: they need the rights of root. */
export function bootTrees(): BootTree[] {
  return DIRECTORIES.filter(
    (root) =>
      existsSync(join(root, 'usr/bin/dracut')) && spawnSync('unshare', [...enter(root), 'true']).status === 0,
  ).map((root) => new BootTree(root));
}
