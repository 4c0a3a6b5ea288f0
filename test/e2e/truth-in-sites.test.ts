import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Connection, Client } from '@temporalio/client';
import { lifeboatClient, type LifeboatClient } from '../../client/client';
import { RunFailedError } from '../../client/errors';
import { siteStatus } from '../../client/site-status';
import { type DrPlan } from '../../plan/schema';
import { SHOP_HOSTED_ZONE_ID } from '../../sandbox/aws/fixtures';
import { projectRoot } from '../../host/project-root';
import { freePort } from '../../sandbox/free-ports';
import { roleEnvironment } from '../../sandbox/access/profiles';
import { roleName, type SandboxRole } from '../../sandbox/access/roles';
import { type SessionRecord } from '../../sandbox/aws/iam/identities';
import { TEMPORAL_NAMESPACE, workerEnvironment } from '../../sandbox/supervisor/processes';
import { waitUntilServing } from '../../sandbox/supervisor/readiness';
import { Account } from '../chaos/account';
import { type Journey } from '../chaos/journeys';
import { ExpectedDisks } from '../chaos/disks';
import { SeededRandom } from '../chaos/random';
import { plainPlan } from '../support/e2e-plan';
import { type E2eSandbox, openE2eSandbox, SANDBOX_SECONDS } from '../support/e2e-sandbox';
import { eventually } from '../support/eventually';
import { removeSystemDisks } from '../chaos/guests';
import { temporalCli } from '../workflows/local-temporal';

const NAME = 'www.shop.example';
const HOME = '192.168.10.100';
const STEP_MS = 240_000;
/** Far less than STS gives anybody: each of the workers needs a new one again and again. */
const SESSION_SECONDS = 20;

/** Namespaces, taps and FUSE need root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

asRoot('with the Temporal server and its database lost (needs root)', () => {
  let sandbox: E2eSandbox;
  let account: Account;
  let disks: ExpectedDisks;
  const others: ChildProcess[] = [];
  const plan: DrPlan = plainPlan('shop', ['db'], {
    dns: {
      hostedZone: SHOP_HOSTED_ZONE_ID,
      records: [{ name: NAME, vm: 'db', address: 'private', ttl: 60 }],
    },
  });

  beforeAll(async () => {
    sandbox = await openE2eSandbox('truth', {
      ...{ runner: 'no-boot', application: 'none', pace: 'quick' },
      times: { session: SESSION_SECONDS },
    });
    // A call that was signed right before its session ended: it is made again.
    sandbox.meansToBeRefused(
      ({ code }) => code === 'RequestExpired' || code?.startsWith('ExpiredToken') === true,
    );
    const { config } = sandbox;
    account = new Account(config);
    const journey: Journey = {
      plan: 'shop',
      vms: [{ name: 'db', guest: 'debian', dataSectors: 3000, dependsOn: [] }],
      steps: [],
    };
    disks = new ExpectedDisks(join(config.directory, 'expected'), journey);
    await disks.make(sandbox.site, new SeededRandom(5));
    await account.setAddress(NAME, HOME);
  }, SANDBOX_SECONDS * 1000);

  afterAll(async () => {
    for (const process of others) process.kill('SIGKILL');
    removeSystemDisks();
    account?.close();
    await sandbox?.close();
  }, SANDBOX_SECONDS * 1000);

  const status = async () => {
    const { aws, store } = sandbox;
    return siteStatus(plan, { ec2: aws.ec2, store, now: new Date(0) });
  };

  /** Another Temporal server. One that ends before it answers is started again: another may have had one of its ports. */
  async function otherServer(): Promise<{ address: string; connection: Connection }> {
    let server: ChildProcess | undefined;
    let address = '';
    let said = '';
    const start = async (): Promise<void> => {
      const port = await freePort();
      address = `127.0.0.1:${port}`;
      const where = ['--ip', '127.0.0.1', '--port', String(port), '--namespace', TEMPORAL_NAMESPACE];
      server = spawn(temporalCli() ?? 'temporal', ['server', 'start-dev', '--headless', ...where], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      server.stderr?.on('data', (data: Buffer) => (said = `${said}${data.toString()}`.slice(-2000)));
      others.push(server);
    };
    const connection = await eventually(120, async () => {
      if (server === undefined || server.exitCode !== null) await start();
      return Connection.connect({ address, connectTimeout: '2s' });
    }).catch((error: unknown) => {
      throw new Error(`The other Temporal server does not answer. It said: ${said}`, { cause: error });
    });
    return { address, connection };
  }

  /** Another Temporal server with its own workers on the same two sites: somebody else's orchestrator. */
  async function otherOrchestrator(): Promise<LifeboatClient> {
    const { address, connection } = await otherServer();
    const env = (role: SandboxRole): NodeJS.ProcessEnv => ({
      ...process.env,
      ...workerEnvironment(sandbox.config),
      ...roleEnvironment(sandbox.config, role),
      TEMPORAL_ADDRESS: address,
      LIFEBOAT_STATE_DIRECTORY: join(sandbox.config.directory, 'other-proxies'),
    });
    for (const role of ['control', 'aws-proxy', 'backup-proxy'] as const)
      others.push(
        spawn(process.execPath, [join(projectRoot(), 'dist/cli/main.js'), 'worker', role], {
          env: env(role),
          stdio: 'ignore',
        }),
      );
    return lifeboatClient({ client: new Client({ connection, namespace: TEMPORAL_NAMESPACE }) });
  }

  it(
    'tells the same, and fails over by the name of the plan alone',
    async () => {
      const argument = await sandbox.publish(plan);
      await (await sandbox.client.backup(argument)).result();
      await (await sandbox.client.restore(argument)).result();
      const before = await status();
      expect(before).toMatchObject({ phase: 'protected', vms: [{ vm: 'db', runsAt: 'primary' }] });

      await rm(sandbox.paths.temporal, { recursive: true });
      await mkdir(sandbox.paths.temporal);
      await (
        await sandbox.kill('temporal')
      ).startedAgain;
      // Their connections would come back by themselves; that the server is a new one is seen by new workers alone.
      for (const role of ['control', 'aws-proxy', 'backup-proxy'])
        await (
          await sandbox.kill(`worker-${role}`)
        ).startedAgain;
      await eventually(120, () => waitUntilServing(sandbox.config).then(() => true));
      // It knows of no run; the connection to the server that is gone may still have to notice.
      const known = await eventually(120, async () => [
        await sandbox.client.attach('restore', { plan: 'shop' }),
      ]);
      expect(known).toEqual([undefined]);
      expect(await status()).toEqual(before);

      const { vms } = await (await sandbox.client.failover({ plan: 'shop', mode: 'disaster' })).result();
      expect(await account.address(NAME)).toBe(vms[0]?.privateAddress);
      expect(await status()).toMatchObject({ phase: 'failed-over', vms: [{ vm: 'db', runsAt: 'recovery' }] });
    },
    STEP_MS,
  );

  it('has gone through many sessions of each role meanwhile', async () => {
    const directory = join(sandbox.paths.aws, 'sessions');
    const sessions = await Promise.all(
      (await readdir(directory)).map(
        async (name) => JSON.parse(await readFile(join(directory, name), 'utf8')) as SessionRecord,
      ),
    );
    for (const role of ['control', 'aws-proxy', 'backup-proxy'] as const) {
      const ended = sessions.filter(
        (session) => session.role === roleName(role) && Date.parse(session.expiresAt) < Date.now(),
      );
      expect({ role, some: ended.length > 3 }).toEqual({ role, some: true });
    }
  });

  it(
    'lets no revived primary site replicate over the copy of what was failed over',
    async () => {
      const snapshots = async () => (await account.ofPlan('shop')).filter(({ kind }) => kind === 'snapshot');
      const before = await snapshots();
      for (const start of [sandbox.client.restore, sandbox.client.backup]) {
        const failed: unknown = await (
          await start({ plan: 'shop' })
        )
          .result()
          .catch((error: unknown) => error);
        expect(failed).toBeInstanceOf(RunFailedError);
        expect(failed).toMatchObject({ message: expect.stringMatching(/failed-over/) });
      }
      expect(await snapshots()).toEqual(before);

      // A round of its schedule copies the instance instead, and nothing of the primary site.
      const round = await (await sandbox.client.replicate({ plan: 'shop' })).result();
      expect(round).toMatchObject({ awayCopies: [{ vm: 'db' }] });
      const after = await snapshots();
      const isAway = ({ tags }: (typeof after)[number]) => tags['lifeboat:role'] === 'away-copy';
      expect(after.filter((one) => !isAway(one))).toEqual(before);
      expect(after.filter(isAway)).not.toHaveLength(0);
    },
    STEP_MS,
  );

  it(
    'fences off what the old orchestrator still does, while both are alive',
    async () => {
      // Home again, as if nothing had been.
      for (const vm of await sandbox.site.hypervisor.listVms()) await sandbox.site.hypervisor.deleteVm(vm);
      await (await sandbox.client.failback({ plan: 'shop' })).result();
      await (await sandbox.client.commit({ plan: 'shop' })).result();
      expect(await account.address(NAME)).toBe(HOME);

      const other = await otherOrchestrator();
      try {
        // The old one hangs in the middle of its failover.
        await sandbox.breakAws({
          name: 'hang',
          operations: ['CreateVolume'],
          times: 1,
          fault: { kind: 'stuck', seconds: 15 },
        });
        const old = await sandbox.client.failover({ plan: 'shop', mode: 'disaster' });
        const oldEnd = old.result().catch((error: unknown) => error);
        await eventually(120, async () =>
          (await account.ofPlan('shop')).some(({ kind }) => kind === 'volume') ? true : undefined,
        );

        const { vms } = await (await other.failover({ plan: 'shop', mode: 'disaster' })).result();
        const [vm] = vms;
        expect(await oldEnd).toBeInstanceOf(RunFailedError);

        // What the new one made stands, and nothing else does.
        expect(await account.address(NAME)).toBe(vm?.privateAddress);
        expect(await status()).toMatchObject({
          phase: 'failed-over',
          vms: [{ instance: { instanceId: vm?.instanceId, state: 'running' } }],
        });
        const left = (await account.ofPlan('shop')).filter(({ kind }) => kind !== 'snapshot');
        expect(left.map(({ kind }) => kind).sort()).toEqual(['instance', 'volume', 'volume']);
        for (const { kind, attachedTo, id } of left)
          expect(kind === 'instance' ? id : attachedTo).toBe(vm?.instanceId);
      } finally {
        await other.close();
      }
    },
    STEP_MS,
  );
});
