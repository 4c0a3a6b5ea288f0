import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompleteSnapshotCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { type Tag } from '@aws-sdk/client-ec2';
import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { AWS_PROXY_QUEUE } from '../../activities/task-queues';
import { tagList } from '../../activities/aws-proxy/account/tags';
import { projectRoot } from '../../host/project-root';
import { lifeboatVersion } from '../../host/version';
import { freePort } from '../../sandbox/free-ports';
import { eventually } from '../support/eventually';
import { familiesOf, itWithPromtool, promtool, seriesOf } from '../support/promtool';
import { describeWithTemporal, startTemporal } from '../workflows/local-temporal';
import { startTestAccount, type TestAccount } from '../contract/test-account';

/** A worker that is started on two busy cores. */
const START_SECONDS = 60;
const TEST_MS = 2 * START_SECONDS * 1000;

/** Sockets that a process listens on, as it has them (proc(5)). */
function listening({ pid }: ChildProcess): string[] {
  const own = new Set(
    readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      } catch {
        // Closed since.
        return undefined;
      }
    }),
  );
  return ['tcp', 'tcp6'].flatMap((kind) =>
    readFileSync(`/proc/${pid}/net/${kind}`, 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === '0A' && own.has(inode))
      .map(([, local = '']) => local),
  );
}

describeWithTemporal('metrics of a worker', () => {
  let temporal: TestWorkflowEnvironment;
  let account: TestAccount;
  let directory: string;
  let children: ChildProcess[] = [];
  beforeAll(async () => {
    [temporal, account] = await Promise.all([startTemporal(), startTestAccount()]);
    directory = mkdtempSync(join(tmpdir(), 'lifeboat-metrics-'));
  }, 120_000);
  afterEach(async () => {
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || !child.kill('SIGKILL')) return;
        await once(child, 'exit');
      }),
    );
    children = [];
  });
  afterAll(async () => {
    await Promise.all([temporal.teardown(), account.close()]);
    rmSync(directory, { recursive: true });
  }, 30_000);

  /** An AWS proxy; `log` is what it says. */
  function startWorker(settings: Record<string, string>): { child: ChildProcess; log: () => string } {
    const child = spawn(process.execPath, [join(projectRoot(), 'dist/cli/main.js'), 'worker', 'aws-proxy'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env.PATH,
        AWS_REGION: account.repository.region,
        AWS_ENDPOINT_URL: account.repository.endpoint,
        AWS_ACCESS_KEY_ID: process.env.AWS_ACCESS_KEY_ID,
        AWS_SECRET_ACCESS_KEY: process.env.AWS_SECRET_ACCESS_KEY,
        TEMPORAL_ADDRESS: temporal.address,
        LIFEBOAT_REPOSITORY: 's3://nobody-asks/here',
        LIFEBOAT_STATE_DIRECTORY: directory,
        LIFEBOAT_PROXY_INSTANCE_ID: 'i-0a11fe00000000001',
        LIFEBOAT_PROXY_AVAILABILITY_ZONE: 'eu-central-1a',
        ...settings,
      },
    });
    children.push(child);
    let log = '';
    child.stderr?.on('data', (data) => (log += String(data)));
    return { child, log: () => log };
  }

  /** @param change of the tags that a restore gives */
  async function drCopy(plan: string, vm: string, change: (tags: Tag[]) => Tag[] = (tags) => tags) {
    const { ebs } = account.clients;
    const tags = tagList({
      ...{ plan, vm, run: 'run-1', role: 'dr-copy', disk: 'system', sizeBytes: 2 ** 20, slot: 0, boot: true },
      ...{ diskCount: 1, attempt: 1, blockMap: '0'.repeat(64) },
      recoveryPoint: '20260101T010000Z-00000001',
      takenAt: '2026-01-01T01:00:00.000Z',
    });
    const { SnapshotId } = await ebs.send(new StartSnapshotCommand({ VolumeSize: 1, Tags: change(tags) }));
    await ebs.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 0 }));
  }

  let scrape: string;

  it(
    'are served at the address that it is told, with what the account says of DR copies',
    async () => {
      await drCopy('shop', 'db');
      await drCopy('wiki', 'wiki');
      const hostile = 'x"} 1\nlifeboat_hostile{y="';
      await drCopy('shop', 'web', (tags) =>
        tags.map((tag) => (tag.Key === 'lifeboat:vm' ? { ...tag, Value: hostile } : tag)),
      );
      const port = await freePort();
      const { child } = startWorker({ LIFEBOAT_METRICS_ADDRESS: `127.0.0.1:${port}` });
      scrape = await eventually(START_SECONDS, async () => {
        const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
        return text.includes('lifeboat_aws_requests_total') && text.includes('recovery_point')
          ? text
          : undefined;
      });
      const series = seriesOf(scrape);
      const takenAt = Date.parse('2026-01-01T01:00:00Z') / 1000;
      const points = [...series].filter(([name]) => name.includes('recovery_point'));
      expect(Object.fromEntries(points)).toEqual({
        'lifeboat_dr_copy_recovery_point_timestamp_seconds{plan="shop",vm="db"}': takenAt,
        'lifeboat_dr_copy_recovery_point_timestamp_seconds{plan="wiki",vm="wiki"}': takenAt,
      });
      expect(series.get(`lifeboat_worker_info{role="aws-proxy",version="${lifeboatVersion()}"}`)).toBe(1);
      const ago = Date.now() / 1000 - (series.get('lifeboat_facts_timestamp_seconds{source="aws"}') ?? 0);
      expect(ago).toBeLessThan(START_SECONDS);
      const request = '{action="DescribeSnapshots",service="ec2"}';
      expect(series.get(`lifeboat_aws_requests_total${request}`)).toBeGreaterThanOrEqual(1);
      expect(series.get(`lifeboat_aws_requests_throttled_total${request}`)).toBe(0);
      // Temporal's own are beside them.
      const pollers = [...series.keys()].filter((name) => name.startsWith('temporal_num_pollers{'));
      expect(pollers.some((name) => name.includes(`task_queue="${AWS_PROXY_QUEUE}"`))).toBe(true);
      expect(scrape).not.toContain('lifeboat_hostile');
      expect(listening(child)).toHaveLength(1);
    },
    TEST_MS,
  );

  itWithPromtool('are as Prometheus wants them', () => {
    const own = familiesOf(scrape, 'lifeboat_');
    expect(own).toContain('# TYPE lifeboat_worker_info gauge');
    expect(promtool(['check', 'metrics'], own)).toEqual({ code: 0, text: '' });
    // It can find something.
    expect(promtool(['check', 'metrics'], '# TYPE a_count counter\na_count 1\n').code).not.toBe(0);
  });

  it(
    'are nowhere where it is told no address',
    async () => {
      const { child, log } = startWorker({});
      await eventually(START_SECONDS, () =>
        Promise.resolve(log().includes("state: 'RUNNING'") ? true : undefined),
      );
      expect(listening(child)).toEqual([]);
    },
    TEST_MS,
  );

  it(
    'are served before Temporal is there, and the worker can be ended all the same',
    async () => {
      const port = await freePort();
      const { child } = startWorker({
        LIFEBOAT_METRICS_ADDRESS: `127.0.0.1:${port}`,
        TEMPORAL_ADDRESS: '127.0.0.1:1',
      });
      await eventually(START_SECONDS, async () => {
        const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
        return text.includes('lifeboat_facts_timestamp_seconds{source="aws"} 0\n') ? true : undefined;
      });
      child.kill('SIGTERM');
      expect(await once(child, 'exit')).toEqual([143, null]);
    },
    TEST_MS,
  );

  it(
    'are one error where the address is taken',
    async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const { child, log } = startWorker({ LIFEBOAT_METRICS_ADDRESS: `127.0.0.1:${port}` });
      const [code] = (await once(child, 'close')) as [number];
      server.close();
      expect(log()).toMatch(
        /^lifeboat: .*LIFEBOAT_METRICS_ADDRESS must be an address that nothing else listens on \(127\.0\.0\.1:\d+: .*in use.*\n$/,
      );
      expect(code).toBe(2);
    },
    TEST_MS,
  );
});
