import { type GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { HttpRequest, HttpResponse } from '@smithy/core/protocols';
import { Readable } from 'node:stream';
import { exchange, payloadAgent } from '../../blocks/exchange';

/** Ranged GETs under way in a process, at most: more than the memory for them has room for. */
const CONNECTIONS = 16;

/** Opened with the first call, and shared by all stores of the process. */
let agent: ReturnType<typeof payloadAgent> | undefined;

/**
 * GetObject, with the payload going straight into memory that is there. The SDK makes and signs the request and
 * understands the answer; only the bytes do not pass through its streams, which cost as much CPU as decompressing them.
 * @returns the bytes that came; more than `into` has where too many came
 * @throws what the SDK throws
 */
export async function getInto(
  client: S3Client,
  command: GetObjectCommand,
  into: Buffer,
  signal: AbortSignal | undefined,
): Promise<number> {
  let filled = 0;
  command.middlewareStack.add(
    () => async (input) => {
      const { request } = input;
      if (!HttpRequest.isInstance(request)) throw new Error('The AWS SDK made no HTTP request of GetObject.');
      const answer = await exchange((agent ??= payloadAgent(CONNECTIONS)), optionsOf(request), into, signal);
      filled = answer.filled;
      // What was read is checked block by block; a checksum of the whole would be compared with an empty body here.
      const headers = Object.fromEntries(
        Object.entries(answer.headers).filter(([name]) => !name.startsWith('x-amz-checksum-')),
      ) as Record<string, string>;
      const body = Readable.from(answer.text === '' ? [] : [Buffer.from(answer.text)]);
      return { response: new HttpResponse({ statusCode: answer.status, headers, body }) };
    },
    // Inside of what reads answers, in the place of the sending.
    { step: 'deserialize', priority: 'low', name: 'lifeboatGetInto' },
  );
  await client.send(command);
  return filled;
}

function optionsOf(request: HttpRequest): Parameters<typeof exchange>[1] {
  const { protocol, hostname, port, path, query, headers } = request;
  const parameters = Object.entries(query ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? '']).map(
      (text) => `${encodeURIComponent(name)}=${encodeURIComponent(text)}`,
    ),
  );
  return {
    origin: `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`,
    path: parameters.length === 0 ? path : `${path}?${parameters.join('&')}`,
    method: 'GET',
    headers,
  };
}
