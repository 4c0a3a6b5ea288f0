import { type Client } from '@temporalio/client';
import { keepCheck, noteTest } from '../../activities/control/readiness';
import { RequestTally } from '../../blocks/limits/request-tally';
import { planDigest, publishPlan } from '../../repository/plans/plans';
import { takePlanState } from '../../repository/plans/plan-state';
import { sample, type Sample } from '../../workers/metrics/catalogue';
import { countsCopies } from '../../workers/metrics/copies';
import { FactReporter } from '../../workers/metrics/facts';
import { planFacts } from '../../workers/metrics/plan-facts';
import { tellRequests } from '../../workers/metrics/requests';
import { MemoryObjectStore } from '../support/memory-object-store';
import { plainPlan } from '../support/e2e-plan';
import { RUN } from '../support/run-context';

const nobody = {} as Client;

/** Lines such as `lifeboat_findings{plan="shop",severity="warning"} 1`. */
const lines = (samples: Sample[]): string[] =>
  samples.map(({ name, labels, value }) => {
    const texts = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
    return `${name}{${texts.join(',')}} ${value}`;
  });

/** Takes what would be exported. */
class Told {
  readonly values = new Map<string, number>();
  readonly set = (one: Sample): void => {
    const [line = ''] = lines([one]);
    this.values.set(line.slice(0, line.lastIndexOf(' ')), one.value);
  };
  readonly count = (name: string, labels: Readonly<Record<string, string>>, by: number): void => {
    const key = `${name} ${Object.values(labels).join(' ')}`;
    this.values.set(key, (this.values.get(key) ?? 0) + by);
  };
}

describe('what the repository says of plans', () => {
  let store: MemoryObjectStore;
  const look = async () => lines(await planFacts(store).look(nobody));
  beforeEach(() => {
    store = new MemoryObjectStore();
  });

  it('is told of a plan that was never checked: it is not verified, and was never tested', async () => {
    await publishPlan(store, plainPlan('shop', ['db', 'web']), []);
    expect(await look()).toEqual([
      'lifeboat_vm_info{plan="shop",vm="db"} 1',
      'lifeboat_vm_info{plan="shop",vm="web"} 1',
      'lifeboat_replication_frequency_seconds{plan="shop"} 3600',
      'lifeboat_plan_phase{plan="shop",phase="none"} 1',
      ...['protected', 'failing-over', 'failed-over', 'failing-back', 'failed-back'].map(
        (phase) => `lifeboat_plan_phase{plan="shop",phase="${phase}"} 0`,
      ),
      ...['ready', 'ready with warnings', 'not ready'].map(
        (verdict) => `lifeboat_plan_readiness{plan="shop",verdict="${verdict}"} 0`,
      ),
      'lifeboat_plan_readiness{plan="shop",verdict="not verified"} 1',
      'lifeboat_plan_tested{plan="shop"} 0',
    ]);
  });

  it('is told of one that was checked and tested, until the plan is changed', async () => {
    const plan = plainPlan('shop', ['db'], { objectives: { rpo: 900, rto: 600 } });
    await publishPlan(store, plan, []);
    const run = { ...RUN, digest: planDigest(plan) };
    await takePlanState(store, run, ['none'], 'protected');
    await keepCheck(store, {
      run,
      checkedAt: '2026-11-30T10:00:00.000Z',
      findings: [{ code: 'dr-copy-age', severity: 'warning', text: 'Old.', todo: 'Look.' }],
      recoveryPoints: {},
      proxies: {},
    });
    await noteTest(store, { run, testedAt: '2026-11-30T11:00:00.000Z', rtoSeconds: 236 });
    const told = await look();
    expect(told).toEqual(
      expect.arrayContaining([
        'lifeboat_rpo_objective_seconds{plan="shop"} 900',
        'lifeboat_rto_objective_seconds{plan="shop"} 600',
        'lifeboat_plan_phase{plan="shop",phase="protected"} 1',
        'lifeboat_plan_readiness{plan="shop",verdict="ready with warnings"} 1',
        'lifeboat_plan_readiness{plan="shop",verdict="not verified"} 0',
        'lifeboat_plan_tested{plan="shop"} 1',
        'lifeboat_check_timestamp_seconds{plan="shop"} 1796032800',
        'lifeboat_findings{plan="shop",severity="impossible"} 0',
        'lifeboat_findings{plan="shop",severity="warning"} 1',
        'lifeboat_test_timestamp_seconds{plan="shop"} 1796036400',
        'lifeboat_test_rto_seconds{plan="shop"} 236',
      ]),
    );

    await publishPlan(store, plainPlan('shop', ['db', 'web']), []);
    const changed = await look();
    expect(changed).toEqual(
      expect.arrayContaining([
        'lifeboat_plan_readiness{plan="shop",verdict="not verified"} 1',
        'lifeboat_plan_readiness{plan="shop",verdict="ready with warnings"} 0',
        'lifeboat_plan_tested{plan="shop"} 0',
        // When it was last tested is as true as before.
        'lifeboat_test_timestamp_seconds{plan="shop"} 1796036400',
      ]),
    );
    expect(changed.filter((line) => line.includes('objective'))).toEqual([]);
  });

  it('is told of the other plans where one is damaged, which is not verified', async () => {
    await publishPlan(store, plainPlan('shop', ['db']), []);
    await publishPlan(store, plainPlan('wiki', ['wiki']), []);
    await publishPlan(store, plainPlan('lost', ['lost']), []);
    await store.put('checks/wiki.json', Buffer.from('{"plan": 7'));
    await store.delete(`plans/${planDigest(plainPlan('lost', ['lost']))}.json`);
    const told = await look();
    expect(told).toContain('lifeboat_vm_info{plan="shop",vm="db"} 1');
    for (const plan of ['wiki', 'lost'])
      expect(told.filter((line) => line.includes(`"${plan}"`) && line.endsWith(' 1'))).toEqual([
        `lifeboat_plan_readiness{plan="${plan}",verdict="not verified"} 1`,
      ]);
  });
});

describe('what is looked up for metrics', () => {
  const START = Date.parse('2026-11-30T10:00:00Z');
  const db = sample('lifeboat_vm_info', { plan: 'shop', vm: 'db' }, 1);
  const web = sample('lifeboat_vm_info', { plan: 'shop', vm: 'web' }, 1);
  let now: number;
  let told: Told;
  let answer: () => Promise<Sample[]>;
  let reporter: FactReporter;
  let log: jest.SpyInstance;
  beforeEach(() => {
    now = START;
    told = new Told();
    reporter = new FactReporter({ source: 'aws', look: () => answer() }, told, () => now);
    log = jest.spyOn(console, 'error').mockImplementation(() => undefined);
  });
  afterEach(() => log.mockRestore());
  const DB = 'lifeboat_vm_info{plan="shop",vm="db"}';
  const WEB = 'lifeboat_vm_info{plan="shop",vm="web"}';
  const AT = 'lifeboat_facts_timestamp_seconds{source="aws"}';

  it('was never looked up before the first time, which an alert takes for long ago', () => {
    expect(Object.fromEntries(told.values)).toEqual({ [AT]: 0 });
  });

  it('is taken back where it is not so any more, and told again where it is', async () => {
    answer = () => Promise.resolve([db, web]);
    await reporter.look(nobody);
    answer = () => Promise.resolve([web]);
    now += 30_000;
    await reporter.look(nobody);
    expect(Object.fromEntries(told.values)).toEqual({ [DB]: NaN, [WEB]: 1, [AT]: START / 1000 + 30 });
    answer = () => Promise.resolve([db]);
    await reporter.look(nobody);
    expect(Object.fromEntries(told.values)).toMatchObject({ [DB]: 1, [WEB]: NaN });
  });

  it('holds for ten minutes in which nobody can look, says so once, and is told again afterwards', async () => {
    answer = () => Promise.resolve([db]);
    await reporter.look(nobody);
    answer = () => Promise.reject(new Error('no way'));
    now += 600_000;
    await reporter.look(nobody);
    expect(told.values.get(DB)).toBe(1);
    now += 1000;
    await reporter.look(nobody);
    expect(told.values.get(DB)).toBeNaN();
    // Since when nobody could look is what the alert goes by.
    expect(told.values.get(AT)).toBe(START / 1000);
    expect(log.mock.calls).toEqual([['Metrics: what aws says could not be looked up; trying on: no way']]);
    answer = () => Promise.resolve([db]);
    await reporter.look(nobody);
    expect(told.values.get(DB)).toBe(1);
  });
});

describe('what is counted', () => {
  it('is handed on once, throttled requests among them', () => {
    const told = new Told();
    const tally = new RequestTally();
    tally.note('ec2', 'RunInstances', false);
    tally.note('ec2', 'RunInstances', true);
    tally.note('s3', 'GetObject', false);
    tellRequests(told, tally);
    tellRequests(told, tally);
    expect(Object.fromEntries(told.values)).toEqual({
      'lifeboat_aws_requests_total ec2 RunInstances': 2,
      'lifeboat_aws_requests_throttled_total ec2 RunInstances': 1,
      'lifeboat_aws_requests_total s3 GetObject': 1,
      'lifeboat_aws_requests_throttled_total s3 GetObject': 0,
    });
  });

  it('is what copies that came to an end have copied', async () => {
    const told = new Told();
    const copy = async (activityType: string, next: () => Promise<unknown>) => {
      const { inbound } = countsCopies(told)({ info: { activityType } } as Parameters<
        ReturnType<typeof countsCopies>
      >[0]);
      const input = { args: [{ run: RUN, vm: 'db' }], headers: {} };
      return inbound?.execute === undefined ? next() : inbound.execute(input, next);
    };
    const result = { blocks: 3, bytes: 1024, blocksSentAgain: 0, seconds: 1 };
    expect(await copy('backupDisk', () => Promise.resolve(result))).toBe(result);
    await copy('copyExtent', () => Promise.resolve(result));
    await copy('copyToVolume', () => Promise.resolve(result));
    await copy('loadPlan', () => Promise.resolve({ plan: {} }));
    await expect(copy('backupDisk', () => Promise.reject(new Error('no way')))).rejects.toThrow('no way');
    expect(Object.fromEntries(told.values)).toEqual({
      'lifeboat_copied_blocks_total shop db backup': 3,
      'lifeboat_copied_bytes_total shop db backup': 1024,
      'lifeboat_copied_blocks_total shop db restore': 6,
      'lifeboat_copied_bytes_total shop db restore': 2048,
    });
  });
});
