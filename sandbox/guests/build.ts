import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { VmConfiguration } from '../../hypervisor/port';
import { projectRoot } from '../../host/project-root';
import { buildBaseTree } from './base-tree';
import { makeBootDisk, makeDataDisk, ownerOf } from './disk-image';
import { type HostRelease, inspectHost } from './host-release';
import { runTool } from './run-tool';
import { shopGuests } from './shop';

/** A sample VM, ready to be given to the sandbox's data centre. */
export interface ShopGuest {
  name: string;
  configuration: VmConfiguration;
  /** Per disk of the configuration a raw image. It belongs to the cache: copy it, do not write to it. */
  rawDisks: { key: string; path: string }[];
}

type GuestName = keyof typeof shopGuests;
const guestNames = Object.keys(shopGuests) as GuestName[];
const buildPrefix = '.building-';

/**
 * The VMs of the sample application, built from the host's own distribution packages at the first call and taken
 * from the cache afterwards.
 * @param cacheDirectory holds one directory per state of everything that the guests are made of
 * @throws UnsuitableHostError where guests cannot be built; ToolFailedError where a step of the build fails
 */
export async function buildShopGuests(options: {
  cacheDirectory?: string;
  log: (line: string) => void;
}): Promise<ShopGuest[]> {
  const guestsDirectory = join(projectRoot(), 'sandbox/guests');
  const cacheDirectory = options.cacheDirectory ?? join(projectRoot(), '.lifeboat/cache/guests');
  const release = await inspectHost();
  const finished = join(cacheDirectory, await buildKey(release, guestsDirectory));
  if (!existsSync(finished)) {
    await mkdir(cacheDirectory, { recursive: true });
    await removeAbandonedBuilds(cacheDirectory);
    await build(release, guestsDirectory, cacheDirectory, finished, options.log);
  }
  return guestNames.map((name) => {
    const { configuration } = shopGuests[name];
    const rawDisks = configuration.disks.map(({ key }) => ({
      key,
      path: join(finished, imageName(name, key)),
    }));
    return { name, configuration: configuration as VmConfiguration, rawDisks };
  });
}

async function build(
  release: HostRelease,
  guestsDirectory: string,
  cacheDirectory: string,
  finished: string,
  log: (line: string) => void,
): Promise<void> {
  const started = Date.now();
  // The process id in the name tells whose build it is, when it is found abandoned.
  const work = await mkdtemp(join(cacheDirectory, `${buildPrefix}${process.pid}-`));
  try {
    log(`Sample VMs: installing the packages of ${release.codename} (once; about a minute) ...`);
    const base = join(work, 'base');
    await buildBaseTree(base, release, guestsDirectory);
    const images = join(work, 'images');
    await mkdir(images);
    await Promise.all(
      guestNames.map(async (name) => {
        log(`Sample VMs: making the disks of ${name} ...`);
        await makeDisks(name, base, guestsDirectory, images);
      }),
    );
    await publish(images, finished);
    log(`Sample VMs: ready after ${Math.round((Date.now() - started) / 1000)} s.`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function makeDisks(
  name: GuestName,
  base: string,
  guestsDirectory: string,
  images: string,
): Promise<void> {
  const { configuration, dataDisks } = shopGuests[name];
  const tree = `${base}-${name}`;
  await runTool('cp', ['-a', '--reflink=auto', base, tree]);
  await runTool(join(guestsDirectory, 'install-files.sh'), [join(guestsDirectory, 'files', name), tree]);
  for (const script of [`finish-${name}.sh`, 'write-grub-config.sh']) {
    await copyFile(join(guestsDirectory, script), join(tree, script));
    await runTool('chroot', [tree, '/bin/sh', `/${script}`]);
    await rm(join(tree, script));
  }
  for (const { key, sizeBytes, boot } of configuration.disks) {
    const path = join(images, imageName(name, key));
    if (boot) {
      await makeBootDisk(path, { sizeBytes, tree });
    } else {
      const data = (dataDisks as Record<string, { uuid: string; mountPoint: string }>)[key];
      if (data === undefined) throw new Error(`No file system is defined for disk ${key} of ${name}.`);
      await makeDataDisk(path, {
        sizeBytes,
        uuid: data.uuid,
        owner: await ownerOf(join(tree, data.mountPoint)),
      });
    }
  }
}

function imageName(guest: string, diskKey: string): string {
  return `${guest}-${diskKey}.raw`;
}

/** Moves finished images to their place; where another process was quicker, its images are as good. */
async function publish(images: string, finished: string): Promise<void> {
  try {
    await rename(images, finished);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

/** Removes what builds left behind that were killed. */
async function removeAbandonedBuilds(cacheDirectory: string): Promise<void> {
  for (const name of await readdir(cacheDirectory)) {
    const pid = new RegExp(`^\\${buildPrefix}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    await rm(join(cacheDirectory, name), { recursive: true, force: true });
  }
}

/**
 * Names a state of everything that the guests are made of: the host's release and sources, and all files of this
 * directory with their execute bits, but for its README. Package versions are left out: a guest stays usable when an update appears.
 */
async function buildKey(release: HostRelease, guestsDirectory: string): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(release));
  const entries = await readdir(guestsDirectory, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.md'))
    .map((entry) => join(entry.parentPath, entry.name));
  for (const path of paths.sort()) {
    const executable = ((await stat(path)).mode & 0o100) !== 0;
    const content = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
    hash.update(`\n${relative(guestsDirectory, path)} ${executable} ${content}`);
  }
  return hash.digest('hex').slice(0, 16);
}
