/**
 * Text of unknown origin for a terminal or a message: on one line, and without anything that a terminal would act on
 * or that would turn the order of letters round.
 */
export function printable(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/[^\x20-\x7e\u00a0-\u{10ffff}]|[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu, '?');
}
