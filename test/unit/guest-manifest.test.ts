import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { guestAdapter } from '../../guest/adapter';
import {
  hasManifest,
  MANIFEST,
  type Manifest,
  NEXT_MANIFEST,
  readManifest,
  writeManifest,
} from '../../guest/linux/changes/manifest';
import { GuestNotAdaptableError } from '../../guest/port';
import { HostDirectoryFiles } from '../support/host-directory-files';
import { debugfs, listing, makeGuest, read, removeFixtures, ROOT_UUID, write } from './guest-fixture';

const root = mkdtempSync(join(tmpdir(), 'lifeboat-test-manifest-'));
afterAll(() => {
  rmSync(root, { recursive: true });
  removeFixtures();
});

const OLD: Manifest = { version: 1, state: 'applying', family: 'Debian', runId: 'run-1', changes: [] };
const NEW: Manifest = { ...OLD, state: 'applied' };

/** A guest that loses its disk at some write: of that one, a part is there, or nothing, and the old content is gone. */
class CutOffFiles extends HostDirectoryFiles {
  constructor(
    private readonly directory: string,
    private readonly left: { changes: number },
    private readonly part: number,
  ) {
    super(directory);
  }

  override async write(path: string, content: Uint8Array): Promise<void> {
    if (--this.left.changes > 0) return super.write(path, content);
    await super.write(path, content);
    if (this.part < 0) rmSync(join(this.directory, path));
    else truncateSync(join(this.directory, path), Math.floor(content.length * this.part));
    throw new Error('cut off');
  }

  override async remove(path: string): Promise<void> {
    if (--this.left.changes > 0) return super.remove(path);
    throw new Error('cut off');
  }
}

describe.each([
  ['nothing', -1],
  ['an empty file', 0],
  ['half of it', 0.5],
  ['all of it', 1],
])('a record of which %s is written when the work is cut off', (_, part) => {
  it.each([undefined, OLD])('is the old one or the new one (%#)', async (before) => {
    let written = 0;
    for (let changes = 1; ; changes++) {
      const directory = mkdtempSync(join(root, 'guest-'));
      await mkdir(dirname(join(directory, MANIFEST)), { recursive: true });
      const whole = new HostDirectoryFiles(directory);
      if (before !== undefined) await writeManifest(() => Promise.resolve(whole), before);
      const left = { changes };
      const done = await writeManifest(
        () => Promise.resolve(new CutOffFiles(directory, left, part)),
        NEW,
      ).then(
        () => true,
        () => false,
      );
      const found = await readManifest(whole);
      expect([before, NEW]).toContainEqual(found);
      expect(await hasManifest(whole)).toBe(found !== undefined || (part >= 0 && part < 1));
      if (found === NEW || found?.state === NEW.state) written++;
      if (done) break;
      expect(changes).toBeLessThan(10);
    }
    expect(written).toBeGreaterThan(0);
  });
});

describe('a guest whose record was being written anew', () => {
  const adapter = guestAdapter();
  const disk = makeGuest({ 'etc/fstab': `UUID=${ROOT_UUID} / ext4 defaults 0 1\n` });
  const before = listing(disk);
  const damage = async (kept: number | undefined): Promise<void> => {
    await adapter.adaptForRecoverySite({
      diskPath: disk,
      dataDisks: [],
      bootScripts: [],
      hosts: [],
      runId: 'run-1',
    });
    const record = read(disk, MANIFEST);
    write(disk, NEXT_MANIFEST, record);
    if (kept === undefined) debugfs(disk, [`rm ${MANIFEST}`]);
    else write(disk, MANIFEST, record.subarray(0, kept));
  };

  it.each([undefined, 0, 100])('comes home as it was (%p bytes of the old one)', async (kept) => {
    await damage(kept);
    expect((await adapter.revertForPrimarySite(disk)).changed).not.toEqual([]);
    expect(listing(disk)).toEqual(before);
  });

  it('is left as it is where neither record is whole', async () => {
    await damage(10);
    write(disk, NEXT_MANIFEST, '{');
    const damaged = listing(disk);
    await expect(adapter.revertForPrimarySite(disk)).rejects.toThrow(GuestNotAdaptableError);
    expect(listing(disk)).toEqual(damaged);
  });
});
