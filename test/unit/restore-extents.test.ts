import { planExtents } from '../../activities/aws-proxy/restore/work';
import { BLOCK_SIZE } from '../../blocks/port';
import { type BlockMap } from '../../repository/maps/block-map';
import { packKey } from '../../repository/objects/keys';
import { BACKUP_ID, openedMap } from '../support/block-maps';
import { MemoryObjectStore } from '../support/memory-object-store';

/** A map with data at these blocks. */
function mapOf(blocks: number, indexes: readonly number[], sums = 'a'): Promise<BlockMap> {
  const pack = packKey('db', BACKUP_ID, 'system', 0);
  const entries = indexes.map((index) => ({
    index,
    pack,
    offset: 8,
    length: BLOCK_SIZE,
    encoding: 'raw' as const,
    sha256: Buffer.alloc(32, `${sums}${index}`),
  }));
  return openedMap(new MemoryObjectStore(), blocks * BLOCK_SIZE, entries);
}
const range = (from: number, to: number, step = 1): number[] =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, n) => from + n * step);
const plan = (map: BlockMap, parent?: BlockMap) => planExtents({ map, parent, blockMapSha256: '' });

it('are none where nothing changed, and one where little did', async () => {
  const map = await mapOf(10_000, range(0, 10_000, 3));
  expect(await plan(map, map)).toEqual([]);
  const changed = await mapOf(10_000, [...range(0, 9_998, 3), 9_998, 9_999]);
  expect(await plan(changed, map)).toEqual([{ from: 9_998, to: 9_999, blocks: 1 }]);
});

it('have 1 GiB each, or more where there would be too many, and leave nothing out', async () => {
  for (const [blocks, step, most] of [
    [5000, 1, 3],
    [200_000, 1, 64],
    [200_000, 40, 3],
  ] as const) {
    const indexes = range(0, blocks, step);
    const extents = await plan(await mapOf(blocks, indexes));
    expect(extents.length).toBeLessThanOrEqual(most);
    expect(extents.length).toBeGreaterThan(most / 2 - 1);
    expect(extents.reduce((sum, extent) => sum + extent.blocks, 0)).toBe(indexes.length);
    let before = 0;
    for (const { from, to, blocks: count } of extents) {
      expect(from).toBeGreaterThanOrEqual(before);
      expect(indexes.filter((index) => index >= from && index < to)).toHaveLength(count);
      before = to;
    }
  }
}, 60_000);
