import { type IncomingMessage, request } from 'node:http';
import { type Socket } from 'node:net';
import { printable } from '../plan/printable';
import { type Probe } from '../plan/probes';

/** What is asked of a guest over HTTP, in plain or over TLS. */
export type HttpQuestion = NonNullable<Probe['http']>;

/** Of a body, where a text that the plan wants is looked for: a health page has it at once, and a body could be endless. */
const BODY_BYTES = 64 * 1024;
/** Of a body, what a failure shows. */
const SHOWN_CHARACTERS = 200;
/** Of a header, or the status line. */
const HEADER_CHARACTERS = 100;
/** Headers that say who answered, and why so. */
const SHOWN_HEADERS = [
  'location',
  'server',
  'content-type',
  'content-encoding',
  'www-authenticate',
  'retry-after',
  'via',
];

/**
 * Asks once. Redirects are not followed: another server's answer says nothing of this one.
 * @param socket leads to the guest; it is of no further use
 * @param hostHeader as it is sent
 * @returns undefined where the answer is what the plan says, else what came instead
 * @throws Error where there is no answer
 */
export async function httpProblem(
  socket: Socket,
  question: HttpQuestion,
  hostHeader: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { status, contains } = question;
  const response = await responseTo(socket, question, hostHeader, signal);
  const asWanted = response.statusCode === status;
  if (asWanted && contains === undefined) return undefined;
  const body = await read(response, asWanted ? contains : undefined, signal);
  if (asWanted && body.found) return undefined;
  const statusLine = `HTTP status ${response.statusCode} ${shown(response.statusMessage)}`.trim();
  const what = asWanted
    ? `it answered with ${statusLine}, without the text "${printable(contains ?? '')}" in ${body.ended ? 'its body' : `the first ${body.bytes.length} bytes of its body`}`
    : `it answered with ${statusLine}, not ${status}`;
  return `${what}${headersOf(response)}${bodyText(body)}`;
}

function responseTo(
  socket: Socket,
  { port, path }: HttpQuestion,
  hostHeader: string,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asking = request({
      // The socket is there already: dialled through the relay that leads to the guest.
      createConnection: () => socket,
      port,
      path,
      headers: {
        host: hostHeader,
        connection: 'close',
        'user-agent': 'lifeboat-probe',
        // What is looked into has to be readable.
        'accept-encoding': 'identity',
      },
      signal,
    });
    asking.once('response', resolve);
    asking.on('error', reject);
    asking.end();
  });
}

interface Body {
  bytes: Buffer;
  found: boolean;
  /** Whether it is all of it. */
  ended: boolean;
}

/** Reads until the text is found, or enough is there, or nothing more comes; what was read by then counts. */
function read(response: IncomingMessage, text: string | undefined, signal: AbortSignal): Promise<Body> {
  const wanted = text === undefined ? undefined : Buffer.from(text);
  const enough = wanted === undefined ? SHOWN_CHARACTERS * 4 : BODY_BYTES;
  let bytes = Buffer.alloc(0);
  return new Promise((resolve) => {
    const settle = (ended: boolean): void => {
      response.removeAllListeners('data');
      response.destroy();
      resolve({ bytes, found: wanted !== undefined && bytes.includes(wanted), ended });
    };
    response.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]).subarray(0, enough);
      if (bytes.length === enough || (wanted !== undefined && bytes.includes(wanted))) settle(false);
    });
    response.once('end', () => settle(true));
    response.once('close', () => settle(false));
    // A body that breaks off is shown as far as it came.
    response.on('error', () => settle(false));
    signal.addEventListener('abort', () => settle(false), { once: true });
  });
}

function headersOf({ headers }: IncomingMessage): string {
  const present = SHOWN_HEADERS.flatMap((name) => {
    const value = headers[name];
    return value === undefined ? [] : [`${name}: ${shown([value].flat().join(', '))}`];
  });
  const redirect = headers.location === undefined ? '' : '; redirects are not followed';
  return present.length === 0 ? '' : ` (${present.join('; ')}${redirect})`;
}

function bodyText({ bytes }: Body): string {
  // A letter that is cut in two at the end is none.
  const text = printable(new TextDecoder().decode(bytes)).trim();
  if (text === '') return '; its body is empty';
  return `; its body begins "${text.slice(0, SHOWN_CHARACTERS)}"`;
}

const shown = (text: string | undefined): string => printable(text ?? '').slice(0, HEADER_CHARACTERS);
