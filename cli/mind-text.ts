/** What a run wants a person to know, a line each. */
export const mindText = (notes: readonly string[] = []): string =>
  notes.map((note) => `Mind: ${note}\n`).join('');
