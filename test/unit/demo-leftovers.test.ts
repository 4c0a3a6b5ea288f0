import { type Expected, findLeftovers, type SiteListing } from '../../sandbox/demo/leftovers';

const expected: Expected = {
  instances: ['i-proxy'],
  snapshots: ['snap-copy'],
  dnsRecords: ['www.shop.example. A'],
  vms: ['db', 'web'],
};

const clean: SiteListing = {
  instances: [{ id: 'i-proxy', state: 'running' }],
  volumes: [],
  snapshots: [{ id: 'snap-copy' }, { id: 'snap-shell' }],
  images: [{ id: 'ami-shell', isShell: true, snapshots: ['snap-shell'] }],
  networkInterfaces: [{ id: 'eni-proxy', instance: 'i-proxy' }],
  dnsRecords: ['www.shop.example. A'],
  vms: [
    { name: 'db', disks: ['system', 'data'], besides: [] },
    { name: 'web', disks: ['system'], besides: [] },
  ],
};

const found = (change: Partial<SiteListing>): string[] => findLeftovers({ ...clean, ...change }, expected);

describe('leftovers of the demo', () => {
  it('are none where only the application, its DR copy, the proxy and the shell image are there', () => {
    expect(findLeftovers(clean, expected)).toEqual([]);
  });

  it.each<[string, Partial<SiteListing>, string[]]>([
    [
      'an instance',
      { instances: [...clean.instances, { id: 'i-1', state: 'stopped' }] },
      ['instance i-1 (stopped)'],
    ],
    ['a volume', { volumes: [{ id: 'vol-1', state: 'deleting' }] }, ['volume vol-1 (deleting)']],
    ['an older snapshot', { snapshots: [...clean.snapshots, { id: 'snap-1' }] }, ['snapshot snap-1']],
    [
      'an image that is no shell, and its snapshot',
      {
        snapshots: [...clean.snapshots, { id: 'snap-2' }],
        images: [...clean.images, { id: 'ami-1', isShell: false, snapshots: ['snap-2'] }],
      },
      ['snapshot snap-2', 'image ami-1'],
    ],
    ['the snapshot of a shell image that is gone', { images: [] }, ['snapshot snap-shell']],
    [
      'a network interface of nothing',
      { networkInterfaces: [...clean.networkInterfaces, { id: 'eni-1', instance: undefined }] },
      ['network interface eni-1 (of no instance)'],
    ],
    [
      'a DNS record',
      { dnsRecords: [...clean.dnsRecords, 'test.shop.example. A'] },
      ['DNS record test.shop.example. A'],
    ],
    [
      'a VM',
      { vms: [...clean.vms, { name: 'template', disks: [], besides: ['system.vmdk'] }] },
      ['VM template'],
    ],
    [
      'an overlay, a snapshot and an open disk',
      {
        vms: clean.vms.map((vm) =>
          vm.name === 'web'
            ? {
                ...vm,
                besides: ['snapshots/a1', 'system.qcow2', 'other-flat.vmdk', 'open/system'],
              }
            : vm,
        ),
      },
      [
        'snapshots/a1 of VM web',
        'system.qcow2 of VM web',
        'other-flat.vmdk of VM web',
        'open/system of VM web',
      ],
    ],
    ['the lack of a VM', { vms: clean.vms.slice(0, 1) }, ['no VM web']],
    ["the lack of the DR copy's snapshot", { snapshots: [{ id: 'snap-shell' }] }, ['no snapshot snap-copy']],
  ])('tell %s', (_, change, leftovers) => {
    expect(found(change)).toEqual(leftovers);
  });
});
