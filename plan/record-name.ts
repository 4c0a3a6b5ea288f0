/**
 * Names of DNS records as Route 53 has them. Its API writes every byte but letters, digits, "-" and "_" as "\" and three octal
 * digits, `*` too, whichever way it was given ("DNS domain name format", Amazon Route 53 Developer Guide).
 */

const LONGEST_LABEL = 63;
const LONGEST_NAME = 253;

const ESCAPE = /\\([0-3][0-7]{2})/g;

/**
 * One spelling of a name, for plans, objects of the repository and comparisons: lower case, without the dot at the end, `*` and
 * all that needs no escape as themselves.
 */
export function canonicalRecordName(name: string): string {
  return name
    .replace(/\.$/, '')
    .replace(ESCAPE, (escape, octal: string) => {
      const character = String.fromCharCode(parseInt(octal, 8));
      return /[\w*-]/.test(character) ? character : escape;
    })
    .toLowerCase();
}

/** Whether a plan's record may be called so: `*` stands for a whole first label only. */
export function isRecordName(name: string): boolean {
  const labels = canonicalRecordName(name).split('.');
  const lengths = labels.map((label) => label.replace(ESCAPE, 'x').length);
  return (
    lengths.reduce((sum, length) => sum + length + 1, -1) <= LONGEST_NAME &&
    labels.every(
      (label, index) =>
        (index === 0 && label === '*') ||
        (/^(?!-)([a-z0-9_-]|\\[0-3][0-7]{2})+(?<!-)$/.test(label) && (lengths[index] ?? 0) <= LONGEST_LABEL),
    )
  );
}

/** A name as resolvers of the C library take it: escapes have three decimal digits there (RFC 1035, section 5.1). */
export function resolverName(name: string): string {
  return name.replace(ESCAPE, (_, octal: string) => `\\${String(parseInt(octal, 8)).padStart(3, '0')}`);
}
