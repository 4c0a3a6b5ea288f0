/**
 * Text of VMware's files (.vmdk descriptors, .vmx, .vmsd), which say in a line of their own how they are encoded:
 * ESXi writes UTF-8, Workstation on Windows what the machine's language had (windows-1252, GBK, Shift_JIS). All of them
 * keep line ends, quotes and "=" as in ASCII, so that lines can be found before it is known how to read them.
 */

/** Names that VMware or Windows use, and the Encoding Standard, which TextDecoder knows names from, does not. */
const OTHER_NAMES: Record<string, string> = {
  'windows-932': 'shift_jis',
  'windows-936': 'gbk',
  'windows-949': 'euc-kr',
  'windows-950': 'big5',
  cp932: 'shift_jis',
  cp936: 'gbk',
  cp949: 'euc-kr',
  cp950: 'big5',
  cp1252: 'windows-1252',
};

/** In these, a byte that looks like a quote or a line's end may be half of another character. */
const NOT_LIKE_ASCII = /^(utf-16|iso-2022)/;

/**
 * What bytes may stand for, the likeliest first: as declared, else as UTF-8 (which other bytes rarely are by chance),
 * else as Windows writes Western European. Where the declaration is wrong, as after editing by hand, the second holds.
 */
export function readings(bytes: Buffer, encoding: string | undefined): string[] {
  const found = new Set<string>();
  const tried = encoding === undefined ? ['utf-8', 'windows-1252'] : [encoding, 'utf-8'];
  for (const label of tried) {
    const text = decoder(label);
    try {
      if (text) found.add(text.decode(bytes));
    } catch (error) {
      // The bytes are none of this encoding.
      if ((error as NodeJS.ErrnoException).code !== 'ERR_ENCODING_INVALID_ENCODED_DATA') throw error;
    }
  }
  return [...found];
}

/** Whether names can be read by it. */
export function isKnownEncoding(encoding: string): boolean {
  return decoder(encoding) !== undefined;
}

function decoder(encoding: string): InstanceType<typeof TextDecoder> | undefined {
  const label = encoding.trim().toLowerCase();
  const known = Object.hasOwn(OTHER_NAMES, label) ? OTHER_NAMES[label] : label;
  try {
    // A byte order mark inside of a file's name is a part of it.
    const text = new TextDecoder(known, { fatal: true, ignoreBOM: true });
    return NOT_LIKE_ASCII.test(text.encoding) ? undefined : text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_ENCODING_NOT_SUPPORTED') return undefined;
    throw error;
  }
}

/** A line as its bytes, one character each (latin1). */
export interface Line {
  /** From 1, as editors count. */
  number: number;
  bytes: string;
}

/** The lines of a text, without what is around them (blanks, tabs, the CR of Windows). */
export function linesOf(text: Buffer): Line[] {
  const bytes = text.toString('latin1');
  // Windows' Notepad puts this before UTF-8.
  const start = bytes.startsWith('\xef\xbb\xbf') ? 3 : 0;
  return bytes
    .slice(start)
    .split('\n')
    .map((line, index) => ({ number: index + 1, bytes: line.replace(/^[ \t\r\v\f]+|[ \t\r\v\f]+$/g, '') }));
}

export interface Entry {
  line: Line;
  /** In lower case; these files' readers heed no case. */
  key: string;
  /** As bytes, without its quotes. */
  value: string;
}

/** `key = "value"`; undefined where the line is something else. */
export function entryOf(line: Line): Entry | undefined {
  const parts = /^(\.?[A-Za-z][A-Za-z0-9_.:-]*)[ \t]*=[ \t]*(.*)$/.exec(line.bytes);
  if (!parts) return undefined;
  const written = parts[2] as string;
  const quoted = /^"(.*)"$/.exec(written);
  return { line, key: (parts[1] as string).toLowerCase(), value: quoted?.[1] ?? written };
}

/** The last part of a path, as another system may have written it. */
export function lastPart(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}
