/** A picture as four bytes a pixel: red, green, blue, and one that nobody reads. */
export interface Picture {
  width: number;
  height: number;
  data: Buffer;
}

/** QEMU's screens have at most this; what says more of itself is no screen. */
const MAX_SIDE = 16_384;

/** Reads a picture of the format PPM as QEMU writes it: P6, without comments, 8 bits a colour. @throws Error where it is none */
export function readPpm(file: Buffer): Picture {
  const [header, width = '', height = ''] =
    /^P6\s(\d{1,5})\s(\d{1,5})\s255\s/.exec(file.toString('latin1', 0, 32)) ?? [];
  const size = { width: Number(width), height: Number(height) };
  const pixels = size.width * size.height;
  if (header === undefined || pixels === 0 || size.width > MAX_SIDE || size.height > MAX_SIDE)
    throw new Error(
      `QEMU wrote something else than a picture: ${JSON.stringify(file.toString('latin1', 0, 32))}`,
    );
  const colours = file.subarray(header.length);
  if (colours.length !== pixels * 3)
    throw new Error(`QEMU's picture of ${width} × ${height} has ${colours.length} bytes of colours.`);
  const data = Buffer.alloc(pixels * 4);
  for (let from = 0, to = 0; from < colours.length; from += 3, to += 4)
    for (let colour = 0; colour < 3; colour++) data[to + colour] = colours[from + colour] ?? 0;
  return { ...size, data };
}
