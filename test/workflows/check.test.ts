import { join } from 'node:path';
import { EBSClient } from '@aws-sdk/client-ebs';
import { ApplicationFailure } from '@temporalio/common';
import {
  bundleWorkflowCode,
  DefaultLogger,
  Worker,
  type WorkerOptions,
  type WorkflowBundle,
} from '@temporalio/worker';
import { createAwsProxyAnswers, createBackupProxyAnswers } from '../../activities/answers';
import { type CheckedReadiness } from '../../activities/aws-proxy/readiness/contract';
import { createControlActivities } from '../../activities/control/activities';
import { type ListedProxy } from '../../activities/control/workers/listed-proxy';
import { noteTest } from '../../activities/control/readiness';
import {
  AWS_PROXY_QUEUE,
  awsProxyAnswerQueue,
  BACKUP_PROXY_ANSWER_QUEUE,
  CONTROL_QUEUE,
  NOTICE_QUEUE,
  workerAnswerQueue,
} from '../../activities/task-queues';
import { checkText } from '../../cli/readiness-text';
import { lifeboatClient } from '../../client/client';
import { type Notice } from '../../plan/notices';
import { type PlanPhase } from '../../plan/run';
import { type ObjectStore } from '../../repository/objects/object-store';
import { takePlanState } from '../../repository/plans/plan-state';
import { publishPlan } from '../../repository/plans/plans';
import { readReadiness } from '../../repository/plans/readiness-record';
import { type CheckSummary } from '../../workflows/check';
import { type FailoverRequest } from '../../workflows/failover';
import { readinessAttribute } from '../../workflows/run/messages';
import { eventually } from '../support/eventually';
import { MemoryObjectStore } from '../support/memory-object-store';
import { plainPlan } from '../support/e2e-plan';
import { RUN } from '../support/run-context';
import { dependent, failOverOn } from './failover-run';
import { describeWithTemporal, temporalForTests } from './local-temporal';

const ZONE = 'eu-central-1a';
const AWS_PROXY = 'aws-proxy@here:1 0.1.0+4d1f0c27b9e8';
const BACKUP_PROXY = 'backup-proxy@there:2 0.1.0+4d1f0c27b9e8';
const SECONDS = 60_000;
const NOTHING: CheckedReadiness = {
  findings: [],
  recoveryPoints: { db: '20261123T101500Z-0199abcd' },
  proxyZones: [],
};

/** Who is there to answer, and what is seen of the site. */
interface Present {
  aws?: boolean;
  backup?: boolean;
  /** What the backup proxy reads the repository by. */
  backupStore?: ObjectStore;
  site?: () => Promise<CheckedReadiness>;
  /** Proxies that poll, as the control worker sees them; those that do where absent. */
  listed?: ListedProxy[];
  /** How many notices to wait for. */
  told?: number;
}

describeWithTemporal('a check on a real Temporal server', () => {
  const server = temporalForTests();
  const plan = plainPlan('shop', ['db']);
  let workflowBundle: WorkflowBundle;
  let store: MemoryObjectStore;
  beforeAll(async () => {
    const pace = join(__dirname, '../../workflows/run/pace');
    workflowBundle = await bundleWorkflowCode({
      workflowsPath: require.resolve('../../workflows'),
      logger: new DefaultLogger('ERROR'),
      webpackConfigHook: (config) => ({
        ...config,
        resolve: {
          ...config.resolve,
          alias: { ...config.resolve?.alias, [pace]: require.resolve('./busy-host-pace') },
        },
      }),
    });
  }, 120_000);
  beforeEach(async () => {
    store = new MemoryObjectStore();
    await publishPlan(store, plan, []);
  });

  /** One check of the plan, with these workers. @returns what it found, and the verdict among its search attributes */
  async function check({ aws = true, backup = true, backupStore = store, site, listed, told = 0 }: Present) {
    const { nativeConnection: connection, client: temporal } = server();
    const worker = (taskQueue: string, more: Partial<WorkerOptions>): Promise<Worker> =>
      Worker.create({ connection, taskQueue, ...more });
    const proxy = createAwsProxyAnswers({ worker: AWS_PROXY, availabilityZone: ZONE });
    const other = createBackupProxyAnswers({
      worker: BACKUP_PROXY,
      objectStore: () => backupStore,
      ebs: new EBSClient({ region: 'eu-central-1' }),
    });
    const control = createControlActivities({
      objectStore: () => store,
      repository: RUN.repository,
    });
    const checkReadiness = site ?? (() => Promise.resolve(NOTHING));
    const notices: Notice[] = [];
    const deliverNotice = ({ notice }: { notice: Notice }) => {
      notices.push(notice);
      return Promise.resolve({ answer: 'taken' });
    };
    const awsProxy = { identity: AWS_PROXY, activities: proxy };
    const backupProxy = { identity: BACKUP_PROXY, activities: other };
    const workers = [
      await worker(NOTICE_QUEUE, { activities: { deliverNotice } }),
      await worker(CONTROL_QUEUE, {
        workflowBundle,
        activities: {
          ...control,
          ...(listed === undefined
            ? {}
            : { lookAtWorkers: () => Promise.resolve({ proxies: listed, findings: [] }) }),
        },
      }),
      await worker(AWS_PROXY_QUEUE, { activities: { checkReadiness } }),
      ...(aws
        ? [
            await worker(awsProxyAnswerQueue(), awsProxy),
            await worker(awsProxyAnswerQueue(ZONE), awsProxy),
            await worker(workerAnswerQueue(AWS_PROXY), awsProxy),
          ]
        : []),
      ...(backup
        ? [
            await worker(BACKUP_PROXY_ANSWER_QUEUE, backupProxy),
            await worker(workerAnswerQueue(BACKUP_PROXY), backupProxy),
          ]
        : []),
    ];
    const working = workers.map((one) => one.run());
    try {
      const client = await lifeboatClient({ client: temporal });
      const run = await client.check({ plan: plan.name });
      const found = await run.result();
      const { typedSearchAttributes } = await run.handle.describe();
      await eventually(20, () => Promise.resolve(notices.length >= told ? true : undefined));
      return { found, attribute: typedSearchAttributes.get(readinessAttribute), notices };
    } finally {
      for (const one of workers) one.shutdown();
      await Promise.all(working);
    }
  }
  const codes = ({ findings }: CheckSummary) => findings.map(({ code, severity }) => [code, severity]);

  it(
    'is ready where all answer and nothing is found, and says so where people look',
    async () => {
      const { found, attribute } = await check({
        site: () => Promise.resolve({ ...NOTHING, proxyZones: [ZONE] }),
      });
      expect(found.test).toEqual({ tested: 'never', changed: [] });
      expect(found).toMatchObject({
        plan: 'shop',
        verdict: 'ready',
        findings: [],
        proxies: {
          aws: { worker: AWS_PROXY, availabilityZone: ZONE },
          backup: { worker: BACKUP_PROXY },
        },
      });
      expect(attribute).toBe('ready');
      const { plan: _, ...kept } = found;
      expect(await readReadiness(store, 'shop')).toEqual({ plan: 'shop', check: kept });
    },
    SECONDS,
  );

  it(
    'finds that nobody answers, at either site, and that nobody does in a zone',
    async () => {
      const nobody = await check({ aws: false, backup: false });
      expect(codes(nobody.found)).toEqual([
        ['aws-proxy', 'impossible'],
        ['backup-proxy', 'warning'],
      ]);
      expect(nobody).toMatchObject({ attribute: 'not ready', found: { proxies: {}, recoveryPoints: {} } });
      const elsewhere = await check({
        site: () => Promise.resolve({ ...NOTHING, proxyZones: [ZONE, 'eu-central-1b'] }),
      });
      expect(elsewhere.found.findings).toMatchObject([
        {
          code: 'aws-proxy-zone',
          severity: 'impossible',
          text: expect.stringContaining('eu-central-1b') as string,
        },
      ]);
    },
    SECONDS,
  );

  it(
    'asks every proxy for itself: one that is silent, one of another version, one that may not write',
    async () => {
      const backupStore = new MemoryObjectStore();
      backupStore.beforePut = (key) => {
        if (key.startsWith('pins/')) throw Object.assign(new Error('No.'), { code: 'AccessDenied' });
      };
      const listed: ListedProxy[] = [
        ...[AWS_PROXY, 'aws-proxy@here:0 0.1.0'].map((worker) => ({
          role: 'aws-proxy' as const,
          worker,
          version: '0.1.0',
          asked: true,
        })),
        { role: 'aws-proxy', worker: 'aws-proxy@old:1 0.0.9', version: '0.0.9', asked: false },
        { role: 'backup-proxy', worker: BACKUP_PROXY, version: '0.1.0', asked: true },
        { role: 'backup-proxy', worker: 'backup-proxy@gone:9 0.1.0', version: '0.1.0', asked: true },
      ];
      const { found } = await check({ backupStore, listed });
      expect(found.findings.map(({ code, severity, about }) => [code, severity, about])).toEqual([
        ['proxy-silent', 'warning', 'backup-proxy@gone'],
        [
          'permission',
          'warning',
          // Neither its process nor its version: after a start it is the same finding.
          'backup-proxy@there pins/db/*: s3:PutObject',
        ],
        ['version', 'warning', 'AWS proxy aws-proxy@old'],
      ]);
      expect(found.proxies.all).toEqual([
        { role: 'aws-proxy', worker: AWS_PROXY, version: '0.1.0', answered: 'yes', availabilityZone: ZONE },
        { role: 'aws-proxy', worker: 'aws-proxy@here:0 0.1.0', version: '0.1.0', answered: 'no' },
        { role: 'aws-proxy', worker: 'aws-proxy@old:1 0.0.9', version: '0.0.9', answered: 'not asked' },
        { role: 'backup-proxy', worker: BACKUP_PROXY, version: '0.1.0', answered: 'yes' },
        { role: 'backup-proxy', worker: 'backup-proxy@gone:9 0.1.0', version: '0.1.0', answered: 'no' },
      ]);
      const text = checkText(found);
      expect(text).toContain(`AWS proxy: ${AWS_PROXY}, version 0.1.0, in ${ZONE}.\n`);
      expect(text).toContain('Backup proxy: backup-proxy@gone:9 0.1.0, version 0.1.0; does not answer.\n');
      expect((await readReadiness(store, 'shop'))?.check?.proxies).toEqual(found.proxies);
    },
    SECONDS,
  );

  it(
    'tells since when, and takes what cannot be looked at for a finding',
    async () => {
      const first = await check({ backup: false });
      const since = first.found.checkedAt;
      expect(first.found).toMatchObject({ verdict: 'ready with warnings', findings: [{ since }] });
      const refused = () => {
        throw ApplicationFailure.nonRetryable('You may not describe subnets.', 'NotPermitted');
      };
      const second = await check({ backup: false, site: refused });
      expect(second.found.findings).toMatchObject([
        {
          code: 'not-checked',
          severity: 'impossible',
          text: expect.stringContaining('You may not describe subnets.') as string,
          since: second.found.checkedAt,
        },
        { code: 'backup-proxy', since },
      ]);
    },
    SECONDS,
  );

  it(
    'tells that a backup proxy does not reach the repository, and that the application is away',
    async () => {
      const backupStore = new MemoryObjectStore();
      backupStore.get = () => Promise.reject(Object.assign(new Error('no way'), { code: 'ECONNREFUSED' }));
      let replicated: boolean | undefined;
      const away: PlanPhase = 'failed-over';
      await takePlanState(store, RUN, ['none'], away);
      const { found } = await check({
        backupStore,
        site: (input?: { replicated: boolean }) => {
          ({ replicated } = input ?? {});
          return Promise.resolve(NOTHING);
        },
      });
      expect(codes(found)).toEqual([
        ['backup-proxy-repository', 'warning'],
        ['plan-phase', 'warning'],
      ]);
      expect(replicated).toBe(false);
    },
    SECONDS,
  );

  it(
    'tells people of what stands when it begins and when it is over, and not in between',
    async () => {
      const receivers = [{ webhook: { url: 'https://ops.example/', secret: 'ops' } }];
      await publishPlan(
        store,
        { ...plan, objectives: { rpo: 3600, testEvery: 86_400 }, notify: receivers },
        [],
      );
      const late = (vm: string) => ({
        ...{ code: 'dr-copy-age' as const, severity: 'warning' as const, vm },
        text: `The DR copy of ${vm} is old.`,
        todo: 'Look.',
      });
      const site = (...findings: CheckedReadiness['findings']) => Promise.resolve({ ...NOTHING, findings });
      const said = (notices: Notice[]) =>
        notices.map(({ event, standing, vms }) => [event, standing, ...(vms ?? [])].join(' ')).sort();

      const first = await check({ site: () => site(late('db')), told: 2 });
      expect(said(first.notices)).toEqual(['rpo-missed begun db', 'test-overdue begun']);
      expect(first.notices.find(({ event }) => event === 'rpo-missed')).toMatchObject({
        id: `${first.found.runId}-rpo-missed-begun`,
        text: 'The DR copy of db is old.',
        vmCount: 1,
        run: { type: 'check', workflowId: 'lifeboat:shop:check' },
        facts: { since: first.found.checkedAt, objectiveSeconds: 3600 },
      });
      // Nothing is new; and what cannot be seen is not over. That nothing answers is news, which comes after what there was.
      const second = await check({ site: () => site(late('db')) });
      const third = await check({ aws: false, told: 1 });
      expect([...said(second.notices), ...said(third.notices)]).toEqual(['not-ready begun']);
      await noteTest(store, { run: RUN, testedAt: new Date().toISOString(), rtoSeconds: 60 });
      const fourth = await check({ told: 3 });
      expect(said(fourth.notices)).toEqual(['not-ready over', 'rpo-missed over db', 'test-overdue over']);
    },
    SECONDS * 2,
  );

  it(
    'is told of a test failover that came to a good end, which does not fail where that cannot be noted',
    async () => {
      const of = dependent(['web'], {});
      const request = { plan: 'shop', mode: 'test' } as const;
      const ready = {
        ...{ availabilityZone: ZONE, version: '0.1.0', overridden: ['The address is in use.'] },
        drCopies: [
          {
            ...{ vm: 'web', recoveryPoint: 'r', takenAt: '2026-11-30T00:00:00Z', disks: [] },
            configuration: { cpus: 1, memoryMiB: 512, firmware: 'bios', disks: [], nics: [] },
          },
        ],
      };
      const forced: FailoverRequest = { ...request, force: ['address'] };
      const objectives = { rpo: 60, rto: 3600 };
      const good = await failOverOn(
        server(),
        forced,
        { checkFailover: () => ready },
        { of: { ...of, objectives } },
      );
      expect(good.outcome).toMatchObject({
        ...{ mode: 'test', overridden: ['The address is in use.'] },
        objectives: { rpo: { objective: 60, met: false }, rto: { objective: 3600, met: true } },
      });
      expect(good.inputs.get('checkFailover')).toMatchObject({ force: ['address'] });
      expect(good.calls.at(-1)).toBe('noteTest');
      expect(good.inputs.get('noteTest')).toMatchObject({ recoveryPoints: { web: 'r' }, awsProxy: '0.1.0' });
      const wrong = { ...request, force: ['dr-copy'] } as FailoverRequest;
      expect((await failOverOn(server(), wrong, {}, { of })).outcome).toMatchObject({ type: 'BadRequest' });
      const noteTest = () => {
        throw ApplicationFailure.nonRetryable('You may not.', 'NotPermitted');
      };
      const unnoted = await failOverOn(server(), request, { noteTest }, { of });
      expect(unnoted.outcome).toMatchObject({ mode: 'test' });
      const failing = () => {
        throw ApplicationFailure.nonRetryable('It does not boot.', 'NotReady');
      };
      const failed = await failOverOn(server(), request, { waitUntilReady: failing }, { of });
      expect(failed.outcome).toBeInstanceOf(Error);
      expect(failed.calls).not.toContain('noteTest');
    },
    SECONDS,
  );
});
