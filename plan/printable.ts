/**
 * Text of unknown origin for a terminal or a message: on one line, and without anything that a terminal would act on
 * or that would turn the order of letters round.
 */
export function printable(text: string): string {
  return harmless(text.replace(/\s+/g, ' '));
}

/** The same of text of several lines, which stay lines. Of what is no text (U+FFFD) there is a question mark, so that it never grows. */
export function printableLines(text: string): string {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => harmless(line.replace(/\t/g, ' ').replace(/\ufffd/g, '?')))
    .join('\n');
}

const harmless = (line: string): string =>
  line.replace(/[^\x20-\x7e\u00a0-\u{10ffff}]|[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu, '?');
