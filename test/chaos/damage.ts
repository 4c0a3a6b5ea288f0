import { type ObjectStore } from '../../repository/objects/object-store';
import { persistently } from './persistently';
import { type SeededRandom } from './random';

/** Maps carry a checksum of their own; it is the blocks in packs that nothing but the restore's checks protects. */
const PACK_SHARE = 0.7;
/** What is lost cannot be taken for whole by mistake; what is altered can. */
const ALTERED_SHARE = 0.7;

/** Loses or alters, for good, one object that a VM's newest backup alone needs. @returns what was done to which */
export async function damageNewestBackup(
  store: ObjectStore,
  vm: string,
  random: SeededRandom,
): Promise<string> {
  const keys = await persistently(() => keysUnder(store, `${vm}/`));
  const manifests = keys.filter((key) => key.endsWith('/manifest.json'));
  // Ids sort by time: see docs/repository-format.md.
  const newest = manifests.at(-1)?.split('/')[2];
  const needed = keys.filter((key) => newest !== undefined && key.includes(newest));
  const packs = needed.filter((one) => one.includes('/packs/'));
  const maps = needed.filter((one) => /\.map$|\/maps\//.test(one));
  const key = random.pick(packs.length > 0 && random.chance(PACK_SHARE) ? packs : maps);
  if (!random.chance(ALTERED_SHARE)) {
    await persistently(() => store.delete(key));
    return `${key} is lost`;
  }
  const body = (await persistently(() => store.get(key)))?.body;
  if (body === undefined || body.length === 0) throw new Error(`There is nothing in ${key}.`);
  const at = random.whole(0, body.length - 1);
  body[at] = (body[at] ?? 0) ^ 1;
  await persistently(() => store.put(key, body));
  return `byte ${at} of ${key} is altered`;
}

async function keysUnder(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys.sort();
}
