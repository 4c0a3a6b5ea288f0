import { guestAdapter } from '../../guest/adapter';
import { hostsForPrimarySite, hostsForRecoverySite } from '../../guest/linux/stay/hosts';
import { interfacesForRecoverySite } from '../../guest/linux/network/ifupdown';
import { resolvConfForRecoverySite } from '../../guest/linux/network/resolver';
import { bringBack, withoutBlock } from '../../guest/linux/changes/marked-text';
import { INITRAMFS, listing, makeGuest, read, removeFixtures, ROOT_UUID, text, write } from './guest-fixture';

const adapter = guestAdapter();
const WANTS = 'etc/systemd/system/multi-user.target.wants';
const BARE = {
  'etc/fstab': `UUID=${ROOT_UUID} / ext4 defaults 0 1\n`,
  'etc/systemd/network/10-ens192.network': undefined,
  'etc/systemd/network/20-lo.network': undefined,
  [`${WANTS}/systemd-networkd.service`]: undefined,
};
const adapt = (diskPath: string) =>
  adapter.adaptForRecoverySite({ diskPath, dataDisks: [], bootScripts: [], hosts: [], runId: 'run-1' });

afterAll(removeFixtures);

describe('DHCP at the recovery site', () => {
  it('is asked for by systemd-networkd where the guest has ifupdown with a static address', async () => {
    const interfaces =
      'auto lo ens192\niface lo inet loopback\niface ens192 inet static\n  address 192.168.10.20/24\n';
    const disk = makeGuest({ ...BARE, 'etc/network/interfaces': interfaces });
    const before = listing(disk);
    await adapt(disk);
    expect(text(disk, '/etc/systemd/network/00-lifeboat.network')).toContain('DHCP=ipv4');
    expect(listing(disk)[`/${WANTS}/systemd-networkd.service`]).toBe(
      'link /lib/systemd/system/systemd-networkd.service',
    );
    expect(text(disk, '/etc/network/interfaces')).toContain('# lifeboat aside:   address 192.168.10.20/24');
    await adapter.revertForPrimarySite(disk);
    expect(listing(disk)).toEqual(before);
  });

  it('is asked for by NetworkManager where the guest uses it', async () => {
    const connections = 'etc/NetworkManager/system-connections';
    const disk = makeGuest({
      ...BARE,
      [`${WANTS}/NetworkManager.service`]: { link: '/lib/systemd/system/NetworkManager.service' },
      [`${connections}/Wired connection 1.nmconnection`]:
        '[connection]\ntype=ethernet\n[ipv4]\nmethod=manual\n',
      [`${connections}/vpn.nmconnection`]: '[connection]\ntype=wireguard\n[ipv4]\nmethod=manual\n',
    });
    const before = listing(disk);
    await adapt(disk);
    const files = listing(disk);
    expect(files[`/${connections}/lifeboat.nmconnection`]).toMatch(/^file 600 0:0/);
    expect(files[`/${connections}/Wired connection 1.nmconnection`]).toBeUndefined();
    expect(files[`/${connections}/vpn.nmconnection`]).toBeDefined();
    await adapter.revertForPrimarySite(disk);
    expect(listing(disk)).toEqual(before);
  });

  it('is refused where nothing in the guest could ask', async () => {
    const disk = makeGuest({ ...BARE, 'usr/lib/systemd/systemd-networkd': undefined });
    await expect(adapt(disk)).rejects.toThrow(/nothing in it can ask EC2 for an address/);
  });
});

describe('an adaptation that was cut off', () => {
  async function cutOff(): Promise<string> {
    const disk = makeGuest(BARE);
    await adapt(disk);
    const manifest = '/var/lib/lifeboat/adaptation.json';
    write(disk, manifest, text(disk, manifest).replace('"applied"', '"applying"'));
    return disk;
  }

  it('is taken back whole before it is done again', async () => {
    const disk = await cutOff();
    write(disk, '/etc/resolv.conf', 'half-writ');
    await adapt(disk);
    expect(text(disk, '/etc/resolv.conf')).toMatch(/^search shop.example\n[^]*169\.254/);
    await adapter.revertForPrimarySite(disk);
    expect(text(disk, '/etc/resolv.conf')).toBe('search shop.example\nnameserver 192.168.10.1\n');
  });

  it('is given up where the initramfs is half-written', async () => {
    const disk = await cutOff();
    write(disk, INITRAMFS, read(disk, INITRAMFS).subarray(0, 1000));
    await expect(adapt(disk)).rejects.toThrow(/half-written .* new volume from the snapshot/);
  });
});

describe('texts', () => {
  it('keep what a line of /etc/hosts says besides the names that move', () => {
    const text = '127.0.1.1 web db\n192.168.10.30 DB store\n::1 ip6-localhost\n';
    const changed = hostsForRecoverySite(text, [{ address: '10.0.1.30', names: ['db'] }]);
    expect(changed).toContain('\n127.0.1.1 web\n10.0.1.30 db store\n');
    expect(hostsForPrimarySite(changed)).toBe(text);
  });

  it('lead all names of the guest itself to its own address, where that is known', () => {
    const text =
      '127.0.0.1 localhost\n127.0.1.1 db01.corp db01\n192.168.10.30 db01 db mail\n192.168.10.31 db2\n';
    const hosts = [
      { address: '10.0.1.30', names: ['db'], self: true },
      { address: '10.0.1.31', names: ['db2'] },
    ];
    const self = { names: ['db01.corp', 'db01'], addresses: ['192.168.10.30'] };
    const changed = hostsForRecoverySite(text, hosts, self);
    const active = changed.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(active).toEqual(['127.0.0.1 localhost', '10.0.1.30 db db01.corp db01 mail', '10.0.1.31 db2']);
    expect(hostsForPrimarySite(changed)).toBe(text);
  });

  it.each([
    [
      'hosts',
      (text: string) => hostsForRecoverySite(text, [{ address: '10.0.1.30', names: ['db'] }]),
      '1.2.3.4 db\n',
    ],
    [
      'interfaces',
      interfacesForRecoverySite,
      'source /etc/network/interfaces.d/*\nallow-hotplug eth0\niface eth0 inet dhcp\n',
    ],
    ['resolv.conf', resolvConfForRecoverySite, 'nameserver 8.8.8.8\nnameserver 127.0.0.53\noptions edns0\n'],
  ])('of %s can be undone among lines that were added since', (_, change, text) => {
    const changed = change(text);
    expect(changed).not.toBe(text);
    expect(bringBack(withoutBlock(`# first\n${changed}# last\n`))).toBe(`# first\n${text}# last\n`);
  });

  it('stay as they are where there is nothing to change', () => {
    const loopback = 'auto lo\niface lo inet loopback\n';
    expect(interfacesForRecoverySite(loopback)).toBe(loopback);
    expect(resolvConfForRecoverySite('nameserver 127.0.0.53\n')).toBe('nameserver 127.0.0.53\n');
  });
});
