/** Assignments of a file that a shell would read, as far as they are plain: upper-case names, one line each. */
export function shellVariables(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=(["']?)(.*?)\2\s*(?:#.*)?$/.exec(line);
    if (match?.[1] !== undefined) values.set(match[1], match[3] ?? '');
  }
  return values;
}
