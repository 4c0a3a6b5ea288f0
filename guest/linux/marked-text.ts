/**
 * Changes to a guest's text files that can be found and undone again, even after a person has edited the file
 * around them. Texts are Latin-1 strings, so that every byte is kept.
 */

const BLOCK_BEGIN = '# BEGIN lifeboat: for the recovery site, removed on the way home';
const BLOCK_END = '# END lifeboat';
const ASIDE = '# lifeboat aside: ';
const REPLACED = '# lifeboat replaced: ';

/** The text with a block of ours at its end; `lines` have no line ends. */
export function withBlock(text: string, lines: string[]): string {
  const end = text === '' || text.endsWith('\n') ? '' : '\n';
  return `${text}${end}${[BLOCK_BEGIN, ...lines, BLOCK_END].join('\n')}\n`;
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
export function setAside(text: string, isMeant: (line: string) => boolean): string {
  return mapLines(text, (line) => (isMeant(line) ? ASIDE + line : line));
}

/** Takes the markers of {@link setAside} away. */
export function bringBack(text: string): string {
  return mapLines(text, (line) => (line.startsWith(ASIDE) ? line.slice(ASIDE.length) : line));
}

/** Puts the line that `replacement` returns after the original, which is kept as a marked comment. */
export function commentOutWithReplacement(
  text: string,
  replacement: (line: string) => string | undefined,
): string {
  return mapLines(text, (line) => {
    const other = replacement(line);
    return other === undefined || other === line ? line : `${REPLACED}${line}\n${other}`;
  });
}

/**
 * Undoes {@link commentOutWithReplacement}: the original takes the place of the line after it. Where a person has
 * removed or rewritten that line, theirs stays: `isOurs` says of the line what it was made of.
 */
export function restoreCommentedOut(
  text: string,
  isOurs: (line: string, original: string) => boolean,
): string {
  const kept: string[] = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    if (!line.startsWith(REPLACED)) {
      kept.push(line);
      continue;
    }
    const original = line.slice(REPLACED.length);
    if (isOurs(lines[at + 1] ?? '', original)) {
      kept.push(original);
      at++;
    }
  }
  return kept.join('\n');
}

function mapLines(text: string, change: (line: string) => string): string {
  return text.split('\n').map(change).join('\n');
}
