import { debugfs, listing, removeFixtures, text, write } from './guest-fixture';
import {
  adapt,
  enabled,
  goHome,
  guestWith,
  IFUPDOWN,
  masked,
  NETPLAN,
  NETWORK_MANAGER,
  staticYaml,
  unit,
  type Changes,
} from './guest-stay-fixture';

const LINK = '/etc/systemd/network/00-lifeboat.link';
const RESOLV = 'etc/resolv.conf';

afterAll(removeFixtures);

/** Adapts a guest, looks at it, takes it home, and expects it to be as it was. */
async function stay(
  changes: Changes[],
  look: (disk: string, files: Record<string, string>, warnings: string[]) => void,
): Promise<void> {
  const disk = guestWith(...changes);
  const before = listing(disk);
  const { warnings } = await adapt(disk);
  look(disk, listing(disk), warnings);
  await goHome(disk);
  expect(listing(disk)).toEqual(before);
}

describe('name service at the recovery site', () => {
  const RESOLVED = enabled('systemd-resolved.service', 'etc/systemd/system/sysinit.target.wants');

  it.each<[string, Changes[]]>([
    ["resolvconf's", [IFUPDOWN, { [RESOLV]: { link: '/run/resolvconf/resolv.conf' } }]],
    ["resolvconf's, by a relative link", [IFUPDOWN, { [RESOLV]: { link: '../run/resolvconf/resolv.conf' } }]],
    [
      "resolvconf's, which an image's maker left on the disk",
      [
        IFUPDOWN,
        {
          [RESOLV]: { link: '../run/resolvconf/resolv.conf' },
          'run/resolvconf/resolv.conf': 'nameserver 10.20.30.2\n',
        },
      ],
    ],
    [
      "resolvconf's, through another link",
      [
        IFUPDOWN,
        {
          [RESOLV]: { link: 'resolvconf/run/resolv.conf' },
          'etc/resolvconf/run': { link: '/run/resolvconf' },
        },
      ],
    ],
    [
      "systemd-resolved's, which is not enabled",
      [
        IFUPDOWN,
        { [RESOLV]: { link: '../run/systemd/resolve/stub-resolv.conf' } },
        unit('systemd-resolved.service'),
      ],
    ],
    [
      "systemd-resolved's, which is masked",
      [
        IFUPDOWN,
        RESOLVED,
        masked('systemd-resolved.service'),
        { [RESOLV]: { link: '../run/systemd/resolve/stub-resolv.conf' } },
      ],
    ],
    [
      "NetworkManager's, which does not run",
      [IFUPDOWN, { [RESOLV]: { link: '/var/run/NetworkManager/resolv.conf' }, 'var/run': { link: '/run' } }],
    ],
    ["netconfig's", [IFUPDOWN, { [RESOLV]: { link: '/run/netconfig/resolv.conf' } }]],
    ['a circle', [IFUPDOWN, { [RESOLV]: { link: 'resolv.conf' } }]],
    [
      'a file elsewhere',
      [
        IFUPDOWN,
        {
          [RESOLV]: { link: 'resolv.conf.static' },
          'etc/resolv.conf.static': 'search corp.example\nnameserver 10.20.30.2\n',
        },
      ],
    ],
    ['a plain file', [IFUPDOWN, { [RESOLV]: 'nameserver 10.20.30.2\n' }]],
    [
      'of a server on this machine, which asks one that is not there',
      [IFUPDOWN, { [RESOLV]: 'nameserver 127.0.0.1\n' }],
    ],
    ['nothing', [IFUPDOWN, { [RESOLV]: undefined }]],
  ])("is Amazon's where /etc/resolv.conf is %s", async (_, changes) => {
    await stay(changes, (disk, files) => {
      expect(files['/etc/resolv.conf']).toMatch(/^file 644 0:0/);
      expect(text(disk, '/etc/resolv.conf')).toMatch(/^nameserver 169\.254\.169\.253$/m);
      expect(text(disk, '/etc/resolv.conf')).not.toMatch(/^nameserver 10\./m);
    });
  });

  it.each<[string, string, Changes[]]>([
    ['systemd-resolved', '../run/systemd/resolve/stub-resolv.conf', [IFUPDOWN, RESOLVED]],
    [
      'systemd-resolved, without its stub',
      '/run/systemd/resolve/resolv.conf',
      [NETPLAN, { 'etc/netplan/a.yaml': staticYaml() }, RESOLVED],
    ],
    ['NetworkManager', '/run/NetworkManager/resolv.conf', [NETWORK_MANAGER]],
  ])('is left to %s, which learns of it by DHCP', async (_, link, changes) => {
    await stay([...changes, { [RESOLV]: { link } }], (_disk, files) => {
      expect(files['/etc/resolv.conf']).toBe(`link ${link}`);
    });
  });

  it("is not systemd-resolved's with servers of the data centre", async () => {
    await stay(
      [
        IFUPDOWN,
        RESOLVED,
        {
          [RESOLV]: { link: '/run/systemd/resolve/stub-resolv.conf' },
          'etc/systemd/resolved.conf': '[Resolve]\nDNS=10.20.30.2 10.20.30.3\nDomains=~.\n',
          'etc/systemd/resolved.conf.d/corp.conf': '[Resolve]\nDNS=10.20.30.4\n',
        },
      ],
      (disk) => {
        expect(text(disk, '/etc/systemd/resolved.conf')).toMatch(/^# lifeboat aside: DNS=10/m);
        expect(text(disk, '/etc/systemd/resolved.conf.d/corp.conf')).not.toMatch(/^DNS=/m);
      },
    );
  });
});

describe("the guest's own name", () => {
  it('leads to itself at the recovery site, whatever else leads to its address', async () => {
    const hosts =
      '127.0.0.1 localhost\n10.20.30.41 db01.corp.example db01\n10.20.30.41\tshop-db.corp.example # service\n10.20.30.42 db02\n';
    await stay([IFUPDOWN, { 'etc/hosts': hosts, 'etc/hostname': 'db01\n' }], (disk) => {
      const own = text(disk, '/etc/hosts')
        .split('\n')
        .filter((line) => !line.startsWith('#'));
      expect(own).toEqual([
        '127.0.0.1 localhost',
        '10.20.30.42 db02',
        '127.0.1.1 db01.corp.example db01',
        '127.0.1.1 shop-db.corp.example',
        '',
      ]);
    });
  });

  it.each<[string, Changes]>([
    ['in capitals, with its domain', { 'etc/hostname': '# ours\nDB01.corp.example\n' }],
    ["in SUSE's old place", { 'etc/HOSTNAME': 'db01.corp.example\n' }],
    ["in Red Hat's old place", { 'etc/sysconfig/network': 'NETWORKING=yes\nHOSTNAME=db01.corp.example\n' }],
  ])('is known %s', async (_, changes) => {
    await stay([{ 'etc/hosts': '10.9.9.9 db01\n', 'etc/hostname': undefined }, changes], (disk) => {
      expect(text(disk, '/etc/hosts')).toContain('\n127.0.1.1 db01\n');
    });
  });

  it.each<[string, Changes[]]>([
    ['netplan', [NETPLAN, { 'etc/netplan/a.yaml': staticYaml() }]],
    [
      'NetworkManager',
      [
        NETWORK_MANAGER,
        {
          'etc/NetworkManager/system-connections/a':
            '[connection]\ntype=ethernet\n[ipv4]\nmethod=manual\naddress1=10.20.30.41/24,10.20.30.1\n',
        },
      ],
    ],
    [
      'networkd',
      [
        enabled('systemd-networkd.service'),
        { 'etc/systemd/network/a.network': '[Match]\nName=ens192\n[Address]\nAddress=10.20.30.41/24\n' },
      ],
    ],
    ['ifupdown', [IFUPDOWN]],
  ])('has its address known from %s', async (_, changes) => {
    await stay([...changes, { 'etc/hosts': '10.20.30.41 shop\n', 'etc/hostname': 'db01\n' }], (disk) => {
      expect(text(disk, '/etc/hosts')).toContain('\n127.0.1.1 shop\n');
    });
  });

  it("does not take another machine's entry", async () => {
    const disk = guestWith(IFUPDOWN, {
      'etc/hosts': '10.20.30.41 db01 db\n10.20.30.50 web db01-old\n',
      'etc/hostname': 'db01\n',
    });
    await adapt(disk, [
      { address: '10.0.1.50', names: ['web'] },
      { address: '10.0.1.51', names: ['db'] },
    ]);
    expect(text(disk, '/etc/hosts')).toMatch(
      /\n127\.0\.1\.1 db01\n10\.0\.1\.50 web db01-old\n10\.0\.1\.51 db\n/,
    );
  });
});

describe("the card's name", () => {
  const RULES = {
    'etc/iptables/rules.v4':
      '*filter\n:INPUT DROP [0:0]\n-A INPUT -i ens192 -p tcp --dport 80 -j ACCEPT\nCOMMIT\n',
  };

  it.each<[string, string, Changes[]]>([
    ['that ifupdown has it by', 'ens192', [IFUPDOWN, RULES]],
    ['that netplan has it by', 'ens192', [NETPLAN, { 'etc/netplan/a.yaml': staticYaml() }]],
    [
      'that netplan gives it',
      'lan0',
      [
        NETPLAN,
        {
          'etc/netplan/a.yaml': staticYaml().replace(
            '    ens192:\n',
            '    any:\n      match: {macaddress: "00:50:56:00:00:01"}\n      set-name: lan0\n',
          ),
        },
      ],
    ],
    [
      'that a udev rule of old gives it',
      'lan0',
      [
        NETWORK_MANAGER,
        {
          'etc/udev/rules.d/70-persistent-net.rules':
            'SUBSYSTEM=="net", ATTR{address}=="00:50:56:00:00:01", NAME="lan0"\n',
        },
      ],
    ],
    [
      'that a .link file gives it',
      'lan0',
      [
        NETWORK_MANAGER,
        { 'etc/systemd/network/10-lan.link': '[Match]\nMACAddress=00:50:56:00:00:01\n[Link]\nName=lan0\n' },
      ],
    ],
    ['that only the firewall knows', 'ens192', [NETWORK_MANAGER, RULES]],
    [
      'that keepalived and sysctl know',
      'ens192',
      [
        NETWORK_MANAGER,
        {
          'etc/keepalived/keepalived.conf': 'vrrp_instance a {\n  interface ens192\n}\n',
          'etc/sysctl.d/a.conf': 'net.ipv4.conf.ens192.rp_filter=1\n',
        },
      ],
    ],
    [
      'that firewalld has in a zone',
      'ens192',
      [
        NETWORK_MANAGER,
        { 'etc/firewalld/zones/internal.xml': '<zone>\n  <interface name="ens192"/>\n</zone>\n' },
      ],
    ],
    [
      'of the card below bond and VLAN',
      'ens192',
      [
        IFUPDOWN,
        {
          'etc/network/interfaces':
            'auto bond0.7\niface bond0.7 inet static\n  address 10.20.30.41/24\n  gateway 10.20.30.1\niface bond0 inet manual\n  bond-slaves ens192\n',
        },
      ],
    ],
    [
      'of the card with the default route',
      'ens224',
      [
        IFUPDOWN,
        {
          'etc/network/interfaces':
            'iface ens192 inet static\n  address 10.20.40.41/24\niface ens224 inet static\n  address 10.20.30.41/24\n  gateway 10.20.30.1\n',
        },
      ],
    ],
  ])('stays the one %s', async (_, name, changes) => {
    await stay(changes, (disk) => {
      expect(text(disk, LINK)).toMatch(
        new RegExp(`\\nDriver=ena virtio_net\\n\\n\\[Link\\]\\nName=${name}\\n`),
      );
    });
  });

  it('is told of where several cards are known and none leads out', async () => {
    const interfaces = ['192', '224']
      .map((at) => `iface ens${at} inet static\n  address 10.20.${at}.41/24\n`)
      .join('');
    await stay([IFUPDOWN, RULES, { 'etc/network/interfaces': interfaces }], (_disk, files, warnings) => {
      expect(files[LINK]).toBeUndefined();
      expect(warnings).toContainEqual(
        expect.stringMatching(/^\/etc\/iptables\/rules\.v4 .* ens192, .* has another name there/),
      );
    });
  });

  it('is told of where a file goes by the card that is not kept', async () => {
    const interfaces =
      'iface ens192 inet static\n  address 10.20.40.41/24\niface ens224 inet static\n  address 10.20.30.41/24\n  gateway 10.20.30.1\n';
    await stay([IFUPDOWN, RULES, { 'etc/network/interfaces': interfaces }], (_disk, _files, warnings) => {
      expect(warnings).toContainEqual(
        expect.stringMatching(/rules\.v4 .* ens192, .* the one card is called ens224/),
      );
    });
  });

  it('is no help to what goes by the address, which is told', async () => {
    await stay(
      [
        IFUPDOWN,
        {
          'etc/postgresql/15/main/postgresql.conf': "listen_addresses = '127.0.0.1,10.20.30.41'\n",
          'etc/nginx/sites-enabled/shop': { link: '/etc/nginx/sites-available/shop' },
          'etc/nginx/sites-available/shop': 'server { listen 10.20.30.41:80; }\n',
          'etc/ssh/sshd_config': '#ListenAddress 10.20.30.41\nListenAddress 10.20.30.4\n',
        },
      ],
      (_disk, _files, warnings) => {
        expect(warnings).toEqual([
          '/etc/nginx/sites-enabled/shop, /etc/postgresql/15/main/postgresql.conf of the guest name its address 10.20.30.41, which it does not have at the recovery site.',
        ]);
      },
    );
  });

  it('is not made up where nothing tells it', async () => {
    await stay(
      [NETWORK_MANAGER, { 'etc/sysctl.conf': '# net.ipv4.conf.eth0.rp_filter\nnet.ipv4.ip_forward=1\n' }],
      (_disk, files, warnings) => {
        expect(files[LINK]).toBeUndefined();
        expect(warnings).toEqual([]);
      },
    );
  });

  it('is no name that would be something else in a file', async () => {
    await stay(
      [NETPLAN, { 'etc/netplan/a.yaml': staticYaml().replace('ens192:', '"x\\nMACAddress=1":') }],
      (_disk, files) => {
        expect(files[LINK]).toBeUndefined();
      },
    );
  });
});

describe('cloud-init', () => {
  const CLOUD: Changes = {
    'usr/lib/systemd/system-generators/cloud-init-generator': '#!/bin/sh\n',
    ...unit('cloud-init.service'),
    ...unit('cloud-final.service'),
    'etc/cloud/cloud.cfg': 'preserve_hostname: false\n',
  };
  const DISABLED = '/etc/cloud/cloud-init.disabled';

  it('is quiet during the stay', async () => {
    await stay([NETPLAN, CLOUD, { 'etc/netplan/50-cloud-init.yaml': staticYaml() }], (_disk, files) => {
      expect(files[DISABLED]).toBeDefined();
      expect(files['/etc/netplan/50-cloud-init.yaml']).toBeUndefined();
    });
  });

  it('stays disabled where it was', async () => {
    await stay([IFUPDOWN, CLOUD, { [DISABLED.slice(1)]: 'by us\n' }], (disk) => {
      expect(text(disk, DISABLED)).toBe('by us\n');
    });
  });

  it('is nothing to a guest without it, whatever it left', async () => {
    await stay([IFUPDOWN, { 'etc/cloud/cloud.cfg.d/x.cfg': '' }], (_disk, files) => {
      expect(files[DISABLED]).toBeUndefined();
    });
  });

  it("is quiet although the kernel's command line enables it", async () => {
    const cfg = '\tlinux /boot/vmlinuz root=UUID=x ro cloud-init=enabled\n';
    await stay([IFUPDOWN, CLOUD, { 'boot/grub/grub.cfg': cfg }], (_disk, files) => {
      expect(files['/etc/systemd/system/cloud-init.service']).toBe('link /dev/null');
      expect(files['/etc/systemd/system/cloud-final.service']).toBe('link /dev/null');
      expect(files['/etc/systemd/system/cloud-config.service']).toBeUndefined();
    });
  });
});

describe('growing', () => {
  it.each([
    'usr/share/initramfs-tools/scripts/local-bottom/growroot',
    'usr/lib/dracut/modules.d/50growroot/growroot.sh',
  ])('by %s is kept from happening', async (path) => {
    await stay([{ [path]: '#!/bin/sh\n' }], (_disk, files) => {
      expect(files['/etc/growroot-disabled']).toBeDefined();
    });
  });

  it('by systemd is kept from happening', async () => {
    await stay(
      [
        {
          'etc/fstab':
            'UUID=11111111-1111-4111-8111-111111111111 / ext4 defaults,x-systemd.growfs 0 1\nLABEL=data /srv/data ext4 nofail,x-systemd.growfs 0 0\nLABEL=x /srv/my-data ext4 nofail,x-systemd.growfs 0 0\n',
          'usr/lib/repart.d/50-root.conf': '[Partition]\nType=root\n',
          'etc/repart.d/60-srv.conf': '[Partition]\nType=srv\n',
          ...unit('systemd-repart.service'),
        },
      ],
      (_disk, files, warnings) => {
        for (const name of [
          'systemd-repart',
          'systemd-growfs-root',
          'systemd-growfs@-',
          'systemd-growfs@srv-data',
        ])
          expect(files[`/etc/systemd/system/${name}.service`]).toBe('link /dev/null');
        expect(files['/etc/repart.d/50-root.conf']).toBe('link /dev/null');
        expect(files['/etc/repart.d/60-srv.conf']).toBeUndefined();
        expect(warnings).toContainEqual(expect.stringMatching(/lets \/srv\/my-data grow/));
      },
    );
  });
});

it('an immutable resolv.conf is immutable again at home', async () => {
  const disk = guestWith(IFUPDOWN, { [RESOLV]: 'nameserver 10.20.30.2\n' });
  const flags = () => /Flags: (0x[0-9a-f]+)/.exec(debugfs(disk, ['stat /etc/resolv.conf']))?.[1];
  const plain = flags();
  debugfs(disk, [`sif /etc/resolv.conf flags ${(Number(plain) | 0x10).toString()}`]);
  const before = flags();
  expect(before).not.toBe(plain);
  await adapt(disk);
  expect(text(disk, '/etc/resolv.conf')).toContain('169.254.169.253');
  write(disk, '/etc/resolv.conf', 'nameserver 10.0.0.2\n');
  await goHome(disk);
  expect(text(disk, '/etc/resolv.conf')).toBe('nameserver 10.20.30.2\n');
  expect(flags()).toBe(before);
});
