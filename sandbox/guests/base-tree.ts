import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostRelease } from './host-release';
import { buildStep } from './build-step';

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

/** Times that a download is begun again before the build fails. */
const downloadRetries = 5;

/**
 * Unpacks and configures the tree that both guests are copied from.
 * @param guestsDirectory where the hook scripts and the guests' files are
 */
export async function buildBaseTree(
  tree: string,
  release: HostRelease,
  guestsDirectory: string,
): Promise<void> {
  const excluded = dpkgPathOptions(await readFile(join(guestsDirectory, 'excluded-paths.txt'), 'utf8'));
  const sourcesFile = `${tree}.sources.list`;
  await writeFile(sourcesFile, release.sources.join('\n') + '\n');
  await buildStep('mmdebstrap', [
    '--mode=root',
    '--variant=minbase',
    '--format=directory',
    '--architectures=amd64',
    // The distribution's keys lie here whether or not APT trusts them by itself.
    '--keyring=/usr/share/keyrings',
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=APT::Install-Recommends "false"',
    `--aptopt=Acquire::Retries "${downloadRetries}"`,
    ...(await proxyOptions()),
    // A tree that is thrown away when the build fails need not be flushed file by file.
    '--dpkgopt=force-unsafe-io',
    ...excluded.map((option) => `--dpkgopt=${option}`),
    `--include=${[...packages, release.kernelPackage].join(',')}`,
    `--essential-hook=${join(guestsDirectory, 'before-packages.sh')}`,
    `--customize-hook=${join(guestsDirectory, 'after-packages.sh')}`,
    release.codename,
    tree,
    sourcesFile,
  ]);
}

/** dpkg's options for a list of path globs; "!" before a glob brings paths back, "#" begins a comment. */
export function dpkgPathOptions(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => (line.startsWith('!') ? `path-include=${line.slice(1)}` : `path-exclude=${line}`));
}

/** A proxy that the host's APT uses: mmdebstrap reads none of the host's APT configuration by itself. */
async function proxyOptions(): Promise<string[]> {
  const settings = await buildStep('apt-config', [
    'dump',
    '--format',
    '%f "%v"%n',
    'Acquire::http',
    'Acquire::https',
  ]);
  return settings
    .split('\n')
    .filter((line) => /^Acquire::https?::Proxy\S* ".+"$/.test(line))
    .map((line) => `--aptopt=${line}`);
}
