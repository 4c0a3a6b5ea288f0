import { type HiveReader, type RegistryKey, type RegistryValue } from './reader';

/** A difference between two hives, by the path of the key. */
export type Difference =
  { kind: 'key added' | 'key removed'; key: string } | { kind: 'value'; key: string; name: string };

/**
 * All differences between two hives, keys and values: what a tool did to the one that it made the other.
 * A key that only one of them has is named once, without what is below it.
 * @throws HiveError where one is damaged
 */
export function differences(before: HiveReader, after: HiveReader): Difference[] {
  const found: Difference[] = [];
  const left: { path: string; one: RegistryKey; other: RegistryKey }[] = [
    { path: '', one: before.root, other: after.root },
  ];
  for (let pair = left.pop(); pair !== undefined; pair = left.pop()) {
    const { path, one, other } = pair;
    const values = byName(before.values(one));
    const otherValues = byName(after.values(other));
    for (const name of new Set([...values.keys(), ...otherValues.keys()])) {
      if (!sameValue(values.get(name), otherValues.get(name))) found.push({ kind: 'value', key: path, name });
    }
    const subkeys = byName(before.subkeys(one));
    const otherSubkeys = byName(after.subkeys(other));
    for (const [name, key] of subkeys) {
      const same = otherSubkeys.get(name);
      const below = path === '' ? key.name : `${path}\\${key.name}`;
      if (same === undefined) found.push({ kind: 'key removed', key: below });
      else left.push({ path: below, one: key, other: same });
    }
    for (const [name, key] of otherSubkeys) {
      const below = path === '' ? key.name : `${path}\\${key.name}`;
      if (!subkeys.has(name)) found.push({ kind: 'key added', key: below });
    }
  }
  return found;
}

function byName<T extends { name: string }>(all: T[]): Map<string, T> {
  return new Map(all.map((one) => [one.name.toUpperCase(), one]));
}

/** Whether type and data are the same; true where both are missing. */
export function sameValue(
  one: Pick<RegistryValue, 'type' | 'data'> | undefined,
  other: Pick<RegistryValue, 'type' | 'data'> | undefined,
): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.type === other.type && one.data.equals(other.data);
}
