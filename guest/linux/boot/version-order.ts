/**
 * Compares versions as boot loaders and package managers order kernels (rpmvercmp, strverscmp): runs of digits as numbers,
 * digits after letters, "~" before everything.
 * @returns below 0 where `a` is older
 */
export function compareVersions(a: string, b: string): number {
  const left = segments(a);
  const right = segments(b);
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const order = compareSegments(left[at], right[at]);
    if (order !== 0) return order;
  }
  return 0;
}

function segments(version: string): string[] {
  return version.match(/\d+|[A-Za-z]+|~/g) ?? [];
}

function compareSegments(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0;
  if (a === '~' || b === '~') return a === '~' ? -1 : 1;
  if (a === undefined || b === undefined) return a === undefined ? -1 : 1;
  const numbers = [/^\d/.test(a), /^\d/.test(b)];
  if (numbers[0] && numbers[1]) {
    const [x, y] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
    return x.length - y.length || (x < y ? -1 : x > y ? 1 : 0);
  }
  if (numbers[0] !== numbers[1]) return numbers[0] ? 1 : -1;
  return a < b ? -1 : 1;
}
