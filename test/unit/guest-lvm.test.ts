import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { guestAdapter } from '../../guest/adapter';
import { parseGroup } from '../../guest/disk/volume-groups';
import { patternMatches } from '../../guest/linux/disks/lvm-pattern';
import { mdadmForRecoverySite } from '../../guest/linux/disks/mdadm';
import { withoutBlock } from '../../guest/linux/changes/marked-text';
import { ToolTooOldError } from '../../guest/port';
import {
  debugfs,
  INITRAMFS,
  initramfs,
  INITRAMFS_TOOLS,
  listing,
  makeDisk,
  makeGuest,
  debian,
  newPath,
  read,
  removeFixtures,
  ROOT_UUID,
  text,
  unpack,
} from './guest-fixture';

const adapter = guestAdapter();
const ROOT_LINE = `UUID=${ROOT_UUID} / ext4 defaults 0 1\n`;
const adapt = async (diskPath: string) => {
  const report = await adapter.adaptForRecoverySite({
    diskPath,
    dataDisks: [],
    bootScripts: [],
    hosts: [],
    runId: 'run-1',
  });
  // The fixture's network has a warning of its own.
  return { ...report, warnings: report.warnings.filter((one) => !one.includes('network card dummy0')) };
};
const hasLvm = spawnSync('lvmconfig', ['--version']).status === 0;

afterAll(removeFixtures);

describe('LVM on EC2', () => {
  const FILTER = 'devices {\n\tdir = "/dev"\n\tfilter = [ "a|^/dev/sd.*|", "r|.*|" ]\n}\n';
  const NVME = '"a|^/dev/nvme[0-9]+n[0-9]+(p[0-9]+)?$|"';

  it('sees the disks there, in the initramfs too, and has its files back at home', async () => {
    const disk = makeGuest({
      'etc/fstab': ROOT_LINE,
      'etc/lvm/lvm.conf': FILTER,
      [INITRAMFS.slice(1)]: initramfs(undefined, undefined, {
        ...INITRAMFS_TOOLS,
        'etc/lvm/lvm.conf': FILTER,
      }),
      'etc/lvm/devices/system.devices':
        'VERSION=1.1.2\nIDTYPE=sys_wwid IDNAME=naa.6000c29a5b3f4f1d DEVNAME=/dev/sdb PVID=abc\n',
    });
    const before = listing(disk);
    const image = read(disk, INITRAMFS);
    const { warnings } = await adapt(disk);
    const changed = text(disk, '/etc/lvm/lvm.conf');
    expect(changed).toContain(`\n\tfilter = [ ${NVME},  "a|^/dev/sd.*|", "r|.*|" ]\n`);
    expect(listing(disk)['/etc/lvm/devices/system.devices']).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining("hides EC2's disks from LVM")]);
    const segment = read(disk, INITRAMFS).subarray(image.length);
    const archive = segment.subarray(segment.indexOf('070701'));
    expect(archive.includes('etc/lvm/lvm.conf\0')).toBe(true);
    expect(archive.includes(changed)).toBe(true);
    expect(unpack(archive)('conf/conf.d/zz-lifeboat')).toContain('rm -f /etc/lvm/devices/*.devices');
    await adapter.revertForPrimarySite(disk);
    // Its disk is a new one there.
    const devices = '/etc/lvm/devices/system.devices';
    expect(text(disk, devices)).toContain('IDTYPE=devname IDNAME=/dev/sdb DEVNAME=/dev/sdb PVID=abc');
    const { [devices]: known, ...rest } = before;
    expect(known).toBeDefined();
    expect(listing(disk)).toMatchObject(rest);
    expect(Object.keys(listing(disk)).sort()).toEqual(Object.keys(before).sort());
  });

  // Not among the packages of setup/: on a proxy, lvm2 would bring up the volume groups of guests.
  (hasLvm ? it : it.skip).each([
    ['with brackets over lines', 'devices {\n filter = [ # ours\n "a|/dev/sd|",\n "r/.*/" ]\n}\n', 2],
    ['of one pattern', 'devices {\n global_filter = "r|/dev/nvme|"\n}\n', 1],
    ['by its whole path', 'devices/filter=["a|sda|","r|.*|"]\n', 1],
  ])('sees them through a filter %s, as LVM itself reads it', async (_, lvmConf) => {
    const disk = makeGuest({ 'etc/fstab': ROOT_LINE, 'etc/lvm/lvm.conf': lvmConf });
    await adapt(disk);
    const changed = text(disk, '/etc/lvm/lvm.conf');
    expect(changed).toContain(NVME);
    expect(firstPattern(changed)).toBe(NVME);
  });

  it.each([
    '# filter = [ "r|.*|" ]\n',
    'devices { filter = [ "a|.*|" ] }\n',
    'devices { global_filter = [ "r|/dev/zd.*|", "r|/dev/cdrom|" ] }\n',
    'devices { filter = [ "a|^/dev/(sd|nvme)|", "r|.*|" ] }\n',
  ])('keeps an lvm.conf that hides nothing: %s', async (lvmConf) => {
    const disk = makeGuest({ 'etc/fstab': ROOT_LINE, 'etc/lvm/lvm.conf': lvmConf });
    await adapt(disk);
    expect(text(disk, '/etc/lvm/lvm.conf')).toBe(lvmConf);
  });

  /** What LVM makes of an lvm.conf: the first pattern of its filter. */
  function firstPattern(lvmConf: string): string | undefined {
    const directory = `${newPath()}.d`;
    execFileSync('mkdir', [directory]);
    writeFileSync(`${directory}/lvm.conf`, lvmConf);
    const printed = execFileSync('lvmconfig', ['--typeconfig', 'current'], {
      env: { ...process.env, LVM_SYSTEM_DIR: directory },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString();
    return /filter=\[?("[^"]*")/.exec(printed)?.[1];
  }

  it.each([
    ['^/dev/sd[a-c]+$', '/dev/sdb', true],
    ['^/dev/sd[a-c]+$', '/dev/sdd', false],
    ['/(sd|nvme)[^x]*1$', '/dev/nvme0n1', true],
    ['^(nvme)?$', '/dev/nvme0n1', false],
    ['(((a*)*)*)*b$', 'a'.repeat(60), false],
    ['/dev/.*n?1', '/dev/nvme0n1', true],
    ['[', 'x', undefined],
    ['(a', 'a', undefined],
  ])('reads patterns as LVM does: %s on %s', (pattern, name, expected) => {
    expect(patternMatches(pattern, name)).toBe(expected);
  });

  it('knows volumes by the metadata on a disk', () => {
    const id = 'abcdef-ghij-klmn-opqr-stuv-wxyz-ABCDEF';
    expect(
      parseGroup(
        `vg0 {\nid = "${id}"\nphysical_volumes {\n\npv0 {\nid = "${id}"\ndevice = "/dev/sdb"\n}\n}\nlogical_volumes {\n\ndata {\nid = "${id}"\nsegment1 {\ntype = "striped"\n}\n}\n}\n}\n`,
      ),
    ).toEqual({ name: 'vg0', id: id.replaceAll('-', ''), volumes: ['data'], physicalVolumes: [id] });
    expect(parseGroup('}\n}')).toBeUndefined();
  });
});

describe('mdadm on EC2', () => {
  it('looks at the disks there', () => {
    const own = 'DEVICE /dev/sd*[0-9]\nARRAY /dev/md0 UUID=1:2:3:4 devices=/dev/sda1,/dev/sdb1\n';
    const changed = mdadmForRecoverySite(own);
    expect(changed).toMatch(/\nARRAY \/dev\/md0 UUID=1:2:3:4\n[^]*\nDEVICE partitions containers\n/);
    expect(withoutBlock(changed)).not.toContain('containers');
    const open = 'DEVICE partitions\nARRAY /dev/md0 UUID=1:2:3:4\n';
    expect(mdadmForRecoverySite(open)).toBe(open);
  });
});

describe('a file system that is newer than the tools here', () => {
  // Features that no version has a name for yet: compatible, incompatible, and compatible for reading.
  it.each(['feature_compat 0x203c', 'feature_incompat 0x2010242', 'feature_ro_compat 0x8046b'])(
    'is not the fault of the guest: %s',
    async (feature) => {
      const disk = makeGuest({ 'etc/fstab': ROOT_LINE });
      debugfs(disk, [`ssv ${feature}`]);
      const failed = adapt(disk);
      await expect(failed).rejects.toThrow(ToolTooOldError);
      await expect(failed).rejects.toThrow(
        /This proxy's e2fsprogs \d[\d.]* is too old.*Nothing is wrong with the guest/,
      );
    },
  );

  it('is of no concern where the system is on another', async () => {
    const disk = makeDisk([
      { tree: debian({ 'etc/fstab': ROOT_LINE }), sizeMiB: 24, uuid: ROOT_UUID },
      { tree: { a: 'a' }, sizeMiB: 4 },
    ]);
    debugfs(disk, ['ssv feature_incompat 0x2010242'], 25);
    await expect(adapt(disk)).resolves.toMatchObject({ warnings: [] });
  });
});
