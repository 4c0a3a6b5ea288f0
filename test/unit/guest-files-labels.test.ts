import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DebugfsFileSystem } from '../../guest/files/debugfs';
import { MountedFiles } from '../../guest/files/mounted-files';
import { directory, FIRST_SECTOR, makeGuest, removeFixtures } from './guest-fixture';

afterAll(removeFixtures);

const OFFSET = FIRST_SECTOR * 512;

/** Sets or reads an extended attribute by debugfs itself. */
function debugfs(disk: string, command: string, writable = false): string {
  const args = [...(writable ? ['-w'] : []), '-R', command, `${disk}?offset=${OFFSET}`];
  return execFileSync('debugfs', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

function setLabel(disk: string, path: string, label: string): void {
  const value = join(directory, 'label');
  writeFileSync(value, `${label}\0`);
  debugfs(disk, `ea_set -f ${value} ${path} security.selinux`, true);
}

const attributes = (disk: string, path: string): string => debugfs(disk, `ea_list ${path}`);

describe('a file on ext4', () => {
  it('keeps its label, access control list and capabilities when it gets other content', async () => {
    const disk = makeGuest();
    setLabel(disk, '/etc/hosts', 'system_u:object_r:net_conf_t:s0');
    const capability = join(directory, 'capability');
    // VFS_CAP_REVISION_2 with cap_net_raw, as the kernel stores it.
    writeFileSync(capability, Buffer.from('0100000200200000000000000000000000000000', 'hex'));
    debugfs(disk, `ea_set -f ${capability} /etc/hosts security.capability`, true);
    const before = attributes(disk, '/etc/hosts');
    expect(before).toContain('net_conf_t');
    const files = new MountedFiles([
      { mountPoint: '/', fileSystem: await DebugfsFileSystem.open(disk, OFFSET, true) },
    ]);
    await files.write('/etc/hosts', Buffer.from('127.0.0.1 localhost\n'));
    await files.close();
    expect(attributes(disk, '/etc/hosts')).toBe(before);
  });

  it('gets the label of its directory when it is new, and so do directories and links', async () => {
    const disk = makeGuest();
    setLabel(disk, '/etc', 'system_u:object_r:etc_t:s0');
    const files = new MountedFiles([
      { mountPoint: '/', fileSystem: await DebugfsFileSystem.open(disk, OFFSET, true) },
    ]);
    await files.write('/etc/new', Buffer.from('new'));
    await files.mkdir('/etc/lifeboat.d/deep');
    await files.symlink('/etc/link', 'new');
    await files.write('/usr/unlabelled', Buffer.from('new'));
    await files.close();
    for (const path of ['/etc/new', '/etc/lifeboat.d', '/etc/lifeboat.d/deep', '/etc/link'])
      expect(attributes(disk, path)).toContain('etc_t');
    expect(attributes(disk, '/usr/unlabelled')).not.toContain('selinux');
    execFileSync('e2fsck', ['-fn', `${disk}?offset=${OFFSET}`], { stdio: 'ignore' });
  });
});

describe('one session of debugfs', () => {
  it('gives callers that come together their turns', async () => {
    const fileSystem = await DebugfsFileSystem.open(makeGuest(), OFFSET, false);
    const files = new MountedFiles([{ mountPoint: '/', fileSystem }]);
    const paths = ['/etc/hosts', '/etc/fstab', '/etc/default/grub', '/etc/resolv.conf'];
    const alone: string[] = [];
    for (const path of paths) alone.push((await files.read(path, 10_000)).toString());
    const together = await Promise.all(paths.map((path) => files.read(path, 10_000)));
    expect(together.map(String)).toEqual(alone);
    await files.close();
  });
});
