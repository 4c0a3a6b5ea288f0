/**
 * GRUB's environment block (grub-editenv(1)): lines of NAME=VALUE in a file that GRUB itself can write, but not make longer,
 * so that it keeps its length, filled up with "#". Texts are Latin-1.
 */
const HEADER = '# GRUB Environment Block\n';
/** The length that grub-editenv gives it; GRUB takes multiples, too. */
export const GRUBENV_BYTES = 1024;

/** @returns the values; empty where the text is no environment block */
export function parseGrubenv(text: string): Map<string, string> {
  const values = new Map<string, string>();
  if (!text.startsWith(HEADER)) return values;
  for (const line of linesOf(text)) {
    const at = line.indexOf('=');
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 1).replace(/\\([^])/g, '$1'));
  }
  return values;
}

/**
 * The block with another value, of the same length.
 * @returns undefined where it does not fit, or the text is no environment block
 */
export function withGrubenvValue(text: string, name: string, value: string): string | undefined {
  if (!text.startsWith(HEADER)) return undefined;
  const escaped = value.replace(/[\\\n]/g, (character) => `\\${character}`);
  const lines = linesOf(text).map((line) => (line.startsWith(`${name}=`) ? `${name}=${escaped}` : line));
  const body = `${HEADER}${lines.map((line) => `${line}\n`).join('')}`;
  return body.length > text.length ? undefined : body.padEnd(text.length, '#');
}

/** Lines with values and comments, without the padding. A line end behind a backslash is a part of the value. */
function linesOf(text: string): string[] {
  return (
    text
      .slice(HEADER.length)
      .replace(/#+$/, '')
      .match(/(?:\\[^]|[^\\\n]|\\$)+/g) ?? []
  );
}
