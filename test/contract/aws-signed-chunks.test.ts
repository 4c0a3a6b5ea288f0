import { createHash, createHmac } from 'node:crypto';
import { request } from 'node:http';
import { crc32 } from 'node:zlib';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { SHOP_BUCKET } from '../../sandbox/aws/fixtures';
import { AwsHarness } from './aws-harness';

const aws = new AwsHarness();
beforeAll(() => aws.start());
afterAll(() => aws.stop());

const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

interface Upload {
  key: string;
  chunks: Buffer[];
  trailer: boolean;
  /** Changes what is sent after it was signed. */
  tamper?: (framed: string[]) => void;
}

/**
 * An upload in signed chunks, as older clients send it ("Transferring payload in multiple chunks", Amazon S3 API Reference):
 * signed here by hand, as no client that the tests have does it any more.
 */
async function upload({ key, chunks, trailer, tamper }: Upload): Promise<string> {
  const { hostname, port } = new URL(aws.endpoint.endpoint);
  const time = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '');
  const scope = `${time.slice(0, 8)}/${aws.config.region}/s3/aws4_request`;
  const word = `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${trailer ? '-TRAILER' : ''}`;
  const all = Buffer.concat(chunks);
  const headers: Record<string, string> = {
    'content-encoding': 'aws-chunked',
    host: `${hostname}:${port}`,
    'x-amz-content-sha256': word,
    'x-amz-date': time,
    'x-amz-decoded-content-length': String(all.length),
    ...(trailer ? { 'x-amz-trailer': 'x-amz-checksum-crc32' } : {}),
  };
  const names = Object.keys(headers).sort();
  const path = `/${SHOP_BUCKET}/${key}`;
  const lines = names.map((name) => `${name}:${headers[name]}`);
  const canonical = ['PUT', path, '', ...lines, '', names.join(';'), word].join('\n');
  const signingKey = scope
    .split('/')
    .reduce<Buffer>((made, part) => hmac(made, part), Buffer.from(`AWS4${aws.config.secretAccessKey}`));
  const sign = (...parts: string[]): string =>
    hmac(signingKey, [parts[0], time, scope, ...parts.slice(1)].join('\n')).toString('hex');
  let previous = sign('AWS4-HMAC-SHA256', sha256(canonical));
  const authorization = `AWS4-HMAC-SHA256 Credential=${aws.config.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${previous}`;
  const framed = [...chunks, Buffer.alloc(0)].map((chunk) => {
    previous = sign('AWS4-HMAC-SHA256-PAYLOAD', previous, sha256(''), sha256(chunk));
    const data = chunk.length === 0 ? '' : `${chunk.toString('latin1')}\r\n`;
    return `${chunk.length.toString(16)};chunk-signature=${previous}\r\n${data}`;
  });
  if (trailer) {
    const value = Buffer.alloc(4);
    value.writeUInt32BE(crc32(all));
    const line = `x-amz-checksum-crc32:${value.toString('base64')}`;
    const signature = sign('AWS4-HMAC-SHA256-TRAILER', previous, sha256(`${line}\n`));
    framed.push(`${line}\r\nx-amz-trailer-signature:${signature}\r\n`);
  }
  framed.push('\r\n');
  tamper?.(framed);
  const sent = { ...headers, authorization };
  return new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, path, method: 'PUT', headers: sent }, (response) => {
      let text = '';
      response.on('data', (part: Buffer) => (text += part.toString()));
      response.on('end', () =>
        resolve(response.statusCode === 200 ? 'stored' : (/<Code>(\w+)</.exec(text)?.[1] ?? text)),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(Buffer.from(framed.join(''), 'latin1'));
  });
}

async function stored(Key: string): Promise<Buffer | string> {
  const s3 = aws.s3();
  try {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: SHOP_BUCKET, Key }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  } catch (error) {
    return (error as Error).name;
  } finally {
    s3.destroy();
  }
}

const chunks = [Buffer.alloc(20_000, 'a'), Buffer.alloc(9000, 'b'), Buffer.from('c')];

describe.each([
  ['signed chunks', false],
  ['signed chunks and a trailer', true],
])('%s', (_what, trailer) => {
  it('are stored, without their frames', async () => {
    const key = `whole-${trailer}`;
    expect(await upload({ key, chunks, trailer })).toBe('stored');
    expect(await stored(key)).toEqual(Buffer.concat(chunks));
  });

  const ways: [string, (framed: string[]) => void][] = [
    ['altered', (framed) => (framed[1] = framed[1]!.replace('bb', 'bx'))],
    ['left out', (framed) => framed.splice(1, 1)],
    ['in another order', (framed) => framed.splice(0, 2, framed[1]!, framed[0]!)],
    ['without a signature', (framed) => (framed[2] = framed[2]!.replace(/;[^\r]*/, ''))],
    ['cut off by an end that is not signed', (framed) => framed.splice(1, 3, '0\r\n')],
  ];
  if (trailer)
    ways.push(
      ['with another trailer', (framed) => (framed[4] = framed[4]!.replace(/crc32:../, 'crc32:AA'))],
      [
        'with a trailer that is not signed',
        (framed) => (framed[4] = framed[4]!.replace(/\r\n.*\r\n/, '\r\n')),
      ],
    );
  it.each(ways)('are refused where one is %s, and nothing is kept', async (what, tamper) => {
    const key = `tampered-${trailer}-${what.replaceAll(' ', '-')}`;
    expect(await upload({ key, chunks, trailer, tamper })).toBe('SignatureDoesNotMatch');
    expect(await stored(key)).toBe('NoSuchKey');
  });
});
