import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { type AwsError } from '../../sandbox/aws/wire/errors';
import { type Service } from '../../sandbox/aws/wire/service';
import {
  type ReceivedRequest,
  SignatureVerifier,
  type Verified,
} from '../../sandbox/aws/wire/signature/verify';
import { SIGNATURE_SUITE, SUITE_TOKEN } from '../support/signature-suite';

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const S3_SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
/** Nothing but its kind and its name is looked at. */
const SERVICE = { kind: 'awsQuery', signingName: 'service' } as Service;
const S3 = { kind: 'restXml', signingName: 's3' } as Service;

interface Asked {
  service: Service;
  secret: string;
  token?: string;
  now: number;
  method: string;
  uri: string;
  headers: [string, string][];
  body?: string;
}

function ask({
  service,
  secret,
  token,
  now,
  method,
  uri,
  headers,
  body = '',
}: Asked): Promise<Verified<string>> {
  const verifier = new SignatureVerifier({
    find: (accessKeyId) => ({
      owner: accessKeyId,
      secretAccessKey: secret,
      ...(token === undefined ? {} : { session: { token, expiresAt: now + 1 } }),
    }),
    region: 'us-east-1',
    clock: () => now,
  });
  const [path = '', search = ''] = uri.split('?');
  const received = new Map<string, string[]>();
  for (const [name, value] of headers)
    received.set(name.toLowerCase(), [...(received.get(name.toLowerCase()) ?? []), value]);
  const request: ReceivedRequest = {
    method,
    path,
    search,
    query: new URLSearchParams(search),
    headers: received,
  };
  return verifier.verify(service, request, () => Promise.resolve(Buffer.from(body)));
}

const codeOf = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'accepted',
    (error: unknown) => (error as AwsError).code,
  );

describe("AWS's test suite", () => {
  const vectorRequest = ({
    name,
    method,
    uri,
    headers,
    body,
    signed,
    signature,
  }: (typeof SIGNATURE_SUITE)[0]): Asked => {
    const token = name.startsWith('post-sts') ? SUITE_TOKEN : undefined;
    return {
      service: SERVICE,
      secret: SECRET,
      token,
      now: Date.parse('2015-08-30T12:36:00Z'),
      method,
      uri,
      headers: [
        ['Host', 'example.amazonaws.com'],
        ['X-Amz-Date', '20150830T123600Z'],
        ...(token === undefined ? [] : [['X-Amz-Security-Token', token] satisfies [string, string]]),
        ...headers,
        [
          'Authorization',
          `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=${signed}, Signature=${signature}`,
        ],
      ],
      body,
    };
  };

  it.each(SIGNATURE_SUITE)('$name is accepted', async (vector) => {
    expect(await ask(vectorRequest(vector))).toMatchObject({ owner: 'AKIDEXAMPLE', signingName: 'service' });
  });

  it('is refused when any part of a request is another', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...SIGNATURE_SUITE),
        fc.constantFrom(
          'method',
          'path',
          'query',
          'header',
          'body',
          'secret',
          'signature',
          'token',
          'region',
          'date',
        ),
        async (vector, part) => {
          const asked = vectorRequest(vector);
          const authorization = asked.headers.pop()!;
          const change = (from: string | RegExp, to: string): void =>
            void (authorization[1] = authorization[1].replace(from, to));
          if (part === 'method') asked.method = asked.method === 'GET' ? 'DELETE' : 'PUT';
          if (part === 'path') asked.uri = `/other${asked.uri}`;
          if (part === 'query') asked.uri += asked.uri.includes('?') ? '&a=b' : '?a=b';
          if (part === 'header') asked.headers[0] = ['Host', 'other.amazonaws.com'];
          if (part === 'body') asked.body += ' ';
          if (part === 'secret') asked.secret += 'x';
          if (part === 'signature') change(/.$/, authorization[1].endsWith('0') ? '1' : '0');
          if (part === 'token') asked.token = `${asked.token ?? ''}x`;
          if (part === 'region') change('us-east-1', 'us-east-2');
          if (part === 'date') change('/20150830/', '/20150831/');
          expect(await codeOf(ask({ ...asked, headers: [...asked.headers, authorization] }))).toMatch(
            part === 'token' ? /^InvalidClientTokenId$/ : /^SignatureDoesNotMatch$/,
          );
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** Examples of "Authenticating requests (AWS Signature Version 4)", Amazon S3 API Reference. */
describe("the Amazon S3 API Reference's examples", () => {
  const now = Date.parse('2013-05-24T00:00:00Z');
  const scope = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request';
  const EMPTY = createHash('sha256').digest('hex');
  const example = (
    method: string,
    uri: string,
    signature: string,
    headers: Record<string, string>,
    host = 'examplebucket.s3.amazonaws.com',
  ): Asked => {
    const all = { host, 'x-amz-date': '20130524T000000Z', 'x-amz-content-sha256': EMPTY, ...headers };
    const signed = Object.keys(all).sort().join(';');
    return {
      service: S3,
      secret: S3_SECRET,
      now,
      method,
      uri,
      headers: [
        ...Object.entries(all),
        [
          'authorization',
          `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=${signed},Signature=${signature}`,
        ],
      ],
    };
  };

  it.each([
    [
      'GET an object',
      example('GET', '/test.txt', 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41', {
        range: 'bytes=0-9',
      }),
    ],
    [
      'PUT an object',
      example('PUT', '/test$file.text', '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd', {
        date: 'Fri, 24 May 2013 00:00:00 GMT',
        'x-amz-storage-class': 'REDUCED_REDUNDANCY',
        'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
      }),
    ],
    [
      'GET a setting of a bucket',
      example('GET', '/?lifecycle', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543', {}),
    ],
    [
      'GET a list',
      example(
        'GET',
        '/?max-keys=2&prefix=J',
        '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
        {},
      ),
    ],
  ])('%s', async (_what, asked) => {
    expect(await ask(asked)).toMatchObject({ owner: 'AKIAIOSFODNN7EXAMPLE' });
    expect(await codeOf(ask({ ...asked, uri: `${asked.uri}x` }))).toBe('SignatureDoesNotMatch');
  });

  it('a presigned URL, until it ends', async () => {
    const uri =
      '/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404';
    const asked: Asked = {
      service: S3,
      secret: S3_SECRET,
      now: now + 86_400_000,
      method: 'GET',
      uri,
      headers: [['host', 'examplebucket.s3.amazonaws.com']],
    };
    expect(await ask(asked)).toMatchObject({ owner: 'AKIAIOSFODNN7EXAMPLE' });
    await expect(ask({ ...asked, now: asked.now + 1 })).rejects.toMatchObject({
      code: 'AccessDenied',
      message: 'Request has expired',
    });
    await expect(ask({ ...asked, now: now - 901_000 })).rejects.toThrow('Request is not valid yet');
    for (const changed of [
      uri.replace('86400', '86401'),
      uri.replace('/test', '/other'),
      `${uri}&versionId=1`,
    ])
      expect(await codeOf(ask({ ...asked, uri: changed }))).toBe('SignatureDoesNotMatch');
    for (const incomplete of [
      uri.replace('&X-Amz-Expires=86400', ''),
      uri.replace('86400', '604801'),
      uri.replace(/&X-Amz-Signature=.*/, ''),
    ])
      expect(await codeOf(ask({ ...asked, uri: incomplete }))).toBe('AuthorizationQueryParametersError');
    expect(await codeOf(ask({ ...asked, headers: [...asked.headers, ['x-amz-acl', 'public-read']] }))).toBe(
      'AccessDenied',
    );
  });

  const chunked = {
    'content-encoding': 'aws-chunked',
    'x-amz-decoded-content-length': '66560',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
  };
  /** The example's chunks: 64 KiB, 1 KiB and nothing, each with its signature. */
  const chunks = (signatures: string[]): [Buffer, string][] =>
    [65_536, 1024, 0].map((size, n) => [Buffer.alloc(size, 'a'), signatures[n]!]);
  const pass = ({ checks }: Verified<string>, all: [Buffer, string][]): void => {
    for (const [bytes, signature] of all) {
      checks.chunks!.begin(`chunk-signature=${signature}`);
      checks.chunks!.update(bytes);
      checks.chunks!.end();
    }
  };

  it('an upload whose chunks are signed, and no other', async () => {
    const asked = example(
      'PUT',
      '/examplebucket/chunkObject.txt',
      '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
      {
        ...chunked,
        'content-length': '66824',
        'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      },
      's3.amazonaws.com',
    );
    const right = chunks([
      'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
      '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
      'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
    ]);
    pass(await ask(asked), right);
    const [first, second, last] = right as [[Buffer, string], [Buffer, string], [Buffer, string]];
    const altered: [Buffer, string] = [Buffer.alloc(1024, 'b'), second[1]];
    for (const wrong of [[first, altered], [second], [first, last], [[first[0], '']] as [Buffer, string][]]) {
      const verified = await ask(asked);
      expect(() => pass(verified, wrong as [Buffer, string][])).toThrow('does not match the signature');
    }
  });

  it('an upload whose chunks and trailer are signed', async () => {
    const asked = example(
      'PUT',
      '/examplebucket/chunkObject.txt',
      '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
      {
        ...chunked,
        'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
        'x-amz-trailer': 'x-amz-checksum-crc32c',
      },
      's3.amazonaws.com',
    );
    const verified = await ask(asked);
    pass(
      verified,
      chunks([
        'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
        '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
        '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
      ]),
    );
    const signature = 'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435';
    expect(() =>
      verified.checks.chunks!.trailer({ 'x-amz-checksum-crc32c': 'AAAAAA==' }, signature),
    ).toThrow();
    verified.checks.chunks!.trailer({ 'x-amz-checksum-crc32c': 'sOO8/Q==' }, signature);
  });
});
