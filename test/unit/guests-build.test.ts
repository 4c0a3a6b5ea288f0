import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { dpkgPathOptions } from '../../sandbox/guests/base-tree';
import { makeDataDisk, rootUuid } from '../../sandbox/guests/disk-image';
import { aptSources, parseOsRelease } from '../../sandbox/guests/host-release';
import { runTool, ToolFailedError } from '../../sandbox/guests/run-tool';
import { shopGuests } from '../../sandbox/guests/shop';
import { projectRoot } from '../../host/project-root';

describe('the release that guests are built from', () => {
  it('is read from os-release, quoted or not', () => {
    const release = parseOsRelease(
      'NAME="Debian GNU/Linux"\nID=debian\nVERSION_CODENAME=bookworm\n# comment\n',
    );
    expect(release).toEqual({ NAME: 'Debian GNU/Linux', ID: 'debian', VERSION_CODENAME: 'bookworm' });
  });

  it('takes the distribution’s own suites and leaves other vendors’ out', () => {
    const uri = 'http://mirror.example/debian/';
    const target = { origin: 'Debian', uri, suite: 'bookworm', component: 'main' };
    const wanted = { codename: 'bookworm', origin: 'Debian', components: ['main'] };
    const targets = [
      target,
      target,
      { ...target, suite: 'bookworm-security', origin: '' },
      { ...target, suite: 'bookworm-backports' },
      { ...target, suite: 'cloud-sdk-bookworm' },
      { ...target, component: 'non-free' },
      { ...target, origin: 'Somebody' },
    ];
    expect(aptSources(targets, wanted)).toEqual([
      `deb ${uri} bookworm main`,
      `deb ${uri} bookworm-security main`,
    ]);
  });
});

describe('the guests’ trees', () => {
  it('leaves paths out and takes some back, in the order of the list', () => {
    const options = dpkgPathOptions('# why\n/a/*\n\n!/a/b/*\n');
    expect(options).toEqual(['path-exclude=/a/*', 'path-include=/a/b/*']);
  });

  it('keeps the drivers of EC2 in the kernel’s packages', () => {
    const list = readFileSync(join(projectRoot(), 'sandbox/guests/excluded-paths.txt'), 'utf8');
    const options = dpkgPathOptions(list);
    for (const driver of [
      'net/ethernet/amazon/ena/ena.ko',
      'nvme/host/nvme.ko',
      'net/virtio_net.ko',
      'virtio/virtio_pci.ko',
    ]) {
      const path = `/lib/modules/6.1/kernel/drivers/${driver}`;
      const last = options.filter((option) => matches(option.slice(option.indexOf('=') + 1), path)).at(-1);
      expect(last ?? 'path-include').toMatch(/^path-include/);
    }
  });
});

describe('the guests’ disks', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'guests-test-'));
  afterAll(() => rmSync(scratch, { recursive: true }));

  it('have sizes that EBS has not: 512-byte sectors, one of them no whole number of blocks', () => {
    const sizes = Object.values(shopGuests).flatMap(({ configuration }) =>
      configuration.disks.map((disk) => disk.sizeBytes),
    );
    expect(sizes.every((size) => size % 512 === 0)).toBe(true);
    expect(sizes.some((size) => size % (512 * 1024) !== 0)).toBe(true);
  });

  it('get the UUID of the fstab', () => {
    expect(rootUuid('# UUID=no / ext4\nUUID=0d-1 /  ext4 defaults 0 1\n')).toBe('0d-1');
    expect(() => rootUuid('/dev/sda1 / ext4 defaults 0 1\n')).toThrow('names no UUID');
  });

  it('are ext4 file systems of the asked size, UUID and owner that a check finds clean', async () => {
    const path = join(scratch, 'data.raw');
    const uuid = '6a0d3c52-5b7e-4f0a-9c41-0f5e8b7a2003';
    await makeDataDisk(path, { sizeBytes: 64 * 1024 ** 2, uuid, owner: { uid: 101, gid: 102 } });
    await runTool('e2fsck', ['-fn', path]);
    expect(await runTool('dumpe2fs', ['-h', path])).toContain(`Filesystem UUID:          ${uuid}`);
    expect(await runTool('debugfs', ['-R', 'stat /', path])).toMatch(/User: +101 +Group: +102/);
  });

  it('tell which program failed and what it said', async () => {
    const failure = runTool('mke2fs', ['-n', join(scratch, 'absent')]);
    await expect(failure).rejects.toThrow(ToolFailedError);
    await expect(failure).rejects.toThrow(/mke2fs -n .*absent failed:\n.*mke2fs/s);
  });
});

/** dpkg's globs: "*" matches slashes, too. */
function matches(glob: string, path: string): boolean {
  const pattern = glob.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*');
  return new RegExp(`^${pattern}$`).test(path);
}
