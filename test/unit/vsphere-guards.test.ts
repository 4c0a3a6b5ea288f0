import { collectPages } from '../../hypervisor/vsphere/backup/changed-areas';
import {
  knownFault,
  readMarker,
  trackedThroughout,
  whyMarkerIsVoid,
  writeMarker,
} from '../../hypervisor/vsphere/backup/cbt-guards';
import { type DiskDevice, disksOf, normalUuid } from '../../hypervisor/vsphere/devices';
import { freeUnit, keptController } from '../../hypervisor/vsphere/proxy/kept-controller';
import { escapeName, parseReference, shownName } from '../../hypervisor/vsphere/names';
import { biosUuids } from '../../hypervisor/vsphere/proxy/proxy';
import { snapshotName, sortOut } from '../../hypervisor/vsphere/backup/snapshots';
import { type AnyVirtualDevice, type DiskChangeInfo } from '../../hypervisor/vsphere/vim/schema';

const UUID = '6000c29a-0102-0304-0506-0708090a0b0c';
const LIFE = '52 de c0 d9 b9 43 c9 10-0f 34 5d 4b';

const controller = (bus: number, more = {}): AnyVirtualDevice => ({
  $type: 'ParaVirtualSCSIController',
  key: 1000 + bus,
  busNumber: bus,
  sharedBus: 'noSharing',
  ...more,
});
const disk = (
  unit: number,
  backing: Record<string, unknown> = {},
  controllerKey = 1000,
): AnyVirtualDevice => ({
  $type: 'VirtualDisk',
  key: 2000 + unit,
  controllerKey,
  unitNumber: unit,
  capacityInKB: 1024,
  capacityInBytes: 1024 * 1024,
  backing: {
    $type: 'VirtualDiskFlatVer2BackingInfo',
    fileName: `[ds] web/web_${unit}.vmdk`,
    diskMode: 'persistent',
    uuid: UUID,
    changeId: `${LIFE}/4`,
    ...backing,
  } as never,
});
const found = (backing: Record<string, unknown> = {}): DiskDevice => {
  const [only] = disksOf([controller(0), disk(0, backing)]);
  if (only === undefined) throw new Error('no disk');
  return only;
};

describe('what is believed of changed-block tracking', () => {
  const marker = { changeId: `${LIFE}/2`, uuid: UUID, capacity: 1024 * 1024 };

  it('is a marker of the same disk, size and tracking', () => {
    expect(whyMarkerIsVoid(marker, found())).toBeUndefined();
    expect(whyMarkerIsVoid({ ...marker, uuid: UUID.replace('6', '7') }, found())).toContain('another disk');
    expect(whyMarkerIsVoid({ ...marker, capacity: 512 }, found())).toContain('size');
    expect(whyMarkerIsVoid({ ...marker, changeId: '52 00 00-00/2' }, found())).toContain('anew');
    expect(whyMarkerIsVoid(marker, found({ changeId: undefined }))).toContain('not tracked');
  });

  it('is read from what was written, and from nothing else', () => {
    expect(readMarker(writeMarker(marker))).toEqual(marker);
    for (const text of ['', 'run/1', '{}', 'null', '{"changeId":"a","uuid":"b"}', '[1]'])
      expect(readMarker(text)).toBeUndefined();
  });

  it('is nothing where a snapshot stands from before it was switched on, or switched on anew', () => {
    expect(trackedThroughout(found(), [])).toBe(true);
    expect(trackedThroughout(found(), [found({ changeId: `${LIFE}/1` })])).toBe(true);
    expect(trackedThroughout(found(), [found({ changeId: undefined })])).toBe(false);
    expect(trackedThroughout(found(), [found({ changeId: '52 00 00-00/1' })])).toBe(false);
    // A disk that was added since is no matter of the snapshot's.
    expect(trackedThroughout(found(), [found({ changeId: undefined, uuid: UUID.replace('6', '7') })])).toBe(
      true,
    );
  });

  it.each([
    ['5.5.0', true],
    ['6.0.0', true],
    ['6.5.0', false],
    ['8.0.3', false],
    ['10.0.1', false],
    [undefined, false],
  ])('of ESXi %s has a known fault: %s', (version, faulty) => {
    expect(knownFault(version) !== undefined).toBe(faulty);
  });
});

describe('the pages of an answer', () => {
  const answers = (pages: [startOffset: number, length: number, areas: [number, number][]][]) => {
    const asked: number[] = [];
    const page = (startOffset: number): Promise<DiskChangeInfo> => {
      asked.push(startOffset);
      const [start = -1, length = 0, areas = []] = pages[asked.length - 1] ?? [];
      return Promise.resolve({
        startOffset: start,
        length,
        changedArea: areas.map(([from, size]) => ({ start: from, length: size })),
      });
    };
    return { asked, page };
  };

  it('are put together up to the end of the disk, where nothing is asked any more', async () => {
    const { asked, page } = answers([
      [
        0,
        600,
        [
          [0, 10],
          [500, 100],
        ],
      ],
      [
        600,
        424,
        [
          [600, 10],
          [1000, 64],
        ],
      ],
    ]);
    expect(await collectPages(1024, page)).toEqual([
      { offset: 0, length: 10 },
      { offset: 500, length: 110 },
      { offset: 1000, length: 24 },
    ]);
    expect(asked).toEqual([0, 600]);
  });

  it.each<[string, Parameters<typeof answers>[0]]>([
    ['is about nothing', [[0, 0, []]]],
    ['is about another part', [[512, 512, []]]],
    ['has an area of no size', [[0, 1024, [[5, 0]]]]],
    [
      'stops half way',
      [
        [0, 512, []],
        [512, 0, []],
      ],
    ],
  ])('are not believed where one %s', async (_, pages) => {
    expect(await collectPages(1024, answers(pages).page)).toBeUndefined();
  });
});

describe('names and numbers of vSphere', () => {
  it('escapes three characters, and shows them as they are', () => {
    for (const name of ['a/b%2f c\\d', '100%', '%252f', 'ÄÖ ü', 'a%b'])
      expect(shownName(escapeName(name))).toBe(name);
    expect(escapeName('a/b%2f c\\d')).toBe('a%2fb%252f c%5cd');
  });

  it('tells paths, UUIDs and names apart, and refuses what is none', () => {
    expect(parseReference('/DC 1/vm/Prod/SQL%2f1')).toEqual({ path: ['DC 1', 'vm', 'Prod', 'SQL%2f1'] });
    expect(parseReference('5032A1B2-0000-1111-2222-333344445555')).toEqual({
      instanceUuid: '5032a1b2-0000-1111-2222-333344445555',
    });
    expect(parseReference('x'.repeat(80))).toEqual({ name: 'x'.repeat(80) });
    for (const wrong of [
      '',
      'a/b',
      '../web',
      '/web',
      '/DC/web',
      '/DC//web',
      'web\n',
      'a\0b',
      '.',
      'x'.repeat(81),
    ])
      expect(() => parseReference(wrong)).toThrow();
  });

  it('reads UUIDs however they are written', () => {
    expect(normalUuid('6000C29a 01 02 03 04-05 06 07 08 09 0A 0b 0c')).toBe(UUID);
    expect(normalUuid('6000c29a')).toBeUndefined();
    expect(normalUuid(undefined)).toBeUndefined();
  });

  it('knows the BIOS UUIDs that this host may have', () => {
    const serial = 'VMware-56 4d 1e 2f 3a 4b 5c 6d-7e 8f 90 a1 b2 c3 d4 e5\n';
    expect(biosUuids(serial, undefined)).toEqual(['564d1e2f-3a4b-5c6d-7e8f-90a1b2c3d4e5']);
    expect(biosUuids('none', '2f1e4d56-4b3a-6d5c-7e8f-90a1b2c3d4e5\n')).toEqual([
      '2f1e4d56-4b3a-6d5c-7e8f-90a1b2c3d4e5',
      '564d1e2f-3a4b-5c6d-7e8f-90a1b2c3d4e5',
    ]);
    expect(biosUuids(undefined, undefined)).toEqual([]);
  });

  it('takes a snapshot for its own by name and description together', () => {
    const node = (name: string, description: string, childSnapshotList: never[] = []) => ({
      snapshot: { $ref: 'VirtualMachineSnapshot' as const, value: name },
      vm: { $ref: 'VirtualMachine' as const, value: 'vm-1' },
      name,
      description,
      id: 1,
      createTime: new Date(),
      state: 'poweredOff' as const,
      quiesced: false,
      childSnapshotList,
    });
    const described = (id: string) =>
      JSON.stringify({ lifeboat: 1, id, takenAt: new Date().toISOString(), proxy: 'vm-9', off: true });
    const own = node(snapshotName('a/1'), described('a/1'));
    const { own: ours, others } = sortOut([
      { ...node('before the upgrade', 'lifeboat'), childSnapshotList: [own] },
      node(snapshotName('a/2'), described('a/1')),
      node(snapshotName('a/3'), 'copied by hand'),
    ]);
    expect(ours.map(({ description }) => description.id)).toEqual(['a/1']);
    expect(others).toHaveLength(3);
  });
});

describe('the controller that is kept for other VMs', () => {
  const HOME = '[ds] proxy/';
  const own = disk(0, { fileName: `${HOME}proxy.vmdk` });

  it('is the last one without disks of the proxy’s own, or the one that is set', () => {
    const two = [controller(0), controller(1), own];
    expect(keptController(two, HOME, undefined).bus).toBe(1);
    expect(keptController(two, HOME, 1).bus).toBe(1);
    expect(() => keptController(two, HOME, 0)).toThrow('bus number 0');
    expect(() => keptController([controller(0), own], HOME, undefined)).toThrow('add one');
  });

  it('is none with a disk of the proxy’s own, though it be independent', () => {
    const independent = disk(1, { fileName: `${HOME}data.vmdk`, diskMode: 'independent_persistent' });
    expect(() => keptController([controller(0), independent], HOME, undefined)).toThrow('add one');
    const others = disk(1, { diskMode: 'independent_nonpersistent' });
    expect(keptController([controller(0), others], HOME, undefined).bus).toBe(0);
  });

  it('has places but for its own', () => {
    const kept = { key: 1000, kind: 'pvscsi', bus: 0 } as const;
    const taken: AnyVirtualDevice[] = [];
    const units: number[] = [];
    for (let i = 0; i < 15; i++) {
      const unit = freeUnit(taken, kept);
      units.push(unit);
      taken.push(disk(unit));
    }
    expect(units).toEqual([0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15]);
    expect(() => freeUnit(taken, kept)).toThrow('All 15 places');
  });
});
