import { BlockMapError } from './block-map-format';
import { MAX_OBJECT_KEY_BYTES, type ObjectKey } from '../objects/keys';

/** The keys that a page or a directory refers to by number: each has 2 bytes of length, then itself in ASCII. */
export class KeyTable {
  private readonly numbers = new Map<string, number>();

  get length(): number {
    return this.numbers.size;
  }

  get keys(): string[] {
    return [...this.numbers.keys()];
  }

  /** The key's number; it gets one when it is new. */
  numberOf(key: string): number {
    let number = this.numbers.get(key);
    if (number === undefined) this.numbers.set(key, (number = this.numbers.size));
    return number;
  }

  toBuffer(): Buffer {
    const parts: Buffer[] = [];
    for (const key of this.numbers.keys()) {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(key.length);
      parts.push(length, Buffer.from(key, 'latin1'));
    }
    return Buffer.concat(parts);
  }
}

/**
 * Reads a table that somebody else may have made up.
 * @param parse tells whether a key is of the kind that belongs there
 * @param vm keys of any other VM are refused
 * @returns the keys, and where the table ends
 * @throws BlockMapError
 */
export function parseKeyTable(
  bytes: Buffer,
  start: number,
  count: number,
  parse: (key: string) => ObjectKey | undefined,
  vm: string,
): { keys: string[]; end: number } {
  const keys = new Set<string>();
  let offset = start;
  for (let n = 0; n < count; n++) {
    if (offset + 2 > bytes.length) throw new BlockMapError('its table of keys is cut');
    const length = bytes.readUInt16BE(offset);
    const end = offset + 2 + length;
    if (end > bytes.length || length > MAX_OBJECT_KEY_BYTES)
      throw new BlockMapError('its table of keys is cut');
    const key = bytes.toString('latin1', offset + 2, end);
    if (parse(key)?.vm !== vm || keys.has(key))
      throw new BlockMapError(
        `${JSON.stringify(key)} in its table is no such object of ${vm}, or is there twice`,
      );
    keys.add(key);
    offset = end;
  }
  return { keys: [...keys], end: offset };
}
