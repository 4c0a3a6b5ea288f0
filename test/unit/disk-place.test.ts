import {
  byPlace,
  type DiskPlace,
  nameControllers,
  onOneController,
  placeConflict,
  placeName,
} from '../../machines/disk-place';

const at = (kind: NonNullable<DiskPlace['controller']>['kind'], bus: number, slot: number): DiskPlace => ({
  slot,
  controller: { kind, bus },
});

it('disks are in the order of SCSI, SATA and NVMe, of the controllers on each, and of the slots on those', () => {
  const ordered = [
    at('lsilogic', 0, 1),
    at('pvscsi', 1, 0),
    at('pvscsi', 1, 10),
    at('buslogic', 3, 0),
    at('sata', 0, 0),
    at('sata', 1, 0),
    at('nvme', 0, 0),
  ];
  expect(ordered.toReversed().sort(byPlace)).toEqual(ordered);
  expect(ordered.map(placeName)).toEqual([
    ...['scsi0:1', 'scsi1:0', 'scsi1:10', 'scsi3:0'],
    ...['sata0:0', 'sata1:0', 'nvme0:0'],
  ]);
  expect([{ slot: 2 }, { slot: 0 }, { slot: 1 }].sort(byPlace)).toEqual([
    { slot: 0 },
    { slot: 1 },
    { slot: 2 },
  ]);
});

it('disks that name no controller are on the first of their kind where others name one', () => {
  const plain = [{ slot: 1 }, { slot: 0 }];
  expect(nameControllers(plain, 'sata')).toEqual(plain);
  expect(onOneController(plain)).toBe(true);
  const mixed = nameControllers([{ slot: 0 }, at('pvscsi', 0, 0)], 'sata');
  expect(mixed).toEqual([at('sata', 0, 0), at('pvscsi', 0, 0)]);
  expect(onOneController(mixed)).toBe(false);
  expect(nameControllers([{ slot: 0 }, at('nvme', 0, 0)])).toEqual([at('pvscsi', 0, 0), at('nvme', 0, 0)]);
});

it('disks in one place, and controllers of two kinds, are told', () => {
  const keyed = (...places: DiskPlace[]) => places.map((place, index) => ({ key: `d${index}`, ...place }));
  expect(placeConflict(keyed({ slot: 0 }, { slot: 1 }))).toBeUndefined();
  expect(placeConflict(keyed(at('pvscsi', 0, 0), at('sata', 0, 0), at('pvscsi', 1, 0)))).toBeUndefined();
  expect(placeConflict(keyed({ slot: 0 }, { slot: 0 }))).toBe('The disks "d0" and "d1" are both at scsi0:0.');
  expect(placeConflict(keyed(at('sata', 1, 2), at('sata', 1, 2)))).toContain('both at sata1:2');
  expect(placeConflict(keyed(at('pvscsi', 1, 0), at('lsisas', 1, 1)))).toBe(
    'The controller scsi1 cannot be of both pvscsi and lsisas.',
  );
});
