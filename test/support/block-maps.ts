import { BlockMap } from '../../repository/maps/block-map';
import { blockCount, MAP_PAGE_BLOCKS, type MapEntry } from '../../repository/maps/block-map-format';
import { BlockMapWriter } from '../../repository/maps/block-map-writer';
import { MapPageBuilder } from '../../repository/maps/map-page-builder';
import { type ObjectStore } from '../../repository/objects/object-store';

export const BACKUP_ID = '20261123T181500Z-0123abcd';

/** The bytes of a page with these entries. */
export function pageBytes(n: number, sizeBytes: number, entries: readonly MapEntry[]): Buffer {
  const builder = new MapPageBuilder(n, blockCount(sizeBytes));
  for (const entry of entries) builder.add(entry);
  return builder.finish();
}

/** Stores the map of a disk that has these entries (ascending). @returns the directory's bytes */
export async function storeMap(
  store: ObjectStore,
  sizeBytes: number,
  entries: readonly MapEntry[],
  backupId = BACKUP_ID,
): Promise<Buffer> {
  const writer = new BlockMapWriter({
    store,
    vm: 'db',
    backupId,
    diskKey: 'system',
    sizeBytes,
    signal: new AbortController().signal,
  });
  const blocks = blockCount(sizeBytes);
  let builder: MapPageBuilder | undefined;
  for (const entry of entries) {
    const n = Math.floor(entry.index / MAP_PAGE_BLOCKS);
    if (builder?.n !== n) {
      if (builder !== undefined) await writer.add(builder);
      builder = new MapPageBuilder(n, blocks);
    }
    builder.add(entry);
  }
  if (builder !== undefined) await writer.add(builder);
  return writer.finish({ storedBlocks: 0, storedBytes: 0 });
}

/** Stores a map and opens it. */
export async function openedMap(
  store: ObjectStore,
  sizeBytes: number,
  entries: readonly MapEntry[],
  backupId?: string,
): Promise<BlockMap> {
  return BlockMap.parse(store, 'db', await storeMap(store, sizeBytes, entries, backupId));
}

/** Every entry of a map, in disk order. */
export async function entriesOf(map: BlockMap): Promise<MapEntry[]> {
  const entries: MapEntry[] = [];
  for (const n of map.pages()) {
    const page = await map.page(n);
    for (let position = 0; position < page.length; position++) entries.push(page.at(position));
  }
  return entries;
}

/** What a map says of a block; undefined where it is all zeros. */
export async function entryOf(map: BlockMap, index: number): Promise<MapEntry | undefined> {
  const n = Math.floor(index / MAP_PAGE_BLOCKS);
  return map.pageRef(n) === undefined ? undefined : (await map.page(n)).find(index);
}
