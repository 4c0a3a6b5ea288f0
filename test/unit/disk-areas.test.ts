import { AreaCollector, clipAreas, mergeAreas, withinAreas } from '../../hypervisor/areas';
import { type DiskArea } from '../../hypervisor/port';

const KIB = 1024;

/** Areas at random, some touching or overlapping others. */
function randomAreas(count: number, within: number): DiskArea[] {
  return Array.from({ length: count }, () => ({
    offset: Math.floor(Math.random() * within),
    length: 1 + Math.floor(Math.random() * 20),
  }));
}

function bytesOf(areas: Iterable<DiskArea>, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (const { offset, length } of areas) bytes.fill(1, offset, offset + length);
  return bytes;
}

function expectSortedApart(areas: DiskArea[]): void {
  const apart = (area: DiskArea, i: number) =>
    i === 0 || area.offset > areas[i - 1]!.offset + areas[i - 1]!.length;
  expect(areas.every(apart)).toBe(true);
}

describe('areas of a disk', () => {
  it('are merged into the same bytes, ascending and apart', () => {
    for (let round = 0; round < 50; round++) {
      const areas = randomAreas(60, 1000);
      const merged = mergeAreas(areas);
      expectSortedApart(merged);
      expect(bytesOf(merged, 1100)).toEqual(bytesOf(areas, 1100));
    }
  });

  it('are never more than asked for, and never less than they were', () => {
    const areas = Array.from({ length: 10_000 }, (_, i) => ({ offset: i * 4096 * KIB, length: 512 }));
    for (const most of [1, 10, 9_999]) {
      const merged = mergeAreas(areas, most);
      expect(merged.length).toBeLessThanOrEqual(most);
      expectSortedApart(merged);
      const whole = ({ offset, length }: DiskArea) =>
        withinAreas(merged, offset, length).next().value?.length === length;
      expect(areas.every(whole)).toBe(true);
    }
  });

  it('are collected one by one in constant memory', () => {
    const collector = new AreaCollector(100);
    for (let i = 0; i < 100_000; i++) collector.add(i * 1024 * KIB, 512);
    const merged = collector.merged();
    expect(merged.length).toBeLessThanOrEqual(100);
    expect(merged[0]!.offset).toBe(0);
    const end = 99_999 * 1024 * KIB + 512;
    expect(merged.at(-1)!.offset + merged.at(-1)!.length).toBe(end);
    for (const i of [0, 1, 777, 50_000, 99_998])
      expect([...withinAreas(merged, i * 1024 * KIB, 512)]).toHaveLength(1);
  });

  it('that touch are collected as one', () => {
    const collector = new AreaCollector();
    collector.add(0, 512);
    collector.add(512, 512);
    collector.add(2048, 0);
    expect(collector.merged()).toEqual([{ offset: 0, length: 1024 }]);
  });

  it('are cut where the disk ends', () => {
    expect(
      clipAreas(
        [
          { offset: 0, length: 10 },
          { offset: 90, length: 20 },
          { offset: 100, length: 5 },
        ],
        100,
      ),
    ).toEqual([
      { offset: 0, length: 10 },
      { offset: 90, length: 10 },
    ]);
  });

  it('show what of a range lies in them', () => {
    for (let round = 0; round < 200; round++) {
      const areas = mergeAreas(randomAreas(20, 500));
      const offset = Math.floor(Math.random() * 500);
      const length = Math.floor(Math.random() * 100);
      const expected = bytesOf(areas, 700).map((bit, i) => (i >= offset && i < offset + length ? bit : 0));
      expect(bytesOf(withinAreas(areas, offset, length), 700)).toEqual(expected);
    }
  });
});
