import { BASE_BLOCK_BYTES, BIN_ALIGNMENT, HiveError, readBaseBlock } from './base-block';

const BIN_HEADER_BYTES = 32;
const CELL_ALIGNMENT = 8;

/**
 * Checks that a hive's bins follow one another without a gap, and the cells in each: what every reader relies on.
 * Windows would replace a bin that is damaged by an empty one; here such a hive is refused.
 * @throws HiveError
 */
export function expectSoundBins(hive: Buffer): void {
  const base = readBaseBlock(hive);
  if (base === undefined) throw new HiveError('it does not begin as a registry hive does');
  if (base.majorVersion !== 1 || base.minorVersion < 3 || base.minorVersion > 6) {
    throw new HiveError(`it is of version ${base.majorVersion}.${base.minorVersion}, which is not known`);
  }
  const { binsBytes } = base;
  if (binsBytes === 0 || binsBytes % BIN_ALIGNMENT !== 0 || BASE_BLOCK_BYTES + binsBytes > hive.length) {
    throw new HiveError('it is shorter than its header says');
  }
  const bins = hive.subarray(BASE_BLOCK_BYTES, BASE_BLOCK_BYTES + binsBytes);
  for (let at = 0; at < binsBytes;) at = expectSoundBin(bins, at);
  const root = base.rootCell;
  if (
    root % CELL_ALIGNMENT !== 0 ||
    root + 8 > binsBytes ||
    bins.toString('latin1', root + 4, root + 6) !== 'nk'
  ) {
    throw new HiveError('its root key is not where its header says');
  }
}

/** @returns where the next bin begins */
function expectSoundBin(bins: Buffer, at: number): number {
  const size = bins.readUInt32LE(at + 8);
  if (
    bins.toString('latin1', at, at + 4) !== 'hbin' ||
    bins.readUInt32LE(at + 4) !== at ||
    size === 0 ||
    size % BIN_ALIGNMENT !== 0 ||
    at + size > bins.length
  ) {
    throw new HiveError(`its bin at ${at} is damaged`);
  }
  for (let cell = at + BIN_HEADER_BYTES; cell < at + size;) {
    const length = Math.abs(bins.readInt32LE(cell));
    if (length === 0 || length % CELL_ALIGNMENT !== 0 || cell + length > at + size) {
      throw new HiveError(`its cell at ${cell} is damaged`);
    }
    cell += length;
  }
  return at + size;
}
