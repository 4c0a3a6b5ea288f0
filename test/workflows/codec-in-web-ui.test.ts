import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { Client } from '@temporalio/client';
import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { CONTROL_QUEUE } from '../../activities/task-queues';
import { startCodecServer } from '../../wire/codec-server';
import { codecsOf, dataConverterFor } from '../../wire/data-converter';
import { isTokenOf } from '../../wire/tokens';
import { hasBrowser, openBrowser, type Page } from '../support/browser';
import { Certificates } from '../support/certificates';
import { KeyFile, newKey } from '../support/codec-keys';
import { eventually } from '../support/eventually';
import { describeWithTemporal, startTemporal, temporalCli } from './local-temporal';

/** `LIFEBOAT_LONG_TESTS=1` runs it, where there is a browser, which set-up brings then. */
const withBrowser =
  temporalCli() !== undefined && process.env.LIFEBOAT_LONG_TESTS === '1' && hasBrowser()
    ? describeWithTemporal
    : describe.skip;

const TOKEN = 'a-token-of-sixteen-and-more';
const BUCKET = 'bucket-of-the-secret-plan';

/** A page of the Web UI in which somebody has logged in by OIDC, whose access token is this one. */
const LOGGED_IN = `
  localStorage.setItem('AuthUser', JSON.stringify({ accessToken: '${TOKEN}', name: 'Ada' }));
  const ask = window.fetch;
  window.fetch = async (...request) => {
    const response = await ask(...request);
    if (!String(request[0]?.url ?? request[0]).includes('/api/v1/settings')) return response;
    const settings = { ...(await response.json()), Auth: { Enabled: true, Options: null } };
    return new Response(JSON.stringify(settings), { headers: response.headers });
  };`;

withBrowser("an encrypted run in Temporal's Web UI, in a real browser", () => {
  let server: TestWorkflowEnvironment;
  let page: Page;
  let keys: KeyFile;
  let webUi: string;
  let certificates: Certificates;
  let codec: Awaited<ReturnType<typeof startCodecServer>>;

  beforeAll(async () => {
    keys = new KeyFile().write('k1', { k1: newKey() });
    const tokens = `${keys.file}.tokens`;
    writeFileSync(tokens, `${TOKEN}\n`, { mode: 0o600 });
    server = await startTemporal({ ui: true });
    // The dev server's own rule.
    const [host, port] = server.address.split(':');
    webUi = `http://${host}:${Number(port) + 1000}`;
    // The Web UI sends its token by HTTPS only.
    certificates = new Certificates();
    const { cert, key } = certificates.issue('codec', { by: 'our-ca', names: 'IP:127.0.0.1' });
    codec = await startCodecServer({
      tls: { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') },
      ...{ host: '127.0.0.1', port: 0, origins: [webUi], namespace: 'default' },
      accepts: (token) => isTokenOf(tokens, token),
      codecOf: codecsOf(keys.file),
    });
    page = await openBrowser({ trusting: true });
  }, 120_000);
  afterAll(async () => {
    await page?.close();
    await codec?.close();
    await server?.teardown();
    keys?.remove();
    certificates?.remove();
  }, 30_000);

  const text = (): Promise<string> => page.run<string>('document.body.innerText');

  it('shows its input to who has a token, and nothing of it without', async () => {
    const client = new Client({
      connection: server.connection,
      dataConverter: dataConverterFor('default', keys.env),
    });
    const workflowId = `failover-${randomUUID()}`;
    const run = await client.workflow.start('failover', {
      ...{ taskQueue: CONTROL_QUEUE, workflowId, staticSummary: 'Fail over the secret plan' },
      args: [{ plan: 'shop', repository: { bucket: BUCKET } }],
    });
    const url = `${webUi}/namespaces/default/workflows/${workflowId}/${run.firstExecutionRunId}/history`;

    const shows = (what: string): Promise<true> =>
      eventually(60, async () => ((await text()).includes(what) ? true : undefined)).catch(async (cause) => {
        throw new Error(`The page shows no "${what}": ${await text()}`, { cause });
      });

    await page.goto(url);
    await shows('Workflow Execution Started');
    await shows(`Task Queue\n${CONTROL_QUEUE}`);
    for (const secret of [BUCKET, 'secret plan']) expect(await text()).not.toContain(secret);

    // As a person sets it in the dialog of the codec server.
    const settings = { endpoint: codec.url, passAccessToken: true, overrideRemoteCodecConfiguration: true };
    for (const [name, value] of Object.entries(settings))
      await page.run(`localStorage.setItem('${name}', ${JSON.stringify(JSON.stringify(value))})`);
    await page.goto(url);
    await shows('Codec Server could not connect');
    expect(await text()).not.toContain(BUCKET);

    // As where people log in: the dev server's Web UI has no login, so it is told that there is one, and its token.
    await page.beforeEach(LOGGED_IN);
    await page.goto(url);
    await shows(BUCKET);
    await shows('Fail over the secret plan');
    await run.terminate();
  }, 150_000);

  it("shows it by Temporal's own CLI", async () => {
    const client = new Client({
      connection: server.connection,
      dataConverter: dataConverterFor('default', keys.env),
    });
    const workflowId = `failover-${randomUUID()}`;
    const run = await client.workflow.start('failover', {
      ...{ taskQueue: CONTROL_QUEUE, workflowId, args: [{ plan: 'shop', repository: { bucket: BUCKET } }] },
    });
    // The CLI trusts no certificate of a test's.
    const local = await startCodecServer({
      ...{ host: '127.0.0.1', port: 0, origins: [], namespace: 'default', codecOf: codecsOf(keys.file) },
      accepts: (token) => token === TOKEN,
    });
    const show = async (...args: string[]): Promise<string> => {
      const to = ['--address', server.address, '--workflow-id', workflowId, '--output', 'json'];
      const { stdout } = await promisify(execFile)(temporalCli() ?? 'temporal', [
        'workflow',
        'show',
        ...to,
        ...args,
      ]);
      // What the CLI gives as JSON has payloads in base64.
      const payloads = [...stdout.matchAll(/"data": *"([^"]*)"/g)].map(([, data = '']) => data);
      return [stdout, ...payloads.map((data) => Buffer.from(data, 'base64').toString())].join('\n');
    };
    expect(await show()).not.toContain(BUCKET);
    const endpoint = ['--codec-endpoint', local.url];
    expect(await show(...endpoint, '--codec-auth', `Bearer ${TOKEN}`)).toContain(BUCKET);
    // It tries until its time is over.
    await expect(show(...endpoint, '--codec-auth', 'Bearer wrong')).rejects.toThrow(/failed getting next/);
    await local.close();
    await run.terminate();
  }, 60_000);
});
