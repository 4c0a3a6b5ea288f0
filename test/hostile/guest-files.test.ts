import fc from 'fast-check';
import { detectFamily } from '../../guest/detect-family';
import { DeviceNames } from '../../guest/disk/device-names';
import { MountedFiles } from '../../guest/files/mounted-files';
import { withGuest } from '../../guest/files/open-guest';
import { GuestFileError } from '../../guest/files/port';
import { devicesByContent } from '../../guest/linux/disks/lost-hardware';
import { lvmConfigurationForNewDisks } from '../../guest/linux/disks/lvm';
import { learnDisks } from '../../guest/linux/disks/learn-disks';
import { GuestNotAdaptableError } from '../../guest/port';
import { MemoryFileSystem } from '../support/memory-file-system';
import {
  debian,
  initramfs,
  INITRAMFS,
  KERNEL,
  makeDataDisk,
  makeDisk,
  removeFixtures,
  ROOT_UUID,
  type Tree,
} from '../unit/guest-fixture';
import { entry, ENTRY, grubenv, IMAGE, rocky } from '../unit/guest-rocky';
import {
  BARE,
  enabled,
  IFUPDOWN,
  NETPLAN,
  NETWORK_MANAGER,
  STATIC_KEYFILE,
  staticYaml,
  type Changes,
} from '../unit/guest-stay-fixture';
import { damage, damaged, inputs, inputsMs, oddText, thoughtOf } from './inputs';

/** Longest that one guest of some dozen files may keep a proxy busy, on a busy machine. */
const LONGEST_MS = 20_000;
const RULE_FILE = 'etc/udev/rules.d/70-persistent-net.rules';

const IFCFG =
  'NAME=ens192\nDEVICE=ens192\nONBOOT=yes\nBOOTPROTO=none\nIPADDR=10.20.30.41\nPREFIX=24\nDNS1="10.20.30.2"\n';
const LVM_CONF = 'devices {\n\tfilter = [ "a|^/dev/sd.*|", "r|.*|" ]\n}\n';
const DEVICES = `HASHTIME=1\nVERSION=1.1.1\nIDTYPE=sys_wwid IDNAME=naa.6000c2912345678901234567890abcde DEVNAME=/dev/sda2 PVID=${'a'.repeat(32)} PART=2\n`;
const MORE: Changes = {
  'etc/fstab': `UUID=${ROOT_UUID} / ext4 defaults 0 1\n/dev/sdb1 /srv ext4 defaults,nofail 0 2\nLABEL=x\\040y /x xfs noauto 0 0\n/dev/mapper/rhel-swap none swap sw 0 0\n`,
  'etc/crypttab': 'data /dev/sdc1 none luks,nofail\nswap /dev/sdb2 /dev/urandom swap\n',
  'etc/lvm/lvm.conf': LVM_CONF,
  'etc/lvm/devices/system.devices': DEVICES,
  'etc/mdadm.conf': 'DEVICE /dev/sd*\nARRAY /dev/md0 UUID=1:2:3:4\n',
  'etc/systemd/system/srv.mount': '[Mount]\nWhat=/dev/sdb1\nWhere=/srv\n',
  'etc/cloud/cloud.cfg': 'growpart:\n  mode: auto\n',
  'etc/iptables/rules.v4': '*filter\n-A INPUT -i ens192 -j DROP\nCOMMIT\n',
  [RULE_FILE]: 'SUBSYSTEM=="net", ATTR{address}=="00:50:56:00:00:01", NAME="eth0"\n',
};

/** A guest of each family, with every file that is read on this host. */
const FAMILIES: Record<string, Changes> = {
  'initramfs-tools and networkd': {},
  netplan: { ...BARE, ...NETPLAN, 'etc/netplan/01.yaml': staticYaml(), ...MORE },
  ifupdown: { ...BARE, ...IFUPDOWN, ...MORE, 'etc/initramfs-tools/conf.d/resume': 'RESUME=/dev/sda2\n' },
  'dracut, Network Manager and BLS': {
    ...rocky(),
    ...NETWORK_MANAGER,
    ...MORE,
    'etc/NetworkManager/system-connections/lan.nmconnection': STATIC_KEYFILE,
    'etc/sysconfig/network-scripts/ifcfg-ens192': IFCFG,
    'boot/grub2/grubenv': grubenv(
      `saved_entry=0123456789abcdef-${KERNEL}\nkernelopts=root=UUID=${ROOT_UUID} ro\n`,
    ),
    [ENTRY.slice(1)]: entry(KERNEL, `root=UUID=${ROOT_UUID} ro $kernelopts`),
  },
  wicked: {
    ...rocky(),
    ...enabled('wicked.service'),
    ...MORE,
    'etc/sysconfig/network/ifcfg-eth0': "STARTMODE='auto'\nBOOTPROTO='static'\nIPADDR='10.20.30.41/24'\n",
    'etc/sysconfig/network/routes': 'default 10.20.30.1 - -\n',
  },
};

let bootDisk: string;
let dataDisk: string;
beforeAll(() => {
  bootDisk = makeDisk([{ tree: {}, sizeMiB: 4, uuid: ROOT_UUID }]);
  dataDisk = makeDataDisk();
});
afterAll(removeFixtures);

/** Adapted and home again as it was, or refused in words and as it was. */
async function judged(tree: Tree): Promise<'adapted' | 'refused'> {
  const fileSystem = new MemoryFileSystem(tree);
  const before = fileSystem.listing;
  const open = () => Promise.resolve(new MountedFiles([{ mountPoint: '/', fileSystem }]));
  const began = performance.now();
  let reached = 'nothing';
  const error = await thoughtOf(async () => {
    const names = await DeviceNames.read(bootDisk, {
      slot: 0,
      dataDisks: [{ diskPath: dataDisk, slot: 1 }],
    });
    const root = names.contents.find((content) => content.diskPath === bootDisk);
    await withGuest(open, (files) => learnDisks(files, root!, names));
    const guest = { open, openReadOnly: open, names };
    const family = await withGuest(open, detectFamily);
    const hosts = [{ address: '10.0.1.30', names: ['db'] }];
    await family.adapt(guest, { diskPath: bootDisk, dataDisks: [], bootScripts: [], hosts, runId: 'run-1' });
    reached = 'adapted';
    await family.revert(guest);
  });
  expect(performance.now() - began).toBeLessThan(LONGEST_MS);
  if (error !== undefined) {
    expect(reached).toBe('nothing');
    expect([
      error instanceof GuestNotAdaptableError || error instanceof GuestFileError,
      error.message,
    ]).toEqual([true, expect.any(String)]);
    expect(error.message.length).toBeLessThan(5000);
  }
  expect(fileSystem.listing).toEqual(error === undefined ? onNewDisks(before) : before);
  return error === undefined ? 'adapted' : 'refused';
}

/** What comes home: as it was, but for what named disks by hardware that is gone. */
function onNewDisks(listing: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(listing).map(([path, text]) => {
      if (!text.startsWith('file ')) return [path, text];
      if (/^\/etc\/lvm\/devices\/[^/]+\.devices$/.test(path)) return [path, devicesByContent(text)];
      if (/^\/etc\/lvm\/lvm(local)?\.conf$/.test(path)) return [path, lvmConfigurationForNewDisks(text)];
      return [path, text];
    }),
  );
}

/** Pieces that mean something to one file or another, put together as nobody would. */
const syntax = fc
  .array(
    fc.oneof(
      oddText,
      fc.constantFrom(
        ...[
          '\n',
          ' ',
          '\t',
          '=',
          '"',
          "'",
          '\\',
          '{',
          '}',
          '[',
          ']',
          '#',
          ':',
          ',',
          '$',
          '|',
          '%',
          '&a',
          '*a',
          '<<',
        ],
        ...[
          'menuentry ',
          'submenu ',
          'linux /boot/vmlinuz',
          'initrd ',
          'options ',
          'version ',
          'root=/dev/sda1',
        ],
        ...[
          'UUID=',
          'LABEL=',
          '/dev/sdb1',
          '/dev/mapper/a-b',
          'ext4',
          'swap',
          'defaults',
          'filter = ',
          '"a|.*|"',
        ],
        ...[
          '[Match]',
          'Name=ens192',
          'network:',
          '  ethernets:',
          'ens192:',
          'renderer: ',
          'iface ',
          'auto ',
          'source ',
        ],
        ...[
          'IPADDR=',
          '[connection]',
          'kernelopts=',
          '# GRUB Environment Block\n',
          'saved_entry=',
          'IDTYPE=sys_wwid ',
        ],
        ...['GRUB_CMDLINE_LINUX="', 'resume=', '10.20.30.41/24', '!!binary ', '? ', '- ', '--- ', '%TAG'],
      ),
    ),
    { maxLength: 40 },
  )
  .map((pieces) => pieces.join(''));

describe.each(Object.entries(FAMILIES))('a hostile guest of %s', (_, changes) => {
  const whole = debian(changes);
  const texts = Object.entries(whole).filter(
    ([name, content]) => typeof content === 'string' && !name.endsWith('.ko'),
  );
  const name = fc.constantFrom(...texts.map(([one]) => one));

  it('is adapted where it is whole', async () => {
    expect(await judged(whole)).toBe('adapted');
  });

  it(
    'with files damaged, or that say anything',
    async () => {
      const content = fc.oneof(
        damage.map((how) => (text: string) => damaged(Buffer.from(text, 'latin1'), how)),
        syntax.map((text) => () => Buffer.from(text, 'latin1')),
        syntax.map((text) => (before: string) => Buffer.from(before + text, 'latin1')),
        fc.uint8Array({ maxLength: 3000 }).map((bytes) => () => Buffer.from(bytes)),
      );
      await fc.assert(
        fc.asyncProperty(fc.dictionary(name, content, { minKeys: 1, maxKeys: 4 }), async (files) => {
          const altered = Object.entries(files).map(([one, change]) => [one, change(whole[one] as string)]);
          await judged({ ...whole, ...Object.fromEntries(altered) } as Tree);
        }),
        inputs(1 / 5),
      );
    },
    inputsMs(1),
  );

  it(
    'with links and directories where files should be, and files gone',
    async () => {
      const target = fc.constantFrom(
        '/',
        '..',
        '/etc',
        'loop',
        '/etc/hosts',
        '../../../../../proc/self/mem',
        'x y',
        '',
      );
      const instead = fc.oneof(
        target.map((link) => ({ link })),
        fc.constantFrom('gone' as const, 'directory' as const),
      );
      await fc.assert(
        fc.asyncProperty(fc.dictionary(name, instead, { minKeys: 1, maxKeys: 4 }), async (files) => {
          const tree: Tree = { ...whole };
          for (const [one, what] of Object.entries(files)) {
            delete tree[one];
            if (what === 'directory') tree[`${one}/x`] = 'x';
            else if (what !== 'gone') tree[one] = what;
          }
          await judged(tree);
        }),
        inputs(1 / 10),
      );
    },
    inputsMs(1 / 2),
  );

  it(
    'with a damaged initramfs',
    async () => {
      const at = IMAGE.slice(1) in whole ? IMAGE.slice(1) : INITRAMFS.slice(1);
      const plain = at in whole ? (whole[at] as Buffer) : initramfs();
      await fc.assert(
        fc.asyncProperty(damage, async (how) => {
          await judged({ ...whole, [at]: damaged(plain, how) });
        }),
        inputs(1 / 20),
      );
    },
    inputsMs(1 / 4),
  );
});
