/** Bytes that node reads as ISO 8859-1, whatever they are. */
// eslint-disable-next-line no-control-regex
const NOT_ASCII = /[^\x00-\x7f]/;

/**
 * Headers as they came, each of its values, which node joins or drops otherwise: what a signature is made over.
 * @param raw name after value, as node has them
 */
export function receivedHeaders(raw: readonly string[]): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    const text = raw[at + 1]!;
    // Clients sign UTF-8.
    const value = NOT_ASCII.test(text) ? Buffer.from(text, 'latin1').toString() : text;
    const before = headers.get(name);
    if (before === undefined) headers.set(name, [value]);
    else before.push(value);
  }
  return headers;
}
