import { join } from 'node:path';
import { runCli } from '../../cli/program';
import { type DrPlan } from '../../plan/schema';
import { projectRoot } from '../../host/project-root';
import { type FaultRule } from '../../sandbox/aws/faults/rule';
import { roleEnvironment } from '../../sandbox/access/profiles';
import { workerEnvironment } from '../../sandbox/supervisor/processes';
import { ExpectedDisks } from '../chaos/disks';
import { removeSystemDisks } from '../chaos/guests';
import { SeededRandom } from '../chaos/random';
import { changedInstallation, type ControlProcess, startControl } from '../support/control-versions';
import { plainPlan } from '../support/e2e-plan';
import { type E2eSandbox, openE2eSandbox, SANDBOX_SECONDS } from '../support/e2e-sandbox';
import { eventually } from '../support/eventually';
import { testIo } from '../unit/cli-io';

const STEP_MS = 240_000;
/** Of temporal.api.enums.v1.VersioningBehavior. */
const AUTO_UPGRADE = 2;
/** A restore asks again and again until they are there. */
const NO_SNAPSHOTS: FaultRule = {
  name: 'no snapshots',
  operations: ['DescribeSnapshots'],
  fault: { kind: 'error', code: 'InternalError', message: 'It is busy.', status: 500 },
};

/** Namespaces, taps and FUSE need root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

asRoot('two versions of the control worker (needs root)', () => {
  let sandbox: E2eSandbox;
  let disks: ExpectedDisks;
  let changed: string;
  const workers: ControlProcess[] = [];
  const shop: DrPlan = plainPlan('shop', ['db']);
  const wiki: DrPlan = plainPlan('wiki', ['page']);
  for (const vm of [...shop.vms, ...wiki.vms]) vm.approval = true;

  beforeAll(async () => {
    sandbox = await openE2eSandbox('deployments', {
      ...{ runner: 'no-boot', application: 'none' },
    });
    const { config, client } = sandbox;
    changed = await changedInstallation(join(config.directory, 'changed'));
    disks = new ExpectedDisks(join(config.directory, 'expected'), {
      plan: 'shop',
      vms: ['db', 'page'].map((name) => ({ name, guest: 'debian', dataSectors: 0, dependsOn: [] })),
      steps: [],
    });
    await disks.make(sandbox.site, new SeededRandom(17));
    await Promise.all(
      [shop, wiki].map(async (plan) => (await client.replicate(await sandbox.publish(plan))).result()),
    );
  }, SANDBOX_SECONDS * 1000);

  afterAll(async () => {
    for (const worker of workers) await worker.kill();
    removeSystemDisks();
    await sandbox?.close();
  }, SANDBOX_SECONDS * 1000);

  async function lifeboat(...argv: string[]): Promise<string> {
    const world = testIo(process.env, sandbox.config.directory);
    const exitCode = await runCli(argv, world.io);
    expect([exitCode, world.err]).toEqual([0, expect.not.stringContaining('lifeboat:')]);
    return world.out;
  }

  /** Starts a control worker of the deployment. @returns it, and the name of its version */
  async function start(dist: string): Promise<{ worker: ControlProcess; buildId: string }> {
    const env = {
      ...process.env,
      ...workerEnvironment(sandbox.config),
      ...roleEnvironment(sandbox.config, 'control'),
      LIFEBOAT_DEPLOYMENT: 'lifeboat',
    };
    const worker = startControl(dist, env);
    workers.push(worker);
    const [, buildId = ''] = await worker.says(/^Lifeboat (\S+): control@.* \1, of lifeboat$/m);
    return { worker, buildId };
  }

  /** Versions by which the tasks of a workflow were done, in order, each once in a row. */
  async function versionsOf(workflowId: string, runId?: string): Promise<string[]> {
    const { events } = await sandbox.client.temporal.workflow.getHandle(workflowId, runId).fetchHistory();
    const all = (events ?? []).flatMap(({ workflowTaskCompletedEventAttributes: done }) =>
      done == null ? [] : [done.deploymentVersion?.buildId ?? 'no version'],
    );
    return all.filter((version, index) => version !== all[index - 1]);
  }

  it(
    'a failover ends on the version that began it, replication moves on, and a new one begins on the new version',
    async () => {
      const { client } = sandbox;
      const decision = { by: 'ada', why: 'looked at it' };
      const gate = (plan: string, vm: string) =>
        eventually(60, async () => (await lifeboat('status', plan)).includes(`VM ${vm}`) || undefined);
      const before = await client.failover({ plan: 'wiki', mode: 'test' });
      await gate('wiki', 'page');

      // What workers without a version have begun goes on with the first version.
      const a = await start(join(projectRoot(), 'dist'));
      await a.worker.says(/is the first version of lifeboat, and has made itself current/);
      await client.decisions.approve('wiki', decision, { test: true });
      await before.result();
      expect(await versionsOf(before.workflowId, before.runId)).toEqual(['no version', a.buildId]);

      const failover = await client.failover({ plan: 'shop', mode: 'disaster' });
      await gate('shop', 'db');
      await sandbox.breakAws(NO_SNAPSHOTS);
      const replication = await client.replicate({ plan: 'wiki' });
      const replicated = replication.result();
      try {
        await eventually(60, async () => {
          const [version] = await versionsOf('lifeboat:wiki:restore').catch(() => []);
          return version === a.buildId ? true : undefined;
        });

        const b = await start(changed);
        expect(b.buildId).not.toBe(a.buildId);
        await b.worker.says(
          new RegExp(`is not the current version of lifeboat; that is .*${a.buildId.slice(-12)}`),
        );
        const pinned = { buildId: a.buildId, status: 'current', pinnedRuns: [failover.workflowId] };
        const idle = { buildId: b.buildId, status: 'inactive', pinnedRuns: [] };
        // The server's search is a moment behind.
        const versions = await eventually(30, async () => {
          const found = JSON.parse(await lifeboat('worker', 'versions', '--json')) as { versions: object[] };
          expect(found).toMatchObject({ current: a.buildId, versions: [{}, {}] });
          for (const version of [pinned, idle])
            expect(found.versions).toContainEqual(expect.objectContaining(version));
          return found.versions;
        });
        expect(versions).toHaveLength(2);
        expect(await lifeboat('worker', 'promote', b.buildId)).toContain(`ends on ${a.buildId}`);
        await sandbox.mendAws();
        await replicated;
        expect(await versionsOf(replication.workflowId, replication.runId)).toEqual([a.buildId, b.buildId]);

        // Without its version the failover waits, whatever is there of others.
        await a.worker.kill();
        const approved = client.decisions.approve('shop', decision);
        approved.catch(() => undefined);
        expect(await lifeboat('status', 'shop')).toContain(
          `no control worker answers\nIt goes on when a control worker of ${a.buildId} answers`,
        );
        await start(join(projectRoot(), 'dist'));
        await approved;
        expect(await failover.result()).toMatchObject({ vms: [{ vm: 'db' }] });
        for (const workflowId of [failover.workflowId, `${failover.workflowId}:db`])
          expect(await versionsOf(workflowId)).toEqual([a.buildId]);

        const test = await client.failover({ plan: 'wiki', mode: 'test', approveAll: decision });
        await test.result();
        expect(await versionsOf(test.workflowId)).toEqual([b.buildId]);
        // The fence, which the failover has left, may last for months.
        const fence = await client.temporal.workflow.getHandle('lifeboat:shop:fence').describe();
        expect(fence.raw.workflowExecutionInfo?.versioningInfo?.behavior).toBe(AUTO_UPGRADE);
        await eventually(30, async () =>
          (await lifeboat('worker', 'versions')).includes(`${a.buildId} is needed no more`)
            ? true
            : undefined,
        );

        expect(await lifeboat('worker', 'promote', a.buildId)).toContain(`ends on ${b.buildId}`);
      } finally {
        await sandbox.mendAws();
        await replicated.catch(() => undefined);
      }
    },
    STEP_MS,
  );
});
