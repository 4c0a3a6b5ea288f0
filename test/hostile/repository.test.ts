import fc from 'fast-check';
import { zstdCompressSync } from 'node:zlib';
import { BLOCK_SIZE } from '../../blocks/port';
import { readBlocks } from '../../repository/packs/block-reader';
import { listBackups, openBlockMap, readManifest } from '../../repository/backups/backups';
import { publishBackup } from '../../repository/backups/building-on';
import { changedBlocks } from '../../repository/maps/changed-blocks';
import { check } from '../../repository/upkeep/check';
import { DamagedObjectError } from '../../repository/objects/json-object';
import { parseMapPagesKey, parsePackKey, parseVmKey } from '../../repository/objects/keys';
import { DamagedBlockError } from '../../repository/packs/pack';
import { readPins } from '../../repository/backups/pins';
import { readPlanState } from '../../repository/plans/plan-state';
import { MemoryObjectStore } from '../support/memory-object-store';
import { loadedBlocks } from '../support/loaded-blocks';
import {
  type Contents,
  idAt,
  INDEXES,
  small,
  smallManifest,
  storeSmallDisk,
  VM,
} from '../support/small-backups';
import { change, damage, damaged, inputs, inputsMs, oddText, thoughtOf, withChange } from './inputs';

const { signal } = new AbortController();
const BLOCKS = INDEXES.filter((_, at) => at % 4 < 2);
const IDS = [0, 1].map((n) => idAt(new Date(Date.UTC(2026, 10, 1 + n)), n));

async function twoBackups(): Promise<MemoryObjectStore> {
  const store = new MemoryObjectStore();
  for (const [n, backupId] of IDS.entries()) {
    const contents: Contents = new Map(BLOCKS.map((index, at) => [index, at % 2 === n ? n : 0]));
    const previous = IDS[n - 1];
    const disk = await storeSmallDisk(store, {
      backupId,
      disk: 'system',
      contents,
      journal: { previous, packs: [] },
    });
    const takenAt = new Date(Date.UTC(2026, 10, 1 + n)).toISOString();
    await publishBackup(store, smallManifest(backupId, takenAt, [disk], previous));
  }
  return store;
}

/** Reads everything that a restore reads. @returns blocks whose bytes are not what was backed up: must be none */
async function wrongBlocks(store: MemoryObjectStore): Promise<number[]> {
  const wrong: number[] = [];
  for (const backupId of await listBackups(store, VM)) {
    const n = IDS.indexOf(backupId);
    const manifest = await readManifest(store, VM, backupId);
    for (const disk of manifest?.disks ?? []) {
      const map = await openBlockMap(store, VM, disk);
      for await (const { index, block } of loadedBlocks(readBlocks(store, changedBlocks(map), signal))) {
        const version = BLOCKS.indexOf(index) % 2 <= n && BLOCKS.indexOf(index) % 2 !== 0 ? 1 : 0;
        const expected = Buffer.alloc(BLOCK_SIZE, `block ${index} of version ${version}, `);
        if (n >= 0 && !block.equals(expected)) wrong.push(index);
      }
    }
  }
  return wrong;
}

const checked = (store: MemoryObjectStore) =>
  check({ store, vm: VM, readData: true, signal, onProgress: () => undefined });

/** A repository in somebody else's hands: what is read is what was stored, or an error that names the object. */
describe('a hostile backup repository', () => {
  let whole: MemoryObjectStore;
  beforeAll(async () => {
    whole = await twoBackups();
    expect(await wrongBlocks(whole)).toEqual([]);
  });

  const copyOf = (): MemoryObjectStore => {
    const store = new MemoryObjectStore();
    for (const [key, body] of whole.objects) store.objects.set(key, body);
    for (const [key, time] of whole.modified) store.modified.set(key, time);
    return store;
  };

  async function judged(store: MemoryObjectStore): Promise<void> {
    const error = await thoughtOf(async () => expect(await wrongBlocks(store)).toEqual([]));
    if (
      error !== undefined &&
      !(error instanceof DamagedObjectError) &&
      !(error instanceof DamagedBlockError)
    )
      throw error;
    // It tells what is damaged; it does not end at it.
    const report = await checked(store);
    if (error !== undefined) expect(report.damages.length).toBeGreaterThan(0);
  }

  it(
    'with an object that is cut off, altered, grown or another',
    async () => {
      const keys = [...whole.objects.keys()];
      await fc.assert(
        fc.asyncProperty(fc.nat(keys.length - 1), damage, async (n, how) => {
          const store = copyOf();
          const key = keys[n] ?? '';
          store.objects.set(key, damaged(store.objects.get(key)!, how));
          await judged(store);
        }),
        inputs(),
      );
    },
    inputsMs(),
  );

  it(
    'with objects that are exchanged or gone',
    async () => {
      const keys = [...whole.objects.keys()];
      await fc.assert(
        fc.asyncProperty(fc.nat(keys.length - 1), fc.nat(keys.length - 1), async (a, b) => {
          const store = copyOf();
          const [one, two] = [keys[a] ?? '', keys[b] ?? ''];
          if (a === b) store.objects.delete(one);
          else {
            store.objects.set(one, whole.objects.get(two)!);
            store.objects.set(two, whole.objects.get(one)!);
          }
          await judged(store);
        }),
        inputs(0.5),
      );
    },
    inputsMs(0.5),
  );

  it(
    'with a manifest, pins or a state that say something else',
    async () => {
      const keys = [...whole.objects.keys()].filter((key) => whole.objects.get(key)?.[0] === 0x7b);
      expect(keys.length).toBeGreaterThan(0);
      await fc.assert(
        fc.asyncProperty(
          fc.nat(keys.length - 1),
          fc.array(change, { minLength: 1, maxLength: 3 }),
          async (n, changes) => {
            const store = copyOf();
            const key = keys[n] ?? '';
            const value: unknown = JSON.parse(whole.objects.get(key)!.toString());
            const changed = changes.reduce((one, { at, change }) => withChange(one, at, change), value);
            store.objects.set(key, Buffer.from(JSON.stringify(changed)));
            await thoughtOf(() => wrongBlocks(store));
            await checked(store);
            store.objects.set('state/shop.json', Buffer.from(JSON.stringify(changed)));
            await thoughtOf(() => readPlanState(store, 'shop'));
            await thoughtOf(() => readPins(store, VM));
          },
        ),
        inputs(),
      );
    },
    inputsMs(),
  );

  it('with blocks that become more than a block', async () => {
    const bomb = zstdCompressSync(Buffer.alloc(64 * 2 ** 20));
    const [pack = ''] = [...whole.objects.keys()].filter((key) => key.includes('/packs/'));
    const store = copyOf();
    const body = Buffer.from(whole.objects.get(pack)!);
    bomb.copy(body, small(0, 0).stored.length > 0 ? 8 : 0);
    store.objects.set(pack, body);
    const before = process.memoryUsage().rss;
    await judged(store);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
  });

  it(
    'with keys that nobody gave them',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(
            oddText,
            oddText.map((text) => `${VM}/packs/${text}`),
            oddText.map((text) => `${VM}/backups/${text}/manifest.json`),
            fc.constantFrom(`${VM}/backups/../../x`, `${VM}//`, `../${VM}/packs/x`),
          ),
          async (key) => {
            for (const parse of [parseVmKey, parsePackKey, parseMapPagesKey])
              await thoughtOf(() => (parse as (key: string) => unknown)(key));
            const store = copyOf();
            store.objects.set(key, Buffer.from('{}'));
            store.modified.set(key, new Date());
            await thoughtOf(() => wrongBlocks(store));
            await thoughtOf(() => checked(store));
          },
        ),
        inputs(),
      );
    },
    inputsMs(),
  );
});
