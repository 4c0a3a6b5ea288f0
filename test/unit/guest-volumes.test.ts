import { findVolume, type Volume } from '../../guest/files/appliance/volumes';

const volume = (device: string, known: Partial<Volume> = {}): Volume => ({
  device,
  type: 'xfs',
  uuid: undefined,
  label: undefined,
  partitionUuid: undefined,
  partitionLabel: undefined,
  lvm: undefined,
  ...known,
});
const GROUP = 'a'.repeat(32);
const VOLUME = 'b'.repeat(32);
const UUID = '5E9f2f6c-3b4e-4d5c-9a3e-0c6f2f0a1b2c';
const volumes = [
  volume('/dev/nvme0n1p1', {
    uuid: UUID,
    label: 'my boot',
    partitionLabel: 'EFI System',
    partitionUuid: '1234abcd-01',
  }),
  volume('/dev/nvme0n1p2', { label: 'boot', partitionLabel: 'boot/efi', type: 'LVM2_member' }),
  volume('/dev/mapper/rhel--9-root', { lvm: { groupId: GROUP, volumeId: VOLUME } }),
  volume('/dev/mapper/rhel--9-home', { lvm: { groupId: GROUP, volumeId: 'c'.repeat(32) } }),
  volume('/dev/mapper/luks-1'),
];

it.each([
  [`UUID=${UUID}`, 0],
  [`UUID="${UUID.toUpperCase()}"`, 0],
  [`/dev/disk/by-uuid/${UUID.toLowerCase()}`, 0],
  ['LABEL=boot', 1],
  ['LABEL=BOOT', undefined],
  ['LABEL=my\\040boot', 0],
  ['LABEL="my boot"', 0],
  ['/dev/disk/by-label/my\\x20boot', 0],
  ['PARTUUID=1234ABCD-01', 0],
  ['/dev/disk/by-partuuid/1234abcd-01', 0],
  ['PARTLABEL=EFI\\040System', 0],
  ['PARTLABEL="EFI System"', 0],
  ['/dev/disk/by-partlabel/EFI\\x20System', 0],
  ['/dev/disk/by-partlabel/boot\\x2fefi', 1],
  ['/dev/rhel-9/root', 2],
  ['/dev/mapper/rhel--9-root', 2],
  ['/dev/mapper/rhel-9-root', undefined],
  ['/dev/disk/by-id/dm-name-rhel--9-home', 3],
  [`/dev/disk/by-id/dm-uuid-LVM-${GROUP}${VOLUME}`, 2],
  [`ID=dm-uuid-LVM-${GROUP}${'c'.repeat(32)}`, 3],
  [`/dev/disk/by-id/dm-uuid-LVM-${'d'.repeat(32)}${VOLUME}`, undefined],
  ['/dev/mapper/luks-1', 4],
  // Names by a place mean nothing here; neither do those of nothing.
  ['/dev/sda1', undefined],
  ['/dev/nvme0n1p1', undefined],
  ['/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0-part1', undefined],
  ['UUID=', undefined],
  ['LABEL=', undefined],
  ['tmpfs', undefined],
  ['', undefined],
])('%s', (name, index) => {
  expect(findVolume(volumes, name)).toBe(index === undefined ? undefined : volumes[index]);
});
