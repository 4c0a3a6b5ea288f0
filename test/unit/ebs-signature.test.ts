import { EBSClient, PutSnapshotBlockCommand } from '@aws-sdk/client-ebs';
import { type HttpRequest } from '@smithy/core/protocols';
import fc from 'fast-check';
import { hash } from 'node:crypto';
import { percentEncoded, Signer } from '../../blocks/ebs/signature';
import { routeOf } from '../../blocks/ebs/route';

/** A request as the SDK signs it, never sent. */
async function signedBySdk(
  secretAccessKey: string,
  sessionToken: string | undefined,
  endpoint: string,
): Promise<HttpRequest> {
  const client = new EBSClient({
    region: 'eu-central-1',
    endpoint,
    credentials: { accessKeyId: 'AKIATEST', secretAccessKey, sessionToken },
  });
  const command = new PutSnapshotBlockCommand({
    SnapshotId: 'snap-0123456789abcdef0',
    BlockIndex: 7,
    BlockData: Buffer.from('block'),
    DataLength: 5,
    Checksum: hash('sha256', 'block', 'base64'),
    ChecksumAlgorithm: 'SHA256',
  });
  let request: HttpRequest | undefined;
  command.middlewareStack.add(
    () => (input) => {
      request = input.request as HttpRequest;
      throw new Error('seen');
    },
    { step: 'finalizeRequest', priority: 'low' },
  );
  await expect(client.send(command)).rejects.toThrow('seen');
  client.destroy();
  return request!;
}

it("makes the SDK's own signatures, for any key, token and path before the operation's", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.stringMatching(/^[A-Za-z0-9/+]{1,90}$/),
      fc.option(fc.stringMatching(/^[A-Za-z0-9/+=]{1,200}$/), { nil: undefined }),
      fc.constantFrom('', '/with%20blank', "/it's(one)", '/a/b*'),
      async (secretAccessKey, sessionToken, prefix) => {
        const request = await signedBySdk(secretAccessKey, sessionToken, `http://127.0.0.1:5000${prefix}`);
        const headers = Object.fromEntries(
          Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]),
        );
        const [, names = ''] = /SignedHeaders=([^,]+)/.exec(headers.authorization!) ?? [];
        const added = ['x-amz-date', 'x-amz-content-sha256', 'x-amz-security-token'];
        const [, year, month, day, hour, minute, second] = /^(....)(..)(..)T(..)(..)(..)Z$/.exec(
          headers['x-amz-date']!,
        )!;
        const now = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
        const signed = new Signer({ region: 'eu-central-1', service: 'ebs' }).sign(
          {
            method: 'PUT',
            path: request.path,
            query: '',
            headers: names
              .split(';')
              .filter((name) => !added.includes(name))
              .map((name): [string, string] => [name, headers[name]!]),
            payloadSha256: hash('sha256', 'block', 'hex'),
          },
          { accessKeyId: 'AKIATEST', secretAccessKey, sessionToken },
          now,
        );
        expect(Object.fromEntries(signed).authorization).toBe(headers.authorization);
      },
    ),
    { numRuns: 30 },
  );
});

it('escapes what the SDK escapes', () => {
  expect(percentEncoded("a-_.~b c/+='()*!é")).toBe('a-_.~b%20c%2F%2B%3D%27%28%29%2A%21%C3%A9');
});

it('reads off a client where its calls go', async () => {
  const credentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' };
  const regional = new EBSClient({ region: 'eu-central-1', credentials });
  expect(await routeOf(regional)).toMatchObject({
    origin: 'https://ebs.eu-central-1.amazonaws.com',
    host: 'ebs.eu-central-1.amazonaws.com',
    pathPrefix: '',
    scope: { region: 'eu-central-1', service: 'ebs' },
    userAgent: expect.stringContaining('aws-sdk-js/'),
  });
  const fips = new EBSClient({ region: 'us-east-1', useFipsEndpoint: true, credentials });
  expect((await routeOf(fips)).origin).toBe('https://ebs-fips.us-east-1.amazonaws.com');
  const own = new EBSClient({ region: 'eu-central-1', credentials, endpoint: 'http://127.0.0.1:4566/aws' });
  expect(await routeOf(own)).toMatchObject({ origin: 'http://127.0.0.1:4566', pathPrefix: '/aws' });
  const none = new EBSClient({
    region: 'eu-central-1',
    credentials: () => Promise.reject(new Error('no credentials here')),
  });
  await expect(routeOf(none)).rejects.toThrow('no credentials here');
});
