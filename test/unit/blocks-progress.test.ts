import { byDisk, type CopyProgress, isCopyProgress, SpeedMeter, wholeDisk } from '../../blocks/progress';

const copy = (over: Partial<CopyProgress>): CopyProgress => ({
  what: 'restore',
  vm: 'db',
  disk: 'system',
  doneBlocks: 0,
  totalBlocks: 100,
  bytes: 0,
  ...over,
});
const extent = (blocksBefore: number, over: Partial<CopyProgress> = {}) =>
  copy({ extent: { blocksBefore, diskBlocks: 1000 }, ...over });

it('of extents that are under way is that of their disk: those before and between them are done', () => {
  const copies = [
    extent(600, { doneBlocks: 10, bytesPerSecond: 100 }),
    extent(300, { doneBlocks: 50, bytesPerSecond: 200 }),
    copy({ disk: 'data', doneBlocks: 7 }),
    extent(400, { doneBlocks: 20 }),
  ];
  expect(byDisk(copies).map(wholeDisk)).toMatchObject([
    // 300 before; 50 and 20 of two neighbours; 100 between; 10.
    { disk: 'system', doneBlocks: 300 + 50 + 20 + 100 + 10, totalBlocks: 1000, bytesPerSecond: 300 },
    { disk: 'data', doneBlocks: 7, totalBlocks: 100 },
  ]);
});

it('tells the rest of the whole disk, not of the extents that are under way', () => {
  const [whole] = byDisk([extent(0, { doneBlocks: 50, secondsLeft: 5 })]).map(wholeDisk);
  expect(whole).toMatchObject({ doneBlocks: 50, totalBlocks: 1000, secondsLeft: 95 });
});

it('is measured over the last seconds', () => {
  const meter = new SpeedMeter();
  expect(meter.look(copy({ doneBlocks: 0 }), 0)).toEqual({});
  expect(meter.look(copy({ doneBlocks: 10, bytes: 1000 }), 1000)).toEqual({
    bytesPerSecond: 1000,
    secondsLeft: 9,
  });
  for (let second = 2; second <= 30; second++)
    meter.look(copy({ doneBlocks: 10, bytes: 1000 }), second * 1000);
  // Nothing for a long time is no speed, whatever there was before.
  expect(meter.look(copy({ doneBlocks: 10, bytes: 1000 }), 31_000)).toEqual({});
});

it.each([
  ['no object', 'restore'],
  ['a negative count', copy({ doneBlocks: -1 })],
  ['no number', { ...copy({}), bytesPerSecond: 'fast' }],
  ['an extent that is none', { ...copy({}), extent: { blocksBefore: NaN, diskBlocks: 1 } }],
])('is not taken from heartbeats of others: %s', (_, details) => {
  expect(isCopyProgress(details)).toBe(false);
  expect(isCopyProgress(extent(5))).toBe(true);
});
