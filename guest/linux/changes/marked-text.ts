import { createHash } from 'node:crypto';

/**
 * Changes to a guest's text files that can be found and undone again, even after a person has edited the file
 * around them. Texts are Latin-1 strings, so that every byte is kept.
 */

export const BLOCK_BEGIN = '# BEGIN lifeboat: for the recovery site, removed on the way home';
export const BLOCK_END = '# END lifeboat';
const ASIDE = '# lifeboat aside: ';
/** Followed by a digest of the line that took the place, so that it is known again: `# lifeboat replaced 1a2b3c4d: `. */
const REPLACED = '# lifeboat replaced';
const REPLACED_LINE = /^# lifeboat replaced(?: ([0-9a-f]{8}))?: (.*)$/;

/** The text with a block of ours at its end; `lines` have no line ends. */
export function withBlock(text: string, lines: string[]): string {
  const end = text === '' || text.endsWith('\n') ? '' : '\n';
  return `${text}${end}${[BLOCK_BEGIN, ...lines, BLOCK_END].join('\n')}\n`;
}

/** The lines of the block that is last in the text; undefined where it has none. */
export function blockOf(text: string): string[] | undefined {
  const lines = text.split('\n');
  const begin = lines.lastIndexOf(BLOCK_BEGIN);
  const end = begin === -1 ? -1 : lines.indexOf(BLOCK_END, begin);
  return end === -1 ? undefined : lines.slice(begin + 1, end);
}

/** Without any block of ours. One that a person has cut the end off is left, as where it would end is unknown. */
export function withoutBlock(text: string): string {
  const kept: string[] = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    const end = line === BLOCK_BEGIN ? lines.indexOf(BLOCK_END, at) : -1;
    if (end === -1) kept.push(line);
    else at = end;
  }
  return kept.join('\n');
}

/** Comments the lines out that `isMeant` picks, with a marker. */
export function setAside(text: string, isMeant: (line: string, index: number) => boolean): string {
  return mapLines(text, (line, index) => (isMeant(line, index) ? ASIDE + line : line));
}

/** Takes the markers of {@link setAside} away. */
export function bringBack(text: string): string {
  return mapLines(text, (line) => (line.startsWith(ASIDE) ? line.slice(ASIDE.length) : line));
}

/** Puts the line that `replacement` returns after the original, which is kept as a marked comment. */
export function commentOutWithReplacement(
  text: string,
  replacement: (line: string, index: number) => string | undefined,
): string {
  return mapLines(text, (line, index) => {
    const other = replacement(line, index);
    return other === undefined || other === line ? line : `${REPLACED} ${digest(other)}: ${line}\n${other}`;
  });
}

/**
 * Undoes {@link commentOutWithReplacement}: the original takes the place of the line after it. Where a person has
 * removed or rewritten that line, theirs stays.
 * @param isOurs says of a line what it was made of, where an earlier version of Lifeboat wrote no digest of it
 */
export function restoreCommentedOut(
  text: string,
  isOurs: (line: string, original: string) => boolean,
): string {
  const kept: string[] = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    const match = REPLACED_LINE.exec(line);
    if (match === null) {
      kept.push(line);
      continue;
    }
    const original = match[2] ?? '';
    const next = lines[at + 1] ?? '';
    if (match[1] === undefined ? isOurs(next, original) : digest(next) === match[1]) {
      kept.push(original);
      at++;
    }
  }
  return kept.join('\n');
}

function digest(line: string): string {
  return createHash('sha256').update(line, 'latin1').digest('hex').slice(0, 8);
}

function mapLines(text: string, change: (line: string, index: number) => string): string {
  return text.split('\n').map(change).join('\n');
}
