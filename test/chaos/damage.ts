import { type ObjectStore } from '../../repository/object-store';
import { persistently } from './persistently';
import { type SeededRandom } from './random';

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
  const key = random.pick(needed.filter((one) => /\.map$|\/maps\/|\/packs\//.test(one)));
  if (random.chance(0.5)) {
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
