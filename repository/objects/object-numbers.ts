/** Numbers of neighbours that share a piece of memory. */
const CHUNK = 256;

/**
 * A number for each of very many objects of a repository: packs and pages are numbered without large gaps, so that a
 * million of them take some megabytes, which as texts would take hundreds.
 */
export class ObjectNumbers {
  private readonly groups = new Map<string, Map<number, Uint32Array>>();
  private count = 0;

  /** Objects that have a number other than 0. */
  get size(): number {
    return this.count;
  }

  /** 0 where none was set. */
  get(key: string): number {
    const { group, n } = split(key);
    return this.groups.get(group)?.get(Math.floor(n / CHUNK))?.[n % CHUNK] ?? 0;
  }

  /** @param value 0 to 2^32 - 1; what is larger counts as that */
  set(key: string, value: number): void {
    const { group, n } = split(key);
    let chunks = this.groups.get(group);
    if (chunks === undefined) this.groups.set(group, (chunks = new Map<number, Uint32Array>()));
    const at = Math.floor(n / CHUNK);
    let chunk = chunks.get(at);
    if (chunk === undefined) chunks.set(at, (chunk = new Uint32Array(CHUNK)));
    const before = chunk[n % CHUNK]!;
    chunk[n % CHUNK] = Math.min(value, 0xffff_ffff);
    if (before === 0 && value > 0) this.count++;
    if (before > 0 && value === 0) this.count--;
  }

  *[Symbol.iterator](): Generator<[key: string, value: number]> {
    for (const [group, chunks] of this.groups)
      for (const [at, chunk] of chunks)
        for (const [position, value] of chunk.entries())
          if (value > 0)
            yield [group.endsWith('\0') ? group.slice(0, -1) : group + String(at * CHUNK + position), value];
  }
}

/** A key that ends in a number as it is counted (no leading zeros), and that number; or the key as it stands. */
function split(key: string): { group: string; n: number } {
  const [, group, digits] = /^(.*-)(0|[1-9]\d{0,8})$/s.exec(key) ?? [];
  return group !== undefined && digits !== undefined
    ? { group, n: Number(digits) }
    : { group: `${key}\0`, n: 0 };
}
