import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import http2 from 'node:http2';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import {
  AWS_PROXY_COPY_QUEUE,
  AWS_PROXY_QUEUE,
  BACKUP_PROXY_QUEUE,
  NOTICE_QUEUE,
} from '../../activities/task-queues';
import { lifeboatClient, type LifeboatClient } from '../../client/client';
import { type RunFailedError } from '../../client/errors';
import { formsOf } from '../../host/secrets';
import { projectRoot } from '../../host/project-root';
import { type Notice } from '../../plan/notices';
import { type RunContext } from '../../plan/run';
import { type DrPlan } from '../../plan/schema';
import { publishPlan } from '../../repository/plans/plans';
import { AwsError } from '../../sandbox/aws/wire/errors';
import { freePort } from '../../sandbox/free-ports';
import { letHold, startTestAccount, type TestAccount } from '../contract/test-account';
import { filesBelow, findCanaries, ProcessWatch, type Rooms, shapesOf } from '../support/canaries';
import { plainPlan } from '../support/e2e-plan';
import { eventually } from '../support/eventually';
import { temporalRooms } from '../support/temporal-rooms';
import { WebhookReceiver } from '../support/webhook-receiver';
import { answered, faulted, makeCertificate, ScriptedVcenter } from '../unit/vim-server';
import { describeWithTemporal, startTemporal } from '../workflows/local-temporal';
import { type ActivityCall, type callActivities } from './secrets-workflows';

/** Until a worker on two busy cores does what it is asked. */
const SECONDS = 90;
const SAID = 'I was asked with';

const random = (): string => randomBytes(18).toString('base64url');
const canaries = {
  'the AWS session token': `session+${random()}/${random()}==`,
  'the password of vCenter': `p&ss "${random()}"`,
  'the cookie of vCenter': random(),
  "the webhook's secret": `whsec_${randomBytes(32).toString('base64')}`,
  "Temporal's API key": `key-${random()}`,
  "the codec's key": randomBytes(32).toString('base64'),
  'a private key': `-----BEGIN PRIVATE KEY-----\n${random()}${random()}\n-----END PRIVATE KEY-----`,
};
/** Not to be found where people look, but the repository has it under its digest: that is where it is from. */
const BOOT_SCRIPT = { 'the boot script': `#!/bin/sh\n# ${random()}\n` };
/** No secret, and in every room. */
const PLAN = `planted-${randomBytes(6).toString('hex')}`;

/** As the worst peer there is would quote what it was sent, and more: each secret in every form. */
const quoting = (): string =>
  `${SAID} ${[...Object.values(canaries), process.env.AWS_SECRET_ACCESS_KEY ?? ''].flatMap((one) => [...formsOf(one)]).join(' | ')}`;
const xml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** The product's own processes, as verbose as they can be, whose peers refuse everything and quote what they were asked with. */
describeWithTemporal('secrets are in no room', () => {
  const directory = mkdtempSync(join(tmpdir(), 'lifeboat-secrets-'));
  const place = (name: string): string => {
    mkdirSync(join(directory, name), { recursive: true });
    return join(directory, name);
  };
  const receiver = new WebhookReceiver();
  const watch = new ProcessWatch();
  const workers: ChildProcess[] = [];
  const rooms: Rooms = {};
  let refuses = true;
  let temporal: TestWorkflowEnvironment;
  let account: TestAccount;
  let vcenter: ScriptedVcenter;
  let lifeboat: LifeboatClient;
  let all: Record<string, string>;
  let metrics: string;
  let logs = '';
  let environment: Record<string, string | undefined>;
  let run: RunContext;
  let plan: DrPlan;

  beforeAll(async () => {
    [temporal, account] = await Promise.all([
      startTemporal(),
      startTestAccount((call, handle) => {
        if (!refuses || call.service === 's3' || call.service === 'sts') return handle();
        throw new AwsError('UnauthorizedOperation', `You are not authorized. ${quoting()}`);
      }),
    ]);
    await receiver.up();
    all = { ...canaries, 'the AWS secret key': process.env.AWS_SECRET_ACCESS_KEY as string };
    const own = makeCertificate(directory, 'vcenter', 'IP:127.0.0.1');
    vcenter = new ScriptedVcenter(own);
    const [content] = vcenter.replies.get('RetrieveServiceContent') as string[];
    const index = '<searchIndex type="SearchIndex">SearchIndex</searchIndex></returnval>';
    vcenter.replies.set('RetrieveServiceContent', [content!.replace('</returnval>', index)]);
    vcenter.replies.set('Login', [
      (_call, response) => {
        response.setHeader(
          'set-cookie',
          `vmware_soap_session="${canaries['the cookie of vCenter']}"; Path=/;`,
        );
        response.end(
          answered(
            'Login',
            '<returnval><key>k</key><userName>u</userName><fullName>u</fullName></returnval>',
          ),
        );
      },
    ]);
    for (const method of [
      'FindByInventoryPath',
      'CreateContainerView',
      'RetrievePropertiesEx',
      'RetrieveProperties',
    ])
      vcenter.replies.set(method, [
        ({ body, cookie }, response) =>
          void response
            .writeHead(500, { 'content-type': 'text/xml' })
            .end(faulted('RuntimeFault', xml(`${quoting()} ${cookie} ${body}`))),
      ]);
    const vsphere = await vcenter.start();
    metrics = `127.0.0.1:${await freePort()}`;
    environment = {
      PATH: process.env.PATH,
      HOME: directory,
      TMPDIR: place('tmp'),
      LIFEBOAT_DEBUG: '1',
      AWS_REGION: account.repository.region,
      AWS_ENDPOINT_URL: account.repository.endpoint,
      AWS_ACCESS_KEY_ID: process.env.AWS_ACCESS_KEY_ID,
      AWS_SECRET_ACCESS_KEY: process.env.AWS_SECRET_ACCESS_KEY,
      TEMPORAL_ADDRESS: temporal.address,
      LIFEBOAT_REPOSITORY: `s3://${account.repository.bucket}`,
      LIFEBOAT_STATE_DIRECTORY: place('state'),
      LIFEBOAT_PROXY_INSTANCE_ID: 'i-0a11fe00000000001',
      LIFEBOAT_PROXY_AVAILABILITY_ZONE: 'eu-central-1a',
      LIFEBOAT_HOOKS_DIRECTORY: place('hooks'),
      LIFEBOAT_HYPERVISOR: `vsphere:${vsphere}/?ca=${own.certificate}&proxy=4c3e0f3a-6a8b-4d2e-9f10-0a1b2c3d4e5f`,
      LIFEBOAT_VSPHERE_USER: 'lifeboat@vsphere.local',
      LIFEBOAT_VSPHERE_PASSWORD: canaries['the password of vCenter'],
      LIFEBOAT_WEBHOOK_SECRET_OPS: canaries["the webhook's secret"],
      // Of other clients and of the codec; nothing here uses them, and they are quoted all the same.
      OTHER_SESSION_TOKEN: canaries['the AWS session token'],
      OTHER_COOKIE_TOKEN: canaries['the cookie of vCenter'],
      OTHER_API_KEY: canaries["Temporal's API key"],
      LIFEBOAT_CODEC_KEY: canaries["the codec's key"],
      OTHER_TLS_KEY_DATA: canaries['a private key'],
    };
    const hook = join(directory, 'hooks', 'show.sh');
    writeFileSync(hook, '#!/bin/sh\nenv\necho "$@"\nsleep 1\nexit 3\n');
    chmodSync(hook, 0o755);
    const script = Buffer.from(BOOT_SCRIPT['the boot script']);
    const sha256 = await import('node:crypto').then(({ hash }) => hash('sha256', script, 'hex'));
    plan = {
      ...plainPlan(PLAN, ['db']),
      notify: [{ webhook: { url: receiver.url, secret: 'ops' } }],
    };
    plan.vms[0]!.bootScript = { name: 'boot.sh', sha256 };
    const store = account.objectStore(account.repository);
    const { digest } = await publishPlan(store, plan, [{ sha256, content: script }]);
    run = { plan: PLAN, digest, repository: account.repository, runId: 'run-1', generation: 1 };
    await letHold(store, run);
    lifeboat = await lifeboatClient({ client: temporal.client });
    for (const role of ['control', 'aws-proxy', 'backup-proxy'])
      startWorker(role, role === 'control' ? { LIFEBOAT_METRICS_ADDRESS: metrics } : {});
    watch.start(() => workers.map(({ pid }) => pid));
  }, 180_000);
  afterAll(async () => {
    watch.stop();
    await Promise.all(
      workers.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null || !child.kill('SIGKILL')) return;
        await once(child, 'exit');
      }),
    );
    await Promise.all([temporal.teardown(), account.close(), receiver.down(), vcenter.stop()]);
    rmSync(directory, { recursive: true, force: true });
  }, 60_000);

  function startWorker(
    role: string,
    more: Record<string, string> = {},
  ): { child: ChildProcess; log: () => string } {
    let log = '';
    const child = spawn(process.execPath, [join(projectRoot(), 'dist/cli/main.js'), 'worker', role], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...environment, ...more },
    });
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (data) => {
        log += String(data);
        logs += String(data);
      });
    workers.push(child);
    return { child, log: () => log };
  }
  /** What the command says, on both streams. */
  async function command(args: string[], more: Record<string, string> = {}): Promise<string> {
    const child = spawn(process.execPath, [join(projectRoot(), 'dist/cli/main.js'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: directory,
      env: { ...environment, ...more },
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += String(data)));
    await once(child, 'close');
    return said;
  }

  it('a run that AWS refuses leaves none of them, and its evidence neither', async () => {
    receiver.status = 500;
    const test = await lifeboat.failover({ plan: PLAN, mode: 'test', askedBy: { by: 'me' } });
    const error: unknown = await test.result().catch((reason: unknown) => reason);
    expect((error as RunFailedError).sentence).toContain(SAID);
    receiver.status = 204;
    rooms.notices = await eventually(SECONDS, () =>
      Promise.resolve(receiver.calls.length > 0 ? JSON.stringify(receiver.calls) : undefined),
    );
  }, 180_000);

  it('activities that fail by what their peers say, and hooks that show what they were started with', async () => {
    const notice: Notice = {
      ...{ id: 'n-1', event: 'test', plan: PLAN, at: new Date().toISOString(), text: 'Nothing.', facts: {} },
      run: { type: 'tryNotices', workflowId: 'w', runId: 'r', digest: run.digest },
    };
    const facts = { id: 'h', version: 1, plan: PLAN, runId: 'r', run: 'test', at: 'afterReady', vms: [] };
    const aws: ActivityCall[] = [
      ['removeRecoveryResources', { run, vm: 'db' }],
      ['ensureShellImage', { run, firmware: 'bios' }],
      ['startInstance', { run, vm: 'db', instanceId: 'i-0123456789abcdef0' }],
      ['inspectDns', { plan: { ...plan, dns: DNS } }],
      ['deleteFailbackSnapshots', { run }],
    ].map(([name, input]) => ({ queue: AWS_PROXY_QUEUE, name: name as string, input }));
    const calls: ActivityCall[] = [
      ...aws,
      {
        queue: AWS_PROXY_COPY_QUEUE,
        name: 'verifyDisk',
        input: { run, vm: 'db', disk: { snapshotId: 'snap-1' } },
      },
      ...[AWS_PROXY_QUEUE, BACKUP_PROXY_QUEUE].map((queue) => ({
        ...{ queue, name: 'runHook' },
        input: {
          hook: { at: 'afterReady', command: ['show.sh', PLAN] },
          index: 0,
          facts,
          outputBytes: 10_000,
        },
      })),
      { queue: NOTICE_QUEUE, name: 'tryReceiver', input: { notice, receiver: plan.notify?.[0] } },
      ...['readPower', 'checkPrimarySite', 'fenceVms', 'startVm'].map((name) => ({
        ...{ queue: BACKUP_PROXY_QUEUE, name },
        input: { run, plan, vm: 'db', primaryVm: 'db', vms: [{ vm: 'db', primaryVm: 'db' }] },
      })),
    ];
    const worker = await Worker.create({
      connection: temporal.nativeConnection,
      taskQueue: 'secrets',
      workflowsPath: require.resolve('./secrets-workflows'),
    });
    const ends = await worker.runUntil(
      temporal.client.workflow.execute<typeof callActivities>('callActivities', {
        ...{ workflowId: 'calls', taskQueue: 'secrets', args: [calls] },
      }),
    );
    // They have failed of what they should.
    const quoted = Object.entries(ends).flatMap(([name, text]) => (text.includes(SAID) ? [name] : []));
    expect(quoted).toEqual(
      expect.arrayContaining([
        ...['removeRecoveryResources', 'ensureShellImage', 'startInstance', 'deleteFailbackSnapshots'],
        ...['inspectDns', 'readPower', 'startVm'],
      ]),
    );
    expect(ends.runHook).toContain('LIFEBOAT_PLAN=');
  }, 180_000);

  it('commands that are refused, of any peer, tell none of them', async () => {
    // What answers in AWS's stead, and Temporal's.
    const gateway = createHttpServer((request, response) => {
      response.writeHead(403, { 'content-type': 'application/xml' });
      const asked = `${quoting()} ${request.rawHeaders.join(' ')} ${request.url}`;
      response.end(`<Error><Code>AccessDenied</Code><Message>${xml(asked)}</Message></Error>`);
    });
    const server = http2.createServer();
    server.on('stream', (stream, headers) => {
      const message = encodeURIComponent(`${quoting()} ${headers.authorization ?? ''}`);
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '7', 'grpc-message': message },
        { endStream: true },
      );
    });
    for (const one of [gateway, server]) await new Promise<void>((up) => one.listen(0, '127.0.0.1', up));
    const [atAws, atTemporal] = [gateway, server].map(
      (one) => `127.0.0.1:${(one.address() as AddressInfo).port}`,
    );
    const refusing = {
      TEMPORAL_ADDRESS: atTemporal!,
      TEMPORAL_API_KEY: canaries["Temporal's API key"],
      TEMPORAL_TLS: 'false',
    };
    const worker = startWorker('control', refusing);
    const session = { AWS_SESSION_TOKEN: canaries['the AWS session token'] };
    const said = await Promise.all([
      command(['status', PLAN, '--json'], { AWS_ENDPOINT_URL: `http://${atAws}`, ...session }),
      command(['commit', PLAN], refusing),
      command(['failover', PLAN, '--test', '--json']),
      command(['sweep', PLAN]),
      command(['vsphere', 'check', '--json', PLAN]),
    ]);
    rooms['the command'] = said.join('\n');
    for (const one of said) expect(one).toContain(SAID);
    await eventually(SECONDS, () =>
      Promise.resolve(worker.log().includes('not reachable') ? true : undefined),
    );
    worker.child.kill('SIGKILL');
    for (const one of [gateway, server]) one.close();
    gateway.closeAllConnections();
  }, 180_000);

  it('no room has one, and each room was looked into', async () => {
    refuses = false;
    rooms.metrics = await (await fetch(`http://${metrics}/metrics`)).text();
    const { runs, attributes } = await temporalRooms(temporal);
    Object.assign(rooms, { histories: runs, 'search attributes and summaries': attributes });
    rooms.repository = filesBelow(account.directory);
    watch.stop();
    Object.assign(rooms, {
      ...{ 'arguments of tools': watch.arguments, 'environment of tools': watch.environments },
      logs,
      'files left': filesBelow(place('state')) + filesBelow(place('tmp')),
    });
    writeFileSync(join(place('tmp'), PLAN), '');
    rooms['files left'] += filesBelow(place('tmp'));
    expect(findCanaries(rooms, all)).toEqual([]);
    // Who asked for the command's run is no secret.
    expect(rooms.histories).toMatch(/"askedBy":\{"by":"[^"]+@[^"]+","as":"arn:aws:/);
    const { repository, ...others } = rooms;
    expect(findCanaries(others, BOOT_SCRIPT)).toEqual([]);
    expect(repository).toContain(BOOT_SCRIPT['the boot script']);
    // What is no secret is found in each: they are not empty, and this search can fail.
    const planted = findCanaries(rooms, { planted: PLAN });
    expect([...new Set(planted.map((line) => line.split(':')[0]))].sort()).toEqual(Object.keys(rooms).sort());
    for (const [how, shape] of shapesOf(canaries["the codec's key"]))
      for (const around of ['', 'x', 'xy'])
        expect(findCanaries({ room: `${around}${shape} ` }, all).join()).toContain(
          how === 'in JSON' ? 'plain' : how,
        );
  }, 120_000);
});

const DNS: NonNullable<DrPlan['dns']> = {
  hostedZone: 'ZLIFEBOATSHOP',
  records: [{ name: 'db.shop.example', vm: 'db', address: 'private', ttl: 60 }],
};
