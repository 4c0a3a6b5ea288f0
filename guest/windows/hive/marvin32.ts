/** Seed that Windows uses for the hashes of registry logs. */
const SEED = { low: 0x7a4e55c5 | 0, high: 0x82ef4d88 | 0 };

/** Marvin32, the hash that guards the entries of registry logs. */
export function marvin32(data: Buffer): bigint {
  let low = SEED.low;
  let high = SEED.high;
  const mix = (word: number): void => {
    low = (low + word) | 0;
    high ^= low;
    low = (((low << 20) | (low >>> 12)) + high) | 0;
    high = ((high << 9) | (high >>> 23)) ^ low;
    low = (((low << 27) | (low >>> 5)) + high) | 0;
    high = (high << 19) | (high >>> 13);
  };
  const whole = data.length & ~3;
  for (let at = 0; at < whole; at += 4) mix(data.readInt32LE(at));
  // What is left, with a bit after it that tells how much it was.
  let rest = 0x80;
  for (let at = data.length - 1; at >= whole; at--) rest = (rest << 8) | (data[at] ?? 0);
  mix(rest);
  mix(0);
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
