import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { guestAdapter } from '../../guest/adapter';
import {
  debugfs,
  digestBesidesSuperblock,
  directory,
  makeGuest,
  newPath,
  poke,
  removeFixtures,
  ROOT_UUID,
} from '../unit/guest-fixture';
import { inputs, inputsMs, oddText, thoughtOf } from './inputs';

/** A guest's adaptation starts programs, and takes a third of a second. */
const SHARE = 0.1;
/** Longest that one guest may keep a proxy busy, on a busy machine. */
const LONGEST_MS = 60_000;
const NO_DATA = { 'etc/fstab': `UUID=${ROOT_UUID} / ext4 defaults 0 1\n` };
const PARTITION = 2 ** 20;
const adapter = guestAdapter();
const adapt = (diskPath: string) =>
  adapter.adaptForRecoverySite({
    diskPath,
    dataDisks: [],
    bootScripts: [],
    hosts: [{ address: '10.0.1.30', names: ['db'] }],
    runId: 'run-1',
  });

afterAll(removeFixtures);

/** Whether e2fsck, forced, finds the file system of the first partition as it should be. */
function isClean(disk: string): boolean {
  const part = newPath();
  writeFileSync(part, readFileSync(disk).subarray(PARTITION, 25 * PARTITION));
  try {
    execFileSync('e2fsck', ['-f', '-n', part], { stdio: 'ignore' });
    return true;
  } catch (error) {
    if ((error as { status?: number }).status === undefined) throw error;
    return false;
  } finally {
    rmSync(part);
  }
}

/** Adapted, or refused in words and as it was. */
async function judged(disk: string): Promise<'adapted' | 'refused'> {
  const before = digestBesidesSuperblock(disk);
  const cleanBefore = isClean(disk);
  const began = performance.now();
  const error = await thoughtOf(() => adapt(disk));
  expect(performance.now() - began).toBeLessThan(LONGEST_MS);
  if (error === undefined) {
    expect(isClean(disk)).toBe(true);
    await adapter.revertForPrimarySite(disk);
    expect(isClean(disk)).toBe(true);
    return 'adapted';
  }
  expect(error.message.length).toBeLessThan(5000);
  // e2fsck may have put right what was wrong; it never makes a file system worse.
  if (cleanBefore) expect(digestBesidesSuperblock(disk)).toBe(before);
  return 'refused';
}

describe('a damaged or hostile guest', () => {
  let whole: string;
  beforeAll(async () => {
    whole = makeGuest(NO_DATA);
    const copy = newPath();
    copyFileSync(whole, copy);
    expect(await judged(copy)).toBe('adapted');
  });

  it(
    'with bytes altered in its file system or partition table',
    async () => {
      // Where the structures are: table, superblock, descriptors, inodes, and anything else now and then.
      const place = fc.oneof(
        fc.nat(511),
        fc.integer({ min: PARTITION, max: PARTITION + 64 * 1024 }),
        fc.integer({ min: PARTITION + 64 * 1024, max: PARTITION + 2 ** 20 }),
        fc.integer({ min: PARTITION, max: 24 * PARTITION }),
      );
      const damage = fc.array(fc.tuple(place, fc.uint8Array({ minLength: 1, maxLength: 16 })), {
        minLength: 1,
        maxLength: 20,
      });
      await fc.assert(
        fc.asyncProperty(damage, async (places) => {
          const disk = newPath();
          copyFileSync(whole, disk);
          for (const [at, bytes] of places) poke(disk, at, bytes);
          await judged(disk);
          rmSync(disk);
        }),
        inputs(SHARE),
      );
    },
    inputsMs(SHARE * 30),
  );

  it(
    'with files that say anything',
    async () => {
      const file = fc.constantFrom(
        'etc/fstab',
        'etc/hosts',
        'etc/resolv.conf',
        'etc/default/grub',
        'boot/grub/grub.cfg',
        'usr/lib/os-release',
        'etc/initramfs-tools/modules',
        'etc/systemd/network/10-ens192.network',
        'usr/lib/modules/6.1.0-1-amd64/modules.dep',
        'boot/initrd.img-6.1.0-1-amd64',
      );
      const content = fc.oneof(
        oddText,
        fc.uint8Array({ maxLength: 4000 }).map((bytes) => Buffer.from(bytes)),
      );
      await fc.assert(
        fc.asyncProperty(fc.dictionary(file, content, { minKeys: 1, maxKeys: 3 }), async (changes) => {
          const disk = makeGuest({ ...NO_DATA, ...changes });
          await judged(disk);
          rmSync(disk);
        }),
        inputs(SHARE),
      );
    },
    inputsMs(SHARE * 30),
  );

  it(
    'whose links lead to files of the host changes none of them',
    async () => {
      const host = join(directory, 'host');
      mkdirSync(host, { recursive: true });
      const names = ['hosts', 'fstab', 'resolv.conf', 'modules'];
      for (const name of names) writeFileSync(join(host, name), `canary ${name}`);
      const targets = fc.constantFrom(
        ...names.map((name) => join(host, name)),
        `../../../..${host}/hosts`,
        host,
        '/',
        '..',
        'loop',
      );
      const links = fc.dictionary(
        fc.constantFrom(
          'etc/hosts',
          'etc/fstab',
          'etc/resolv.conf',
          'etc/initramfs-tools',
          'var/lib/lifeboat',
          'boot',
          'etc',
        ),
        targets,
        { minKeys: 1, maxKeys: 3 },
      );
      await fc.assert(
        fc.asyncProperty(links, async (wanted) => {
          const disk = newPath();
          copyFileSync(whole, disk);
          debugfs(
            disk,
            Object.entries(wanted).flatMap(([path, target]) => [
              `rm /${path}`,
              `rmdir /${path}`,
              `symlink /${path} ${target}`,
            ]),
          );
          await thoughtOf(() => adapt(disk));
          expect(readdirSync(host).sort()).toEqual([...names].sort());
          for (const name of names) expect(readFileSync(join(host, name), 'utf8')).toBe(`canary ${name}`);
          rmSync(disk);
        }),
        inputs(SHARE),
      );
    },
    inputsMs(SHARE * 30),
  );
});
