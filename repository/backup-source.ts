import { BLOCK_SIZE, type BlockSource } from '../blocks/port';

/** A disk of which many blocks can be read at once. */
export interface DiskSource {
  /**
   * Fills the beginning of `into` with `count` blocks; whatever it likes for those that hold nothing but zeros.
   * @returns for each of them, whether it holds anything else
   */
  readRange(index: number, count: number, into: Buffer): Promise<boolean[]>;
}

/** Reads many blocks of a source that reads one at a time, where it cannot do better by itself. */
export function diskSource(source: BlockSource & Partial<DiskSource>): DiskSource {
  return {
    async readRange(index, count, into) {
      if (source.readRange !== undefined) return source.readRange(index, count, into);
      const hasData: boolean[] = [];
      for (let n = 0; n < count; n++)
        hasData.push(await source.read(index + n, into.subarray(n * BLOCK_SIZE, (n + 1) * BLOCK_SIZE)));
      return hasData;
    },
  };
}
