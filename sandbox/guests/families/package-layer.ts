import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootstrap } from '../bootstrap';
import { cached, stateOf } from '../cache';
import { type HostRelease, isOffered, successorOf } from '../host-release';
import { commonPackages, type FamilyGuest } from './families';

const tarFile = 'packages.tar';
const pathLists = ['excluded-paths.txt', 'families/kept-paths.txt'];

/** Where packages are cached, and what they are told to leave out. */
interface LayerPlace {
  cacheDirectory: string;
  /** sandbox/guests. */
  guestsDirectory: string;
}

/**
 * The installed packages of a guest, before anything of its own is put on them, as a tar file. By themselves in the
 * cache, as installing them takes longest: what a guest has besides may change without it.
 * @param whenBuilt called before packages are installed
 */
export async function packageLayer(
  place: LayerPlace,
  guest: FamilyGuest,
  release: HostRelease,
  whenBuilt: () => void,
): Promise<string> {
  const key = await layerKey(place, guest, release);
  const directory = await cached(place.cacheDirectory, key, async (work) => {
    whenBuilt();
    const layer = join(work, 'layer');
    await mkdir(layer);
    const lists = await Promise.all(
      pathLists.map((name) => readFile(join(place.guestsDirectory, name), 'utf8')),
    );
    await bootstrap(join(work, tarFile), {
      release,
      format: 'tar',
      packages: packagesOf(guest),
      paths: lists.join('\n'),
      // Each guest makes its initramfs when all is there; the kernel's package would make one more.
      environment: { INITRD: 'No' },
    });
    await rename(join(work, tarFile), join(layer, tarFile));
    return layer;
  });
  return join(directory, tarFile);
}

/** The release that a guest is made of. */
export async function releaseOf(
  place: LayerPlace,
  guest: FamilyGuest,
  host: HostRelease,
): Promise<HostRelease> {
  const next = guest.release === 'next' ? successorOf(host) : undefined;
  if (next === undefined) return host;
  // Without asking the mirror where its packages are here: a host without a network then goes on with what it has.
  if (existsSync(join(place.cacheDirectory, await layerKey(place, guest, next)))) return next;
  const scratch = await mkdtemp(join(tmpdir(), 'lifeboat-release-'));
  try {
    return (await isOffered(next, scratch)) ? next : host;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function layerKey(
  { guestsDirectory }: LayerPlace,
  guest: FamilyGuest,
  release: HostRelease,
): Promise<string> {
  return `packages-${await stateOf({ release, packages: packagesOf(guest) }, guestsDirectory, pathLists)}`;
}

const packagesOf = ({ packages }: FamilyGuest): string[] => [...commonPackages, ...packages];
