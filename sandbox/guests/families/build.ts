import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../../host/project-root';
import { cached, stateOf } from '../cache';
import { type HostRelease, inspectHost } from '../host-release';
import { type SampleGuest } from '../sample-guest';
import { familyGuests, familyNames, type FamilyGuest, type FamilyName } from './families';
import { makeImage } from './image';
import { packageLayer, releaseOf } from './package-layer';
import { labelTree, makeTree } from './tree';

const imageFile = (key: string): string => `${key}.raw`;
const variablesFile = 'uefi-variables.fd';

/** What of sandbox/guests these guests are made of, besides their packages. */
const sources = ['install-files.sh', 'files/common', 'grub.ts', 'partition.ts', 'families'];

interface BuildOptions {
  cacheDirectory: string;
  log: (line: string) => void;
}

/**
 * The VMs of the application `families`, built at the first call and taken from the cache afterwards.
 * @throws UnsuitableHostError where guests cannot be built; ToolFailedError where a step fails
 */
export async function buildFamilyGuests(options: BuildOptions): Promise<SampleGuest[]> {
  const host = await inspectHost();
  const guests: SampleGuest[] = [];
  // One after another: installing packages and running the machines that make disks each take a whole CPU and more.
  for (const name of familyNames) guests.push(await buildGuest(name, host, options));
  return guests;
}

async function buildGuest(
  name: FamilyName,
  host: HostRelease,
  { cacheDirectory, log }: BuildOptions,
): Promise<SampleGuest> {
  const guest: FamilyGuest = familyGuests[name];
  const guestsDirectory = join(projectRoot(), 'sandbox/guests');
  const place = { cacheDirectory, guestsDirectory };
  const release = await releaseOf(place, guest, host);
  const key = await stateOf({ guest, release }, guestsDirectory, sources);
  const finished = await cached(cacheDirectory, `${name}-${key}`, async (work) => {
    const started = Date.now();
    const layer = await packageLayer(place, guest, release, () =>
      log(`Sample VMs: installing the packages of ${release.codename} for ${name} (once; minutes) ...`),
    );
    log(`Sample VMs: making the disk of ${name} ...`);
    const tree = join(work, 'tree');
    await makeTree(name, { layer, guestsDirectory, tree });
    if (guest.labelled) await labelTree(tree, guestsDirectory);
    const images = join(work, 'images');
    await mkdir(images);
    const disk = join(images, imageFile('system'));
    await makeImage(guest, { tree, work, disk, variables: join(images, variablesFile) });
    log(`Sample VMs: ${name} is ready after ${Math.round((Date.now() - started) / 1000)} s.`);
    return images;
  });
  const { configuration, loader, wwn } = guest;
  return {
    name,
    configuration,
    rawDisks: configuration.disks.map(({ key: disk }) => ({
      key: disk,
      path: join(finished, imageFile(disk)),
      ...(wwn === undefined ? {} : { wwn }),
    })),
    ...(loader.firmware === 'uefi' ? { uefiVariables: join(finished, variablesFile) } : {}),
  };
}
