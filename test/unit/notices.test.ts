import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { type Agent } from 'undici';
import { noticeBody, noticeSubject } from '../../activities/control/notices/message';
import { secretVariable, signingKeys } from '../../activities/control/notices/secrets';
import { callWebhook, webhookAgent, webhookSignature } from '../../activities/control/notices/webhook';
import { type Notice } from '../../plan/notices';
import { isForbiddenAddress } from '../../plan/webhook-address';
import { requireSigned, WEBHOOK_SECRET, WebhookReceiver } from '../support/webhook-receiver';

const NOTICE: Notice = {
  id: '0199abcd-needs-attention-1',
  event: 'needs-attention',
  plan: 'shop',
  at: '2026-11-30T16:25:02.000Z',
  text: 'db waits for a person: no capacity.',
  vms: ['db'],
  vmCount: 1,
  run: { type: 'failover', workflowId: 'lifeboat:shop:failover', runId: '0199abcd', digest: '0'.repeat(64) },
  facts: { waiting: 1 },
};
const KEYS = [Buffer.from(WEBHOOK_SECRET.slice(6), 'base64')];

async function failureOf(work: Promise<unknown>): Promise<ApplicationFailure> {
  const error: unknown = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (error instanceof ApplicationFailure) return error;
  throw new Error(`not refused, but: ${String(error)}`);
}

describe('a webhook', () => {
  const receiver = new WebhookReceiver();
  let agent: Agent;
  beforeAll(async () => {
    agent = webhookAgent();
    await receiver.up();
  });
  afterAll(async () => {
    await agent.close();
    await receiver.down();
  });
  beforeEach(() => {
    receiver.calls.length = 0;
    Object.assign(receiver, { status: 204, headers: {} });
  });
  const call = (changes: Partial<{ url: string; allowHttp: boolean }> = {}, keys = KEYS) =>
    callWebhook(agent, { url: receiver.url, secret: 'ops', ...changes }, NOTICE, keys);

  it("is signed as the specification's own example is", () => {
    const body = '{"test": 2432232314}';
    expect(webhookSignature(KEYS, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, body)).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    );
  });

  it('brings the document, with a signature that only the secret makes', async () => {
    expect(await call()).toBe('HTTP 204');
    expect(receiver.received).toEqual([
      {
        schema: 1,
        id: NOTICE.id,
        type: 'needs-attention',
        timestamp: NOTICE.at,
        data: expect.objectContaining({ plan: 'shop', text: NOTICE.text, vms: ['db'] }) as unknown,
      },
    ]);
    const [first] = receiver.calls;
    if (first === undefined) throw new Error('Nothing came.');
    expect(first.headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': NOTICE.id });
    expect(() => requireSigned({ ...first, body: `${first.body} ` }, WEBHOOK_SECRET)).toThrow('no signature');
    expect(() => requireSigned(first, `whsec_${Buffer.alloc(24, 1).toString('base64')}`)).toThrow(
      'no signature',
    );
  });

  it('is signed by both secrets while receivers change from one to the next', async () => {
    const next = Buffer.alloc(32, 7);
    await call({}, [next, ...KEYS]);
    const [first] = receiver.calls;
    if (first === undefined) throw new Error('Nothing came.');
    requireSigned(first, WEBHOOK_SECRET);
    requireSigned(first, `whsec_${next.toString('base64')}`);
  });

  it.each([302, 307, 400, 404, 429, 500, 503])(
    'is tried again after HTTP %i, and goes nowhere else',
    async (status) => {
      const other = new WebhookReceiver();
      await other.up();
      try {
        Object.assign(receiver, { status, headers: { location: other.url } });
        const failure = await failureOf(call());
        expect(failure).toMatchObject({ type: 'NotDelivered', nonRetryable: false });
        expect(failure.message).toContain(`HTTP ${status}`);
        expect(other.calls).toEqual([]);
      } finally {
        await other.down();
      }
    },
  );

  it('is given up where the receiver says that it wants no more', async () => {
    receiver.status = 410;
    expect(await failureOf(call())).toMatchObject({ type: 'ReceiverGone', nonRetryable: true });
  });

  it('ends where nobody listens, or what answers is no HTTP', async () => {
    const garbage = createServer((socket) => socket.resume().end('SSH-2.0-OpenSSH\r\n'));
    await new Promise<void>((up) => garbage.listen(0, '127.0.0.1', up));
    const { port } = garbage.address() as AddressInfo;
    expect((await failureOf(call({ url: `http://127.0.0.1:${port}/` }))).type).toBe('NotDelivered');
    await new Promise((closed) => garbage.close(closed));
    expect((await failureOf(call({ url: `http://127.0.0.1:${port}/` }))).message).toContain('ECONNREFUSED');
  });

  it('takes no more of an answer than it has to', async () => {
    const endless = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
      const more = (): void => {
        while (!socket.destroyed && socket.write(chunk));
        if (!socket.destroyed) socket.once('drain', more);
      };
      more();
    });
    await new Promise<void>((up) => endless.listen(0, '127.0.0.1', up));
    const { port } = endless.address() as AddressInfo;
    expect(await call({ url: `http://127.0.0.1:${port}/` })).toBe('HTTP 200');
    await new Promise((closed) => endless.close(closed));
  });

  it('goes to no metadata service, by address or by name', async () => {
    for (const url of [
      'https://169.254.169.254/',
      'http://0xa9fea9fe/',
      'https://[fe80::1]/',
      'https://0.0.0.0/',
    ])
      expect(await failureOf(call({ url, allowHttp: true }))).toMatchObject({ nonRetryable: true });
    expect(
      ['169.254.169.254', '::ffff:169.254.169.254', 'fd00:ec2::254', '::', 'nonsense'].map(
        isForbiddenAddress,
      ),
    ).toEqual(Array<boolean>(5).fill(true));
    expect(['10.0.0.1', '127.0.0.1', 'fd00::1', '203.0.113.9'].map(isForbiddenAddress)).toEqual(
      Array<boolean>(4).fill(false),
    );
  });
});

describe('the secret of a webhook', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'lifeboat-secrets-'))));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  const inFile = (text: string) => {
    const file = join(directory, 'secrets.yaml');
    writeFileSync(file, text);
    return { file, env: { [secretVariable('ops')]: WEBHOOK_SECRET } };
  };

  it("is the environment's, or the file's, by its name", async () => {
    const env = { LIFEBOAT_WEBHOOK_SECRET_NIGHT_SHIFT: WEBHOOK_SECRET };
    expect(await signingKeys('night-shift', { file: undefined, env })).toEqual(KEYS);
    expect(await signingKeys('ops', inFile(`ops: ${WEBHOOK_SECRET}`))).toEqual(KEYS);
    const two = await signingKeys('ops', inFile(`ops: [${WEBHOOK_SECRET}, ${WEBHOOK_SECRET}]`));
    expect(two).toEqual([...KEYS, ...KEYS]);
  });

  it.each([
    ['is of another name', `other: ${WEBHOOK_SECRET}`],
    ['is too short', 'ops: whsec_c2hvcnQ='],
    ['lacks its prefix', `ops: ${WEBHOOK_SECRET.slice(6)}`],
    ['is no base64', 'ops: whsec_%%%secretsecretsecretsecretsecret%%%'],
    ['is a number', 'ops: 12345678901234567890'],
    ['is in a file that is no YAML', `ops: [${WEBHOOK_SECRET}`],
    ['is asked for as what every object has', 'x: y', 'constructor'],
  ])('that %s is told by its name alone, and asked for again', async (_, text, name = 'ops') => {
    const failure = await failureOf(signingKeys(name, inFile(text)));
    expect(failure).toMatchObject({ type: 'NoWebhookSecret', nonRetryable: false });
    expect(failure.message).toContain(`"${name}"`);
    expect(failure.message).not.toMatch(/MfKQ9r8G|secretsecret|c2hvcnQ|12345678/);
  });

  it('is missing where its file is, although the environment has one', async () => {
    const env = { [secretVariable('ops')]: WEBHOOK_SECRET };
    expect((await failureOf(signingKeys('ops', { file: join(directory, 'none'), env }))).message).toContain(
      'ENOENT',
    );
  });
});

describe('what mailboxes get', () => {
  it('has a subject that SNS takes, whatever happened', () => {
    const subject = noticeSubject({ ...NOTICE, text: `Größe 5 µm\nBcc: all\u0007 ${'x'.repeat(300)}` });
    expect(subject).toMatch(/^\[lifeboat\] shop needs-attention: Gr\?\?e 5 \?m Bcc: all\? x+\.\.\.$/);
    expect(subject).toHaveLength(100);
    expect(noticeSubject({ ...NOTICE, event: 'not-ready', standing: 'over' })).toContain('not-ready over: ');
  });

  it('is small', () => {
    expect(noticeBody(NOTICE).length).toBeLessThan(600);
  });
});
