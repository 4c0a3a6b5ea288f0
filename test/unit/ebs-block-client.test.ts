import { EBSClient, ResourceNotFoundException } from '@aws-sdk/client-ebs';
import { hash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { blockClientOf, EbsBlockClient } from '../../blocks/ebs/client';
import { ebsSnapshotSink } from '../../blocks/ebs-sink';
import { getBlock } from '../../blocks/ebs-source';
import { requestTally } from '../../blocks/limits/request-tally';
import { BLOCK_SIZE } from '../../blocks/port';

const BLOCK = randomBytes(BLOCK_SIZE);
const SHA256 = hash('sha256', BLOCK, 'buffer');
const CHECKSUM = SHA256.toString('base64');
const never = new AbortController().signal;

type Answer = (request: IncomingMessage, body: Buffer, response: ServerResponse) => void;

let server: Server;
let ebs: EBSClient;
let client: EbsBlockClient;
/** Answers to the calls, one after the other; the last one answers all that follow. */
let answers: Answer[];
const calls: { url: string; headers: IncomingMessage['headers']; body: Buffer }[] = [];

const stored: Answer = (_request, _body, response) =>
  void response.writeHead(201, { 'x-amz-checksum': CHECKSUM, 'content-length': 0 }).end();
const refused =
  (status: number, type: string, headers: Record<string, string> = {}): Answer =>
  (_request, _body, response) =>
    void response
      .writeHead(status, { 'x-amzn-errortype': `${type}:http://internal.amazon.com/`, ...headers })
      .end(JSON.stringify({ Message: `${type} it is`, Reason: 'SNAPSHOT_NOT_FOUND' }));
const block =
  (bytes: Buffer): Answer =>
  (_request, _body, response) =>
    void response.writeHead(200, { 'x-amz-checksum': CHECKSUM, 'content-length': bytes.length }).end(bytes);

beforeEach(async () => {
  calls.length = 0;
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      calls.push({ url: request.url ?? '', headers: request.headers, body });
      const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
      answer(request, body, response);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  ebs = new EBSClient({
    region: 'eu-central-1',
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret', sessionToken: 'token' },
  });
  client = new EbsBlockClient(ebs);
});
afterEach(async () => {
  await client.close();
  ebs.destroy();
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
});

const put = (signal = never) => ebsSnapshotSink(client, 'snap-1', signal).write(7, BLOCK, SHA256);
const get = () => getBlock(client, 'snap-1', { index: 7, token: 'a+/=b' }, Buffer.alloc(BLOCK_SIZE), never);

describe('put', () => {
  it('sends the block with the one digest that it was given', async () => {
    answers = [stored];
    await put();
    expect(calls).toHaveLength(1);
    const { url, headers, body } = calls[0]!;
    expect(url).toBe('/snapshots/snap-1/blocks/7');
    expect(body.equals(BLOCK)).toBe(true);
    expect(headers).toMatchObject({
      'x-amz-checksum': CHECKSUM,
      'x-amz-checksum-algorithm': 'SHA256',
      'x-amz-data-length': String(BLOCK_SIZE),
      'x-amz-content-sha256': SHA256.toString('hex'),
      'x-amz-security-token': 'token',
      'content-length': String(BLOCK_SIZE),
    });
  });

  it('waits out throttling, trouble, broken connections and a snapshot that is too new to be known', async () => {
    answers = [
      refused(400, 'RequestThrottledException'),
      refused(500, 'InternalServerException'),
      (request) => void request.socket.destroy(),
      refused(404, 'ResourceNotFoundException'),
      stored,
    ];
    requestTally.take();
    await put();
    expect(calls).toHaveLength(5);
    expect(requestTally.take()).toEqual([
      { service: 'ebs', action: 'PutSnapshotBlock', made: 5, throttled: 1 },
    ]);
  }, 60_000);

  it("throws the SDK's errors for what does not pass", async () => {
    answers = [refused(403, 'AccessDeniedException')];
    await expect(put()).rejects.toMatchObject({
      name: 'AccessDeniedException',
      message: 'AccessDeniedException it is',
      $metadata: { httpStatusCode: 403 },
    });
    answers = [(_request, _body, response) => void response.writeHead(413).end('<html>a proxy</html>')];
    await expect(put()).rejects.toMatchObject({ name: 'HTTP413' });
    expect(calls).toHaveLength(2);
  });

  it('does not believe that a block was stored with another checksum', async () => {
    answers = [(_r, _b, response) => void response.writeHead(201, { 'x-amz-checksum': 'other' }).end()];
    await expect(put()).rejects.toThrow('stored block 7 of snap-1 with another checksum');
  });

  it("follows AWS's clock where its own is off", async () => {
    const ahead = new Date(Date.now() + 3_600_000);
    answers = [refused(403, 'InvalidSignatureException', { date: ahead.toUTCString() }), stored];
    await put();
    const [before, after] = calls.map(({ headers }) => String(headers['x-amz-date']).slice(0, 11));
    expect(after).not.toBe(before);
    expect(ebs.config.systemClockOffset).toBeGreaterThan(3_500_000);
  });

  it('ends at the signal, with its reason', async () => {
    const abort = new AbortController();
    answers = [() => abort.abort(new Error('cancelled'))];
    await expect(put(abort.signal)).rejects.toThrow('cancelled');
    expect(calls).toHaveLength(1);
  });
});

describe('get', () => {
  it('brings the block into the memory that it is given', async () => {
    answers = [block(BLOCK)];
    const { block: got, sha256 } = await get();
    expect(got.equals(BLOCK)).toBe(true);
    expect(sha256.equals(SHA256)).toBe(true);
    expect(calls[0]!.url).toBe('/snapshots/snap-1/blocks/7?blockToken=a%2B%2F%3Db');
  });

  it('asks again for what arrived cut, too long or changed', async () => {
    const changed = Buffer.from(BLOCK);
    changed[4711] = changed[4711]! ^ 1;
    const long = Buffer.concat([BLOCK, Buffer.alloc(1)]);
    answers = [block(changed), block(BLOCK.subarray(1)), block(long), block(BLOCK)];
    expect((await get()).block.equals(BLOCK)).toBe(true);
    expect(calls).toHaveLength(4);
  }, 30_000);

  it('does not ask again for what is not there', async () => {
    answers = [refused(404, 'ResourceNotFoundException')];
    await expect(get()).rejects.toBeInstanceOf(ResourceNotFoundException);
    expect(calls).toHaveLength(1);
  });
});

it('waits out more throttling than any number of tries would', async () => {
  const refusals = 100;
  answers = [
    ...Array.from({ length: refusals }, (_, n) =>
      refused(400, n % 2 === 0 ? 'ThrottlingException' : 'RequestThrottledException'),
    ),
    stored,
  ];
  await Promise.all(Array.from({ length: 4 }, () => put()));
  expect(calls).toHaveLength(refusals + 4);
}, 60_000);

it('is one for all that copies with an SDK client', () => {
  const other = new EBSClient({ region: 'eu-central-1' });
  expect(blockClientOf(ebs)).toBe(blockClientOf(ebs));
  expect(blockClientOf(other)).not.toBe(blockClientOf(ebs));
  other.destroy();
});
