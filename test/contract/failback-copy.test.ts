import { execFile } from 'node:child_process';
import { mkdir, open, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BLOCK_SIZE } from '../../blocks/port';
import { patternBlock, patternDisk, type Pattern } from '../support/synthetic-disk';
import { type CopySite, inActivity, startCopySite, VM } from './copy-site';
import { recoveredVolume } from './recovered-volume';

const execFileAsync = promisify(execFile);
const random = (seed: string | number): Pattern => ({ random: String(seed) });
const DISK = { key: 'system', slot: 0, boot: true };
/** No multiple of a block, nor of a GiB: 43 blocks, the last one of 3 sectors. */
const SIZE = 42 * BLOCK_SIZE + 3 * 512;

let site: CopySite;
beforeEach(async () => {
  site = await startCopySite();
});
afterEach(() => site.close());

function basePatterns(): Pattern[] {
  return Array.from({ length: 43 }, (_, n) =>
    n % 4 === 3 ? 'zero' : n % 5 === 0 ? { text: `text ${n} ` } : random(n),
  );
}

describe('the way home', () => {
  /** A recovered volume with that on it. */
  async function volumeWith(content: Buffer) {
    const volume = await recoveredVolume(site, { Size: Math.ceil(content.length / 2 ** 30) });
    await volume.file.write(content, 0, content.length, 0);
    return volume;
  }
  const disk = { ...DISK, sizeBytes: SIZE };

  it('brings all blocks, then those that changed, to a disk of its exact size', async () => {
    const patterns = basePatterns();
    const { file, snapshot } = await volumeWith(patternDisk(patterns, SIZE));
    const path = await site.hypervisor.emptyDisk('system', SIZE);
    const { copySnapshotToDisk } = site.activities();
    const first = await snapshot();
    const pass1 = { run: site.run, vm: VM, disk, snapshotId: first };
    const full = await inActivity(copySnapshotToDisk, pass1);
    expect(full.blocks).toBe(33);
    expect((await readFile(path)).equals(patternDisk(patterns, SIZE))).toBe(true);

    patterns[4] = random('written on EC2');
    patterns[42] = random('and the last');
    patterns[5] = 'zero';
    for (const index of [4, 5])
      await file.write(patternBlock(patterns[index]!), 0, BLOCK_SIZE, index * BLOCK_SIZE);
    await file.write(patternBlock(patterns[42]), 0, 3 * 512, 42 * BLOCK_SIZE);
    const second = await snapshot();
    await file.close();
    const changed = await inActivity(copySnapshotToDisk, {
      ...pass1,
      snapshotId: second,
      previousSnapshotId: first,
    });
    expect(changed).toMatchObject({ blocks: 3, bytes: 2 * BLOCK_SIZE + 3 * 512, blocksSentAgain: 0 });
    expect((await readFile(path)).equals(patternDisk(patterns, SIZE))).toBe(true);
  }, 60_000);

  const asRoot = process.getuid?.() === 0 ? it : it.skip;
  asRoot(
    'tells that the primary site is full, and goes on when there is room (needs root)',
    async () => {
      const patterns = Array.from({ length: 43 }, (_, n) => random(n));
      const { file, snapshot } = await volumeWith(patternDisk(patterns, SIZE));
      const snapshotId = await snapshot();
      await file.close();
      const small = join(site.directory, 'small');
      const image = join(small, 'system');
      await mkdir(small);
      const mount = (...options: string[]) => execFileAsync('mount', [...options, small]);
      await mount('-t', 'tmpfs', '-o', 'size=6m', 'tmpfs');
      try {
        const made = await open(image, 'w');
        await made.truncate(SIZE);
        await made.close();
        await symlink(image, join(site.directory, 'home-system'));
        const { copySnapshotToDisk } = site.activities();
        const copy = () => inActivity(copySnapshotToDisk, { run: site.run, vm: VM, disk, snapshotId });
        await expect(copy()).rejects.toMatchObject({ type: 'DiskFull', nonRetryable: false });

        await mount('-o', 'remount,size=64m');
        const copied = await copy();
        expect(copied.blocks).toBe(43);
        expect((await readFile(image)).equals(patternDisk(patterns, SIZE))).toBe(true);
      } finally {
        await execFileAsync('umount', [small]);
      }
    },
    60_000,
  );

  it('refuses data beyond the end of the disk', async () => {
    const { file, snapshot } = await volumeWith(patternDisk(basePatterns(), SIZE));
    await file.write('beyond', SIZE + 100);
    const snapshotId = await snapshot();
    await file.close();
    await site.hypervisor.emptyDisk('system', SIZE);
    const copying = inActivity(site.activities().copySnapshotToDisk, {
      run: site.run,
      vm: VM,
      disk,
      snapshotId,
    });
    await expect(copying).rejects.toMatchObject({ type: 'DataBeyondDisk', nonRetryable: true });
  }, 60_000);
});
