/** Where a block is looked at: 16 places of 256 bytes. */
const SAMPLES = 16;
const SAMPLE_BYTES = 256;
const SAMPLED = SAMPLES * SAMPLE_BYTES;

/**
 * Chi-square of the sampled bytes' frequencies below which they count as evenly spread. For random bytes it is 255, give
 * or take 23; so nearly all of them are below, while of what is below no coding of bytes could save half a per cent.
 */
const CHI_SQUARE = 400;

/**
 * Whether a block looks as if compressing it were in vain: encrypted, compressed already, random. A few µs, where trying takes a
 * hundred times as long. What is told wrongly is stored as it is; nothing is lost but some room.
 */
export function looksRandom(block: Buffer): boolean {
  const counts = new Uint16Array(256);
  const step = Math.floor((block.length - SAMPLE_BYTES) / (SAMPLES - 1));
  for (let sample = 0; sample < SAMPLES; sample++) {
    const start = sample * step;
    for (let at = start; at < start + SAMPLE_BYTES; at++) counts[block[at]!]!++;
  }
  let squares = 0;
  for (const count of counts) squares += count * count;
  return (squares * 256) / SAMPLED - SAMPLED < CHI_SQUARE;
}
