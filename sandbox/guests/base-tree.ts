import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bootstrap } from './bootstrap';
import type { HostRelease } from './host-release';

/** Packages of both guests besides Debian's minimal base and the kernel. */
const packages = [
  'systemd-sysv',
  'udev',
  'iproute2',
  'initramfs-tools',
  'zstd', // compresses the initramfs
  'busybox', // the initramfs, and acpid
  'kmod',
  'e2fsprogs',
  'redis-server',
];

/**
 * Unpacks and configures the tree that both guests are copied from.
 * @param guestsDirectory where the hook scripts and the guests' files are
 */
export async function buildBaseTree(
  tree: string,
  release: HostRelease,
  guestsDirectory: string,
): Promise<void> {
  await bootstrap(tree, {
    release,
    format: 'directory',
    packages,
    paths: await readFile(join(guestsDirectory, 'excluded-paths.txt'), 'utf8'),
    hooks: {
      essential: join(guestsDirectory, 'before-packages.sh'),
      customize: join(guestsDirectory, 'after-packages.sh'),
    },
  });
}
