import { grubCfgForPrimarySite } from '../../guest/linux/boot/grub';
import { withoutPrimaryNetwork, withPrimaryNetwork } from '../../guest/linux/network/kernel-arguments';
import {
  DRACUT,
  debian,
  initramfs,
  KERNEL,
  listing,
  makeGuest,
  read,
  removeFixtures,
  ROOT_UUID,
  text,
  unpack,
  write,
} from './guest-fixture';
import { CONSOLE, entry, ENTRY, FSTAB, grubenv, IMAGE, rocky } from './guest-rocky';
import { adapt, goHome } from './guest-stay-fixture';

const STATIC = 'ip=10.20.30.41::10.20.30.1:255.255.255.0:db01:ens192:none';
const SERVER = 'nameserver=10.20.30.2';
const NETWORK = `${STATIC} ${SERVER}`;

afterAll(removeFixtures);

describe('kernel arguments', () => {
  it.each([
    STATIC,
    'ip=ens192:dhcp',
    'ip=10.20.30.41::10.20.30.1:24::ens192:none:10.20.30.2',
    'ip=[2001:db8::5]::[2001:db8::1]:64::ens192:none',
    'ip=,10.20.30.41',
    SERVER,
    'rd.route=10.9.0.0/16:10.20.30.1:ens192',
    'ifname=lan0:00:50:56:00:00:01',
    'BOOTIF=01-00-50-56-00-00-01',
    'vlan=ens192.7:ens192',
    'bond=bond0:ens192,ens224:mode=active-backup',
  ])('lose the network of the primary site: %s', (argument) => {
    const warned: string[] = [];
    const warn = (sentence: string): void => void warned.push(sentence);
    expect(withoutPrimaryNetwork(`root=UUID=1 ${argument} ro quiet`, '/boot/x', warn)).toBe(
      'root=UUID=1 ro quiet',
    );
    expect(withoutPrimaryNetwork(`X="${argument} quiet"`, '/boot/x', warn)).toBe('X=" quiet"');
    expect(warned).toHaveLength(2);
    expect(warned[0]).toContain(argument);
  });

  it.each([
    'ip=dhcp',
    'ip=off',
    'ip=auto6',
    'net.ifnames=0',
    'rd.neednet=1',
    'zip=10.0.0.1',
    'tip=ip',
    'a.ip=10.0.0.1',
    'rd.lvm.lv=rhel/root',
  ])('keep what holds at both sites: %s', (argument) => {
    const warn = (sentence: string): never => {
      throw new Error(sentence);
    };
    const line = `root=UUID=1 ${argument} ro`;
    expect(withoutPrimaryNetwork(line, '/boot/x', warn)).toBe(line);
  });

  it('get back what is missing, and nothing twice', () => {
    expect(withPrimaryNetwork('ro quiet ', [STATIC, SERVER])).toBe(`ro quiet ${NETWORK}`);
    expect(withPrimaryNetwork(`ro ${SERVER}`, [STATIC, SERVER])).toBe(`ro ${SERVER} ${STATIC}`);
    expect(withPrimaryNetwork(`ro ${NETWORK}`, [STATIC, SERVER])).toBe(`ro ${NETWORK}`);
  });
});

describe('a guest whose network the kernel is told', () => {
  const options = `root=UUID=${ROOT_UUID} ro ${NETWORK}`;
  const image = initramfs(undefined, undefined, {
    ...DRACUT,
    'etc/cmdline.d/40-network.conf': ` ${NETWORK} rd.neednet=1\n`,
  });
  const disk = makeGuest(
    rocky({
      [ENTRY.slice(1)]: entry(KERNEL, options),
      'boot/grub2/grubenv': grubenv(`kernelopts=${options}\n`),
      'etc/kernel/cmdline': `${options}\n`,
      [IMAGE.slice(1)]: image,
    }),
  );
  const before = listing(disk);

  it('asks for its address on EC2, and that is told', async () => {
    const { warnings } = await adapt(disk);
    for (const path of [ENTRY, '/boot/grub2/grubenv', '/etc/kernel/cmdline']) {
      expect(text(disk, path)).toContain(`root=UUID=${ROOT_UUID} ro ${CONSOLE}`);
      expect(text(disk, path)).not.toMatch(/ip=|nameserver/);
      expect(warnings).toContainEqual(expect.stringMatching(new RegExp(`^${path}.* left out on EC2`)));
    }
    const extended = read(disk, IMAGE);
    const segment = extended.subarray(extended.indexOf('070701', image.length));
    expect(unpack(segment)('etc/cmdline.d/40-network.conf')).toBe(' rd.neednet=1\n');
  });

  it('is as it was, taken home', async () => {
    await goHome(disk);
    expect(listing(disk)).toEqual(before);
  });

  it('has its network at home in what was made anew on EC2', async () => {
    await adapt(disk);
    const other = ENTRY.replace('6.1.0-1', '6.1.0-2');
    write(disk, other, entry('6.1.0-2-amd64', `root=UUID=${ROOT_UUID} ro ${CONSOLE}`));
    const block = text(disk, '/boot/grub2/grubenv').replace('kernelopts', 'boot_success=1\nkernelopts');
    write(disk, '/boot/grub2/grubenv', block.slice(0, 1024));
    const { changed } = await goHome(disk);
    expect(changed).toContain(other);
    expect(text(disk, other)).toContain(`options ${options}\n`);
    const home = text(disk, '/boot/grub2/grubenv');
    expect(home).toHaveLength(1024);
    expect(home).toContain(`boot_success=1\nkernelopts=${options}\n#`);
    expect(text(disk, ENTRY)).toContain(`options ${options}\n`);
  });
});

it("keeps the menu's own entries together with the network at home, and other systems' alone", async () => {
  const own = (debian()['boot/grub/grub.cfg'] as string).replace(/^(\s*linux\s.*)$/m, `$1 ${NETWORK}`);
  const disk = makeGuest({ ...FSTAB, 'boot/grub/grub.cfg': own });
  await adapt(disk);
  const onEc2 = text(disk, '/boot/grub/grub.cfg');
  expect(onEc2).not.toContain('ip=');
  const foreign = `menuentry 'Other' --class x $menuentry_id_option 'osprober-gnulinux-1' {\n\tlinux /boot/vmlinuz-x root=/dev/sdb1\n}\n`;
  write(disk, '/boot/grub/grub.cfg', `# made anew\n${onEc2}${foreign}`);
  await goHome(disk);
  expect(text(disk, '/boot/grub/grub.cfg')).toBe(
    `# made anew\n${own.replace('root=/dev/sda1', `root=UUID=${ROOT_UUID}`)}${foreign}`,
  );
});

it('gives the network back to the lines of its own kernels only', () => {
  const menu = (arguments_: string, anew = false): string =>
    [
      "menuentry 'Rescue disk' {",
      '\tlinux /vmlinuz root=UUID=77777777-0000-0000-0000-000000000000 ip=192.0.2.9::192.0.2.1:24::eth0:none',
      '}',
      "menuentry 'Debian'{",
      `\tlinux /boot/vmlinuz root=UUID=${ROOT_UUID} ro${arguments_}`,
      '\tinitrd /boot/initrd.img',
      '}',
      "menuentry 'Debian, with Xen' {",
      '\tmultiboot2 /boot/xen.gz placeholder',
      `\tmodule2 /boot/vmlinuz placeholder root=UUID=${ROOT_UUID} ro${arguments_}`,
      '\tmodule2 --nounzip /boot/initrd.img',
      '}',
      ...(anew ? ["menuentry 'By hand' {", '\tlinux /vmlinuz root=/dev/sdc1 ro', '}'] : []),
    ].join('\n');
  // The menu's first entry, whose network is its own, is not this system's.
  const own = menu(` ${NETWORK}`).split('\n').slice(3).join('\n');
  const anew = menu('', true).split('\n').slice(3).join('\n');
  const home = grubCfgForPrimarySite(anew, own);
  expect(home).toBe(menu(` ${NETWORK}`, true).split('\n').slice(3).join('\n'));
  const foreignFirst = (text: string): string =>
    text.replace("menuentry 'Rescue disk' {", "menuentry 'Rescue disk' $menuentry_id_option 'osprober-x' {");
  expect(grubCfgForPrimarySite(foreignFirst(menu('')), foreignFirst(menu(` ${NETWORK}`)))).toBe(
    foreignFirst(menu(` ${NETWORK}`)),
  );
});
