import { mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkDevice } from '../../activities/aws-proxy/proxy-host/device-identity';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-device-'));
});
afterEach(() => rm(directory, { recursive: true }));

const volume = { volumeId: 'vol-0123456789abcdef0', sizeBytes: 2 ** 30 };
const refused = (why: string) => ({
  type: 'WrongDevice',
  nonRetryable: true,
  message: expect.stringContaining(why) as string,
});

/** A block device of this machine, as the kernel lists it; its size is told in KiB there. Nothing is read from it. */
async function someDevice(): Promise<{ path: string; number: string; sizeBytes: number }> {
  for (const line of (await readFile('/proc/partitions', 'latin1')).split('\n').slice(2)) {
    const [major, minor, kib, name] = line.trim().split(/\s+/);
    if (Number(kib) > 0)
      return { path: `/dev/${name}`, number: `${major}:${minor}`, sizeBytes: Number(kib) * 1024 };
  }
  throw new Error('This machine has no block device.');
}

describe('checkDevice', () => {
  it('takes a file of exactly the size of the volume, also behind a link', async () => {
    const path = join(directory, 'volume');
    await writeFile(path, '');
    await truncate(path, 2 ** 30);
    await symlink(path, join(directory, 'link'));
    await checkDevice(join(directory, 'link'), volume);
    await truncate(path, 2 ** 30 + 512);
    await expect(checkDevice(join(directory, 'link'), volume)).rejects.toMatchObject(
      refused('1073742336 bytes instead of 1073741824'),
    );
  });

  it.each(['/dev/null', '/dev'])('refuses %s', async (path) => {
    await expect(checkDevice(path, volume)).rejects.toMatchObject(refused('is no block device'));
  });

  it('knows the size of a block device', async () => {
    const { path, sizeBytes } = await someDevice();
    await expect(checkDevice(path, { ...volume, sizeBytes: sizeBytes + 2 ** 30 })).rejects.toMatchObject(
      refused(`it has ${sizeBytes} bytes`),
    );
  });

  it.each([
    ['the right serial', { 'device/serial': 'vol0123456789abcdef0 \n' }, undefined],
    ['no serial', {}, undefined],
    [
      'the serial of another volume',
      { 'device/serial': 'vol0fedcba9876543210\n' },
      'serial number is "vol0fed',
    ],
    ['a partition', { partition: '1\n' }, 'is a partition'],
    ['another size', { size: '2097153\n' }, 'it has 1073742336 bytes'],
  ])('judges a block device with %s', async (_, files, why) => {
    const { path, number } = await someDevice();
    const device = join(directory, 'dev/block', number);
    await mkdir(join(device, 'device'), { recursive: true });
    for (const [name, content] of Object.entries({ size: '2097152\n', ...files }))
      await writeFile(join(device, name), content);
    const check = checkDevice(path, volume, directory);
    if (why === undefined) await check;
    else await expect(check).rejects.toMatchObject(refused(why));
  });
});
