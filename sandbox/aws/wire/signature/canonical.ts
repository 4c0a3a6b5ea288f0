/** What of a request a signature is made over ("Create a signed AWS API request", IAM User Guide, step 1). */
export interface SignedRequest {
  method: string;
  /** As it was sent, still percent-encoded. */
  path: string;
  /** The query as it was sent, without `?`. */
  search: string;
  /** Every value of a header, by its name in lower case. */
  headers: ReadonlyMap<string, readonly string[]>;
  /** Names in lower case, in the order in which the client names them. */
  signedHeaders: readonly string[];
  /** SHA-256 of the payload in lower-case hex, or the word that stands for it. */
  payload: string;
  /** S3 takes a path as it is; all others normalize it and encode it once more. */
  s3: boolean;
}

export function canonicalRequest(request: SignedRequest): string {
  const { method, path, search, headers, signedHeaders, payload, s3 } = request;
  const lines = [method, s3 ? encodedOnce(path) : encodedAgain(path), canonicalQuery(search)];
  // A header that is named and not there has no value: no client signs that, so the signature will not match.
  for (const name of signedHeaders)
    lines.push(`${name}:${(headers.get(name) ?? []).map(withoutBlanks).join(',')}`);
  lines.push('', signedHeaders.join(';'), payload);
  return lines.join('\n');
}

/** All but letters, digits and `-._~` as percent escapes. */
export function escaped(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** A path whose escapes may be another client's: what they stand for counts, which is also what the endpoint understands. */
function encodedOnce(path: string): string {
  return path
    .split('/')
    .map((segment) => escaped(unescaped(segment)))
    .join('/');
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // No UTF-8: it is refused as no address later, whoever signed it.
    return text;
  }
}

function encodedAgain(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(escaped(segment));
  }
  const slashAtEnd = kept.length > 0 && path.endsWith('/') ? '/' : '';
  return `/${kept.join('/')}${slashAtEnd}`;
}

/** The parameters as the endpoint reads them, sorted by name and value; all but the signature itself. */
function canonicalQuery(search: string): string {
  if (search === '') return '';
  const pairs: [name: string, value: string][] = [];
  for (const [name, value] of new URLSearchParams(search))
    if (name !== 'X-Amz-Signature') pairs.push([escaped(name), escaped(value)]);
  const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return pairs
    .sort((a, b) => order(a[0], b[0]) || order(a[1], b[1]))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

const withoutBlanks = (value: string): string => value.trim().replace(/ {2,}/g, ' ');
