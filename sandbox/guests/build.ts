import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { VmConfiguration } from '../../hypervisor/port';
import { projectRoot } from '../../host/project-root';
import { buildBaseTree } from './base-tree';
import { cached, stateOf } from './cache';
import { makeBootDisk, makeDataDisk, ownerOf } from './disk-image';
import { type HostRelease, inspectHost } from './host-release';
import { type SampleGuest } from './sample-guest';
import { buildStep } from './build-step';
import { shopGuests } from './shop';

type GuestName = keyof typeof shopGuests;
const guestNames = Object.keys(shopGuests) as GuestName[];
/** What in this directory is not the shop's. */
const otherGuests = ['families'];

/**
 * The VMs of the sample application, built from the host's own distribution packages at the first call and taken
 * from the cache afterwards.
 * @param cacheDirectory holds one directory per state of everything that the guests are made of
 * @throws UnsuitableHostError where guests cannot be built; ToolFailedError where a step of the build fails
 */
export async function buildShopGuests(options: {
  cacheDirectory?: string;
  log: (line: string) => void;
}): Promise<SampleGuest[]> {
  const guestsDirectory = join(projectRoot(), 'sandbox/guests');
  const cacheDirectory = options.cacheDirectory ?? join(projectRoot(), '.lifeboat/cache/guests');
  const release = await inspectHost();
  const names = (await readdir(guestsDirectory)).filter((name) => !otherGuests.includes(name));
  const finished = await cached(cacheDirectory, await stateOf(release, guestsDirectory, names), (work) =>
    build(release, guestsDirectory, work, options.log),
  );
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
  work: string,
  log: (line: string) => void,
): Promise<string> {
  const started = Date.now();
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
  log(`Sample VMs: ready after ${Math.round((Date.now() - started) / 1000)} s.`);
  return images;
}

async function makeDisks(
  name: GuestName,
  base: string,
  guestsDirectory: string,
  images: string,
): Promise<void> {
  const { configuration, dataDisks } = shopGuests[name];
  const tree = `${base}-${name}`;
  await buildStep('cp', ['-a', '--reflink=auto', base, tree]);
  await buildStep(join(guestsDirectory, 'install-files.sh'), [join(guestsDirectory, 'files', name), tree]);
  for (const script of [`finish-${name}.sh`, 'write-grub-config.sh']) {
    await copyFile(join(guestsDirectory, script), join(tree, script));
    await buildStep('chroot', [tree, '/bin/sh', `/${script}`]);
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
