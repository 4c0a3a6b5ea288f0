import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { buildStep } from './build-step';

/** The distribution release that guests are made of: the host's own. */
export interface HostRelease {
  /** Such as `bookworm`. */
  codename: string;
  /** One-line APT sources of that release, as this host is configured. */
  sources: string[];
  /** The distribution's generic kernel; its cloud kernel would have NVMe built in. */
  kernelPackage: string;
}

/** This host cannot build guests. The message says why and what would help. */
export class UnsuitableHostError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnsuitableHostError';
  }
}

const distributions = {
  debian: { origin: 'Debian', components: ['main'], kernelPackage: 'linux-image-amd64' },
  // linux-image-virtual is the generic kernel without firmware for hardware.
  ubuntu: { origin: 'Ubuntu', components: ['main', 'universe'], kernelPackage: 'linux-image-virtual' },
} as const;

/** Programs that the build calls, and the Debian package of each. */
const programs: Record<string, string> = {
  mmdebstrap: 'mmdebstrap',
  mke2fs: 'e2fsprogs',
  sfdisk: 'fdisk',
  'grub-mkimage': 'grub-common',
  chroot: 'coreutils',
};

/** GRUB for BIOS, in the package grub-pc-bin. */
export const grubDirectory = '/usr/lib/grub/i386-pc';

/**
 * Finds out what guests are built from on this host.
 * @throws UnsuitableHostError where guests cannot be built
 */
export async function inspectHost(): Promise<HostRelease> {
  const release = parseOsRelease(await readFile('/etc/os-release', 'utf8').catch(() => ''));
  const id = release.ID;
  if (id !== 'debian' && id !== 'ubuntu') {
    throw new UnsuitableHostError(
      `The sample VMs are built from the host's own Debian or Ubuntu packages; this host is "${id ?? 'unknown'}".`,
    );
  }
  if (process.arch !== 'x64') {
    throw new UnsuitableHostError(`The sample VMs are x86-64 machines; this host is ${process.arch}.`);
  }
  if (process.getuid?.() !== 0) {
    throw new UnsuitableHostError(
      'Building the sample VMs needs root (mmdebstrap, chroot): run it as root or by sudo.',
    );
  }
  await requirePrograms();
  const codename = release.VERSION_CODENAME;
  if (!codename)
    throw new UnsuitableHostError('/etc/os-release names no VERSION_CODENAME (Debian testing or unstable?).');
  const { kernelPackage, ...wanted } = distributions[id];
  const sources = aptSources(await aptTargets(), { codename, ...wanted });
  if (sources.length === 0) {
    throw new UnsuitableHostError(
      `This host's APT sources have no packages of ${wanted.origin} ${codename}.`,
    );
  }
  return { codename, sources, kernelPackage };
}

/** The assignments of an os-release file. */
export function parseOsRelease(text: string): Record<string, string> {
  const assignments = [...text.matchAll(/^([A-Z_]+)=(?:"([^"\n]*)"|([^"\n]*))$/gm)];
  return Object.fromEntries(assignments.map(([, key, quoted, bare]) => [key, quoted ?? bare ?? '']));
}

/** One configured package list of APT, as `apt-get indextargets` tells it. */
export interface AptTarget {
  /** Empty before the first `apt-get update`. */
  origin: string;
  uri: string;
  suite: string;
  component: string;
}

async function aptTargets(): Promise<AptTarget[]> {
  const format = '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)';
  const lines = await buildStep('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      // APT leaves a field that it does not know as it was asked for.
      const [origin = '', uri = '', suite = '', component = ''] = line
        .split('|')
        .map((field) => (field.startsWith('$(') ? '' : field));
      return { origin, uri, suite, component };
    });
}

/** One-line sources of the distribution's own suites among all that APT knows; other vendors' are left out. */
export function aptSources(
  targets: AptTarget[],
  wanted: { codename: string; origin: string; components: readonly string[] },
): string[] {
  const suites = ['', '-updates', '-security'].map((suffix) => wanted.codename + suffix);
  const lines = targets
    .filter(({ origin, suite, component }) => {
      return (
        (origin === '' || origin === wanted.origin) &&
        suites.includes(suite) &&
        wanted.components.includes(component)
      );
    })
    .map(({ uri, suite, component }) => `deb ${uri} ${suite} ${component}`);
  return [...new Set(lines)];
}

async function requirePrograms(): Promise<void> {
  const missing = new Set<string>();
  for (const [program, debianPackage] of Object.entries(programs)) {
    if (!(await onPath(program))) missing.add(debianPackage);
  }
  if (!(await accessible(join(grubDirectory, 'boot.img'), constants.R_OK))) missing.add('grub-pc-bin');
  if (missing.size > 0) {
    const names = [...missing].join(' ');
    throw new UnsuitableHostError(`Building the sample VMs needs more packages: apt-get install ${names}`);
  }
}

async function onPath(program: string): Promise<boolean> {
  const directories = (process.env.PATH ?? '').split(delimiter);
  for (const directory of directories) {
    if (await accessible(join(directory, program), constants.X_OK)) return true;
  }
  return false;
}

async function accessible(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
