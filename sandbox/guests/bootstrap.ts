import { writeFile } from 'node:fs/promises';
import type { HostRelease } from './host-release';
import { buildStep } from './build-step';

/** Times that a download is begun again before the build fails. */
const downloadRetries = 5;

/**
 * Installs packages of a release, and what they need, into an empty tree, by mmdebstrap.
 * @param target a directory, or a file that becomes the tree's tar
 */
export async function bootstrap(
  target: string,
  options: {
    release: HostRelease;
    format: 'directory' | 'tar';
    packages: string[];
    /** In the words of excluded-paths.txt. */
    paths: string;
    /** Programs that mmdebstrap runs with the tree as their argument. */
    hooks?: { essential: string; customize: string };
    environment?: Record<string, string>;
  },
): Promise<void> {
  const { release, format, packages, paths, hooks, environment } = options;
  const sourcesFile = `${target}.sources.list`;
  await writeFile(sourcesFile, release.sources.join('\n') + '\n');
  await buildStep(
    'mmdebstrap',
    [
      '--mode=root',
      '--variant=minbase',
      `--format=${format}`,
      '--architectures=amd64',
      // The distribution's keys lie here whether or not APT trusts them by itself.
      '--keyring=/usr/share/keyrings',
      '--aptopt=Acquire::Languages "none"',
      '--aptopt=APT::Install-Recommends "false"',
      `--aptopt=Acquire::Retries "${downloadRetries}"`,
      ...(await proxyOptions()),
      // A tree that is thrown away when the build fails need not be flushed file by file.
      '--dpkgopt=force-unsafe-io',
      ...dpkgPathOptions(paths).map((option) => `--dpkgopt=${option}`),
      `--include=${[...packages, release.kernelPackage].join(',')}`,
      ...(hooks ? [`--essential-hook=${hooks.essential}`, `--customize-hook=${hooks.customize}`] : []),
      release.codename,
      target,
      sourcesFile,
    ],
    environment === undefined ? {} : { environment },
  );
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
