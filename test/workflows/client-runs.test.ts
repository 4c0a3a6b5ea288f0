import { once } from 'node:events';
import http from 'node:http';
import { type AddressInfo } from 'node:net';
import { Context } from '@temporalio/activity';
import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { runCli } from '../../cli/program';
import { lifeboatClient, type LifeboatClient } from '../../client/client';
import { AlreadyRunningError } from '../../client/errors';
import { look } from '../../client/progress';
import { CONTROL_QUEUE } from '../../activities/task-queues';
import { type KeptFinding } from '../../plan/readiness';
import { testIo } from '../unit/cli-io';
import { GOOD_PLAN, planFolder } from '../unit/plan-file';
import { finish } from './client-runs-workflows';
import { describeWithTemporal, startTemporal } from './local-temporal';

describeWithTemporal('the client and the command on a real Temporal server', () => {
  let server: TestWorkflowEnvironment;
  let worker: Worker;
  let working: Promise<void>;
  let client: LifeboatClient;
  let bucket: Awaited<ReturnType<typeof bucketServer>>;
  let folder: ReturnType<typeof planFolder>;
  const environment = { ...process.env };

  beforeAll(async () => {
    server = await startTemporal();
    worker = await Worker.create({
      connection: server.nativeConnection,
      taskQueue: CONTROL_QUEUE,
      workflowsPath: require.resolve('./client-runs-workflows'),
      activities: {
        async copyDisk(vm: string) {
          for (let doneBlocks = 3; ; doneBlocks = Math.min(doneBlocks + 1, 9)) {
            Context.current().heartbeat({
              what: 'backup',
              vm,
              disk: 'system',
              doneBlocks,
              totalBlocks: 12,
              bytes: 1024,
            });
            await Promise.race([Context.current().sleep(200), copied]);
            if (isCopied) return;
          }
        },
        findings: () => Promise.resolve(found),
        async launchShell() {
          throw new Error('There is no such instance type: m6i.huge.');
        },
      },
      maxHeartbeatThrottleInterval: 100,
      defaultHeartbeatThrottleInterval: 100,
    });
    working = worker.run();
    client = await lifeboatClient({ client: server.client });
    bucket = await bucketServer();
    folder = planFolder();
    for (const name of Object.keys(process.env))
      if (/^(AWS|TEMPORAL|LIFEBOAT)_/.test(name)) delete process.env[name];
    Object.assign(process.env, {
      TEMPORAL_ADDRESS: server.address,
      TEMPORAL_NAMESPACE: server.namespace ?? 'default',
      TEMPORAL_CONFIG_FILE: `${folder.directory}/none.toml`,
      LIFEBOAT_WEB_UI: 'http://127.0.0.1:8233/',
      AWS_ENDPOINT_URL: bucket.url,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    });
  }, 60_000);

  afterAll(async () => {
    process.env = { ...environment };
    worker?.shutdown();
    await working;
    await server?.teardown();
    bucket?.close();
    folder?.remove();
  }, 60_000);

  let found: KeptFinding[] = [];
  let isCopied = false;
  let copied: Promise<void>;
  let endCopy: () => void;
  beforeEach(() => {
    isCopied = false;
    copied = new Promise((resolve) => {
      endCopy = () => {
        isCopied = true;
        resolve();
      };
    });
  });

  function command(...argv: string[]) {
    const world = testIo(process.env, folder.directory);
    return { world, done: runCli(argv, world.io) };
  }

  async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = Date.now() + 20_000;
    while (!(await condition())) {
      if (Date.now() > deadline) throw new Error(`waited in vain for ${condition.toString()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  it('a test of who is told shows what each answers, and fails where one has not got it', async () => {
    const other = planFolder(GOOD_PLAN.replace('name: shop', 'name: told'));
    const good = command('notify', other.file, '--test', '--json');
    expect(await good.done).toBe(0);
    other.remove();
    const bad = command('notify', folder.file, '--test');
    expect(await bad.done).toBe(1);
    expect(bad.world.out).toMatch(/webhook https:\/\/ops\.example\W+yes\W+HTTP 204/);
    expect(bad.world.out).toMatch(/arn:aws:sns:eu-central-1:1:ops\W+no\W+no such topic\?\[2J/);
    expect(good.world.json).toMatchObject({
      command: 'tryNotices',
      ok: true,
      result: { receivers: [{ delivered: true }, { delivered: true }] },
    });
  }, 60_000);

  it('a run is started, watched, detached from, attached to again, and completes', async () => {
    const first = command('backup', folder.file);
    await until(() => /backup db\/system: (25|50|75) %/.test(first.world.err));
    first.world.interrupt();
    expect(await first.done).toBe(130);
    expect(first.world.out).toBe('');
    expect(first.world.err).toMatch(
      /started lifeboat:shop:backup\n {2}http:\/\/127\.0\.0\.1:8233\/namespaces\/default\/workflows\/lifeboat%3Ashop%3Abackup\/[0-9a-f-]{36}\n/,
    );
    expect(first.world.err).toContain('db: copying (one | two)');
    expect(first.world.err).toContain(`To follow it again: lifeboat backup ${folder.file}`);

    const running = await client.attach('backup', { plan: 'shop' });
    if (running === undefined) throw new Error('the run does not go on');
    const { events } = await client.temporal.workflow.getHandle(running.workflowId).fetchHistory();
    // For the replay of a run of a thousand VMs; Temporal's own is 10.
    const { workflowTaskTimeout } = events?.[0]?.workflowExecutionStartedEventAttributes ?? {};
    expect(Number(workflowTaskTimeout?.seconds)).toBe(30);
    const { snapshot } = await look(client.temporal, running);
    expect(snapshot).toMatchObject({
      running: true,
      status: { phase: 'backing up' },
      copies: [{ vm: 'db', totalBlocks: 12 }],
    });
    await expect(client.backup({ plan: 'shop' })).rejects.toBeInstanceOf(AlreadyRunningError);

    const published = bucket.puts();
    const other = planFolder(GOOD_PLAN.replace('15m', '20m'));
    const refused = command('backup', other.file, '--json');
    expect(await refused.done).toBe(4);
    expect(refused.world.json).toMatchObject({ ok: false, exitCode: 4, error: { runId: running.runId } });
    expect(bucket.puts()).toBe(published);
    other.remove();

    const again = command('backup', folder.file, '--json');
    await until(() => again.world.err.includes('attached to'));
    endCopy();
    await client.temporal.workflow.getHandle(running.workflowId).signal(finish);
    expect(await again.done).toBe(0);
    expect(again.world.json).toEqual({
      command: 'backup',
      ok: true,
      plan: 'shop',
      digest: running.digest,
      run: {
        workflowId: 'lifeboat:shop:backup',
        runId: running.runId,
        webUi: expect.stringContaining(running.runId) as string,
      },
      attached: true,
      outcome: 'completed',
      result: expect.objectContaining({ plan: 'shop' }) as object,
      error: null,
    });
  }, 60_000);

  it('the result is a table for people, and --no-wait returns at once', async () => {
    const started = command('backup', folder.file, '--no-wait', '--json');
    expect(await started.done).toBe(0);
    expect(started.world.json).toMatchObject({ ok: true, outcome: 'started', attached: false, result: null });
    endCopy();
    await client.temporal.workflow.getHandle('lifeboat:shop:backup').signal(finish);
    const shown = command('backup', folder.file);
    expect(await shown.done).toBe(0);
    expect(shown.world.out).toMatch(/db .* system .* full .* 2026-11-23T18:00:00.000Z .* 12 .* 6 MiB .* 3 s/);
  }, 60_000);

  it('a failure is told by its last cause, with VM and step', async () => {
    const { world, done } = command('failover', folder.file, '--json');
    expect(await done).toBe(1);
    expect(world.json).toMatchObject({
      command: 'failover',
      ok: false,
      outcome: 'failed',
      error: { message: 'There is no such instance type: m6i.huge.', vm: 'web', step: 'launchShell' },
    });
    expect(world.err).toContain(
      'lifeboat: the failover failed: web, launchShell: There is no such instance type: m6i.huge.\n',
    );

    const test = command('failover', folder.file, '--test');
    expect(await test.done).toBe(1);
    expect(test.world).toMatchObject({ out: '' });
    expect(test.world.err).toContain('started lifeboat:shop:failover-test');
    expect(test.world.err).toContain('the failover failed: There is no DR copy of shop.');
  }, 60_000);

  it('what counts at the beginning only is told to whoever attaches with it', async () => {
    const told = async (...options: string[]) => {
      const attached = command('failback', folder.file, '--no-wait', ...options);
      expect(await attached.done).toBe(0);
      return /It had begun before: (.*) counts only/.exec(attached.world.err)?.[1];
    };
    expect(await told('--replace')).toBeUndefined();
    expect(await told()).toBeUndefined();
    expect(await told('--replace', '--hardware', 'original')).toBe('--replace, --hardware');
    await client.temporal.workflow.getHandle('lifeboat:shop:failback').signal(finish);
  }, 60_000);

  it('a check tells by its exit code whether the plan is ready, and what is to be done', async () => {
    const ready = command('check', folder.file);
    expect(await ready.done).toBe(0);
    expect(ready.world.out).toContain(': ready, as of');
    const finding = {
      code: 'guest',
      vm: 'db',
      text: 'It is odd.',
      todo: 'Look.',
      since: '2026-11-30T10:00:00Z',
    };
    found = [{ ...finding, code: 'guest', severity: 'warning' }];
    const warned = command('check', folder.file, '--json');
    expect(await warned.done).toBe(5);
    expect(warned.world.json).toMatchObject({
      command: 'check',
      ok: true,
      outcome: 'completed',
      result: { verdict: 'ready with warnings', findings: found },
    });
    found = [{ ...finding, code: 'dns', severity: 'impossible' }];
    const unready = command('check', folder.file);
    expect(await unready.done).toBe(6);
    expect(unready.world.out).toContain(
      '- impossible · db · since 2026-11-30T10:00:00Z\n  It is odd.\n  To do: Look.\n',
    );
  }, 60_000);

  it('a schedule is created, updated, shown and deleted', async () => {
    expect(await command('schedule', 'show', 'shop').done).toBe(2);
    const created = command('schedule', 'create', folder.file, '--json');
    expect(await created.done).toBe(0);
    expect(created.world.json).toMatchObject({
      command: 'schedule create',
      done: 'created',
      schedule: { scheduleId: 'lifeboat:shop:replication', frequencySeconds: 900, paused: false, skipped: 0 },
    });
    const description = await server.client.schedule.getHandle('lifeboat:shop:replication').describe();
    expect(description.policies).toMatchObject({ overlap: 'SKIP', catchupWindow: 900_000 });
    expect(description.action).toMatchObject({
      workflowType: 'replication',
      taskQueue: CONTROL_QUEUE,
      workflowTaskTimeout: 30_000,
      args: [{ plan: 'shop' }],
    });

    const faster = planFolder(GOOD_PLAN.replace('15m', '5m'));
    const updated = command('schedule', 'create', faster.file);
    expect(await updated.done).toBe(0);
    expect(updated.world.out).toBe(
      'The schedule of shop is updated: every 5 min.\nIt is checked every 30 min, and now.\n',
    );
    faster.remove();
    const shown = command('schedule', 'show', 'shop', '--json');
    expect(await shown.done).toBe(0);
    expect(shown.world.json).toMatchObject({
      schedule: { frequencySeconds: 300 },
      checkSchedule: { scheduleId: 'lifeboat:shop:check', frequencySeconds: 1800 },
    });
    const checks = await server.client.schedule.getHandle('lifeboat:shop:check').describe();
    expect(checks.policies).toMatchObject({ overlap: 'SKIP' });
    expect(checks.action).toMatchObject({ workflowType: 'check', args: [{ plan: 'shop' }] });
    // The plan that was just published is checked at once.
    await until(async () => (await client.checkSchedules.describe('shop'))?.recentRuns.length === 2);
    expect(await command('schedule', 'create', folder.file, '--check-every', 'often').done).toBe(2);
    const seldom = command('schedule', 'create', folder.file, '--check-every', '4h');
    expect(await seldom.done).toBe(0);
    expect(seldom.world.out).toContain('It is checked every 4 h, and now.\n');
    expect(await command('schedule', 'create', folder.file, '--no-check').done).toBe(0);
    expect(await client.checkSchedules.describe('shop')).toBeUndefined();

    expect(await command('schedule', 'delete', 'shop').done).toBe(0);
    const gone = command('schedule', 'delete', 'shop');
    expect(await gone.done).toBe(2);
    expect(gone.world.err).toContain('The plan "shop" has no schedule');
  }, 60_000);
});

/** As much of S3 as publishing a plan needs: objects are put, kept and given back. */
async function bucketServer() {
  const objects = new Map<string, Buffer>();
  let puts = 0;
  const server = http.createServer((request, response) => {
    const key = (request.url ?? '').split('?')[0] ?? '';
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.method === 'PUT') {
        puts += 1;
        objects.set(key, Buffer.concat(chunks));
        response.setHeader('etag', '"1"').end();
        return;
      }
      const object = objects.get(key);
      if (object === undefined) response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
      else response.end(object);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    puts: () => puts,
    close: () => server.close(),
  };
}
