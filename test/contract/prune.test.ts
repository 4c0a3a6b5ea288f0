import { StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { createPruneActivities } from '../../activities/aws-proxy/restore/prune';
import { tagList } from '../../activities/aws-proxy/account/tags';
import { runCli } from '../../cli/program';
import { type RepositoryAddress, type RunContext } from '../../plan/run';
import { listBackups } from '../../repository/backups/backups';
import { publishBackup } from '../../repository/backups/building-on';
import { type ObjectStore } from '../../repository/objects/object-store';
import { takePlanState } from '../../repository/plans/plan-state';
import { publishPlan } from '../../repository/plans/plans';
import { testIo } from '../unit/cli-io';
import { idAt, INDEXES, smallManifest, storeSmallDisk, VM } from '../support/small-backups';
import { failureOf, runActivity } from './run-activity';
import { shopPlan, startTestAccount, type TestAccount } from './test-account';

let account: TestAccount;
let address: RepositoryAddress;
let store: ObjectStore;
const RETENTION = { keepLast: 1, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 };

beforeAll(async () => {
  account = await startTestAccount();
});
afterAll(() => account.close());
beforeEach(() => {
  ({ address, store } = account.newRepository());
});

/** Backups of db, one a day, each with one block that changed. */
async function backUp(days: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < days; n++) {
    const takenAt = new Date(Date.UTC(2026, 10, 1 + n));
    const backupId = idAt(takenAt, n);
    const contents = new Map(INDEXES.slice(0, 3).map((index, at) => [index, at === 0 ? n : 0]));
    const journal = { previous: ids.at(-1), packs: [] };
    const disk = await storeSmallDisk(store, { backupId, disk: 'system', contents, journal });
    await publishBackup(store, smallManifest(backupId, takenAt.toISOString(), [disk], ids.at(-1)));
    ids.push(backupId);
  }
  return ids;
}

const run = (generation = 0): RunContext => ({
  plan: 'shop',
  digest: 'a'.repeat(64),
  repository: address,
  runId: 'prune-1',
  generation,
});
const prune = (as = run()) =>
  runActivity(
    createPruneActivities({ ec2: account.clients.ec2, objectStore: account.objectStore }).pruneBackups,
    { run: as, vm: VM, retention: RETENTION, sweep: 'now' },
  );

describe('pruning', () => {
  it('keeps what the policy keeps, and what a copy of any plan holds', async () => {
    const ids = await backUp(4);
    const disk = { disk: 'system', sizeBytes: 512, slot: 0, boot: true };
    await account.clients.ebs.send(
      new StartSnapshotCommand({
        VolumeSize: 1,
        Tags: tagList({
          plan: 'other',
          vm: VM,
          run: 'run-x',
          role: 'pending-copy',
          ...disk,
          recoveryPoint: ids[1],
        }),
      }),
    );
    const { kept, retired, swept } = await prune();
    expect(retired).toEqual([ids[0], ids[2]]);
    expect(kept.map(({ backupId, why }) => [backupId, why])).toEqual([
      [ids[3], ['keepLast', 'newest']],
      [ids[1], ['in use']],
    ]);
    // Nothing goes on the day on which its backup was retired.
    expect(swept).toMatchObject({ objects: 0, abandoned: [] });
    expect(swept!.waiting.objects).toBeGreaterThan(0);
    expect(await listBackups(store, VM)).toEqual([ids[1], ids[3]]);
    expect((await prune()).retired).toEqual([]);
  });

  it('keeps what any published plan with the VM keeps', async () => {
    const ids = await backUp(3);
    const plan = shopPlan();
    const retention = { ...RETENTION, keepLast: 2 };
    await publishPlan(store, { ...plan, name: 'other', repository: { ...plan.repository, retention } }, []);
    expect((await prune()).retired).toEqual([ids[0]]);
  });

  it('changes nothing for a run that another has taken the plan from', async () => {
    const ids = await backUp(3);
    await takePlanState(store, { ...run(), runId: 'failover' }, ['none'], 'failing-over');
    expect(await failureOf(prune())).toMatchObject({ type: 'Fenced', nonRetryable: true });
    expect(await listBackups(store, VM)).toEqual(ids);
  });
});

describe('the repository command', () => {
  const environment = { ...process.env };
  afterEach(() => {
    process.env = { ...environment };
  });

  async function cli(...argv: string[]) {
    await publishPlan(
      store,
      { ...shopPlan(), repository: { ...shopPlan().repository, retention: RETENTION } },
      [],
    );
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: address.endpoint,
      AWS_REGION: address.region,
      AWS_ACCESS_KEY_ID: 'AKIATESTTESTTESTTEST',
      AWS_SECRET_ACCESS_KEY: 'test-secret',
      LIFEBOAT_REPOSITORY: `s3://${address.bucket}/${address.prefix}`,
    });
    const world = testIo(process.env, '/');
    return { exitCode: await runCli(['repository', ...argv, '--json'], world.io), json: world.json };
  }

  it('lists, checks and tells what would go', async () => {
    const ids = await backUp(2);
    const { json: listed } = await cli('list', 'shop');
    expect(listed).toMatchObject({
      vms: [
        { vm: 'db', recoveryPoints: ids.map((backupId) => ({ backupId })) },
        { vm: 'web', recoveryPoints: [] },
      ],
    });
    const whole = await cli('check', 'shop', '--read-data');
    expect(whole).toMatchObject({
      exitCode: 0,
      json: { ok: true, vms: [{ read: { blocks: 4 } }, { vm: 'web' }] },
    });
    const dry = await cli('prune', 'shop', '--dry-run');
    expect(dry.json).toMatchObject({ dryRun: true, vms: [{ vm: 'db', retired: [ids[0]] }, { vm: 'web' }] });
    expect(await listBackups(store, VM)).toEqual(ids);

    const key = `db/packs/${ids[1]}-system-0`;
    await store.delete(key);
    const damaged = await cli('check', 'shop', '--vm', 'db');
    expect(damaged).toMatchObject({
      exitCode: 1,
      json: {
        ok: false,
        vms: [{ damages: [{ key, problems: ['it is missing'], recoveryPoints: [ids[1]] }] }],
      },
    });
    expect((await cli('check', 'shop', '--vm', 'nobody')).exitCode).toBe(2);
  });
});
