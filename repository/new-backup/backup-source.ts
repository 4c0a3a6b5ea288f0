/** A disk of which many blocks are read at once. */
export interface DiskSource {
  /**
   * Fills the beginning of `into` with `count` blocks; whatever it likes for those that hold nothing but zeros.
   * @returns for each of them, whether it holds anything else
   */
  readRange(index: number, count: number, into: Buffer): Promise<boolean[]>;
}
