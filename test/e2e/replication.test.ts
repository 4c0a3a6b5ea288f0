import { type EBSClient } from '@aws-sdk/client-ebs';
import { isZero } from '../../blocks/zero';
import { RunFailedError } from '../../client/errors';
import { siteStatus } from '../../client/site-status';
import { type ReplicationSummary } from '../../workflows/replication';
import { look } from '../../client/progress';
import { type DrPlan } from '../../plan/schema';
import { type RestoreSummary } from '../../workflows/restore';
import {
  changeBlocks,
  diskDifferences,
  importMadeVm,
  type MadeDisk,
  snapshotBlock,
} from '../support/e2e-disks';
import { accountLines, allSnapshots, everything } from '../support/e2e-inventory';
import { plainPlan } from '../support/e2e-plan';
import { type E2eSandbox, openE2eSandbox, SANDBOX_SECONDS } from '../support/e2e-sandbox';
import { eventually } from '../support/eventually';
import { familiesOf, itWithPromtool, promtool, seriesOf } from '../support/promtool';
import { type Role } from '../../workers/roles';
import { dashboardMetrics } from '../support/monitoring-files';

const MIB = 2 ** 20;

const ONE_SYSTEM: MadeDisk = {
  key: 'system',
  sizeBytes: 24 * MIB,
  slot: 0,
  boot: true,
  blocks: [0, 1, 2, 7, 8, 30, 47],
};
/** No whole GiB, no whole block: the last block has three sectors only. */
const ONE_DATA: MadeDisk = {
  key: 'data',
  sizeBytes: 8 * MIB + 3 * 512,
  slot: 1,
  boot: false,
  blocks: [3, 4, 5, 16],
};
const TWO_SYSTEM: MadeDisk = {
  key: 'system',
  sizeBytes: 40 * MIB,
  slot: 0,
  boot: true,
  blocks: [0, 10, 11, 12, 79],
};
const DISKS: [vm: string, disk: MadeDisk][] = [
  ['one', ONE_SYSTEM],
  ['one', ONE_DATA],
  ['two', TWO_SYSTEM],
];

/** A run of a few small disks, with the workers on the same two cores. */
const RUN_MS = 120_000;
/** "At once", for a person: the plan, a look at AWS, the answer. */
const AT_ONCE_MS = 15_000;

/** Namespaces, taps and FUSE need root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

asRoot('replication through workers, Temporal and both sites (needs root)', () => {
  const direct = plainPlan('tiny', ['one', 'two']);
  const byVolume = plainPlan('tiny-volume', ['one', 'two'], {
    replication: { frequency: 3600, copy: 'volume' },
  });
  let sandbox: E2eSandbox;
  let ebs: EBSClient;
  /** What the account holds before anything is replicated. */
  let emptyAccount: string[];

  beforeAll(async () => {
    sandbox = await openE2eSandbox('replication', { runner: 'no-boot', application: 'none' });
    ebs = sandbox.aws.ebs;
    await importMadeVm(sandbox, 'one', [ONE_SYSTEM, ONE_DATA]);
    await importMadeVm(sandbox, 'two', [TWO_SYSTEM]);
    emptyAccount = await accountLines(sandbox);
  }, SANDBOX_SECONDS * 1000);

  afterAll(async () => {
    await sandbox?.close();
  }, SANDBOX_SECONDS * 1000);

  async function backup(plan: DrPlan) {
    const argument = await sandbox.publish(plan);
    return (await sandbox.client.backup(argument)).result();
  }

  async function restore(plan: DrPlan) {
    const argument = await sandbox.publish(plan);
    return (await sandbox.client.restore(argument)).result();
  }

  /** Starts a run that must be refused at once, and compares both sites before and after it. */
  async function refused(
    plan: DrPlan,
    start: (argument: { plan: string; digest: string }) => Promise<{ result(): Promise<unknown> }>,
  ): Promise<RunFailedError> {
    const argument = await sandbox.publish(plan);
    // Evidence is left of every run that came as far as its plan.
    const butEvidence = async () =>
      (await everything(sandbox)).filter((line) => !line.startsWith('object evidence/'));
    const before = await butEvidence();
    const began = Date.now();
    const error: unknown = await (await start(argument)).result().catch((caught: unknown) => caught);
    expect(Date.now() - began).toBeLessThan(AT_ONCE_MS);
    if (!(error instanceof RunFailedError)) throw error;
    expect(await butEvidence()).toEqual(before);
    return error;
  }

  const blocksByDisk = (summary: RestoreSummary) =>
    Object.fromEntries(
      summary.vms.flatMap(({ vm, disks }) => disks.map(({ key, blocks }) => [`${vm}/${key}`, blocks])),
    );

  /** The snapshots of a plan's DR copy, and that no other snapshot of the plan is listed. */
  async function onlySnapshots(plan: DrPlan, summary: RestoreSummary): Promise<void> {
    const listed = (await allSnapshots(sandbox)).filter(({ Tags = [] }) =>
      Tags.some(({ Key, Value }) => Key === 'lifeboat:plan' && Value === plan.name),
    );
    const ids = summary.vms.flatMap(({ disks }) => disks.map(({ snapshotId }) => snapshotId));
    expect(listed.map(({ SnapshotId }) => SnapshotId).sort()).toEqual(ids.sort());
    expect(listed.map(({ State }) => State)).toEqual(DISKS.map(() => 'completed'));
    for (const { Tags = [] } of listed)
      expect(Tags).toContainEqual({ Key: 'lifeboat:role', Value: 'dr-copy' });
  }

  async function compareAll(summary: RestoreSummary): Promise<void> {
    for (const [vm, { key }] of DISKS) {
      const disks = summary.vms.find((result) => result.vm === vm)?.disks ?? [];
      const snapshotId = disks.find((disk) => disk.key === key)?.snapshotId ?? '';
      expect([vm, key, await diskDifferences(sandbox, vm, key, snapshotId)]).toEqual([vm, key, []]);
    }
  }

  const snapshotOf = (summary: RestoreSummary, vm: string, key: string): string =>
    summary.vms.find((result) => result.vm === vm)?.disks.find((disk) => disk.key === key)?.snapshotId ?? '';

  describe('before the first backup', () => {
    it('refuses a plan that was never published', async () => {
      const error = await refused(direct, () => sandbox.client.backup({ plan: 'unheard-of' }));
      expect(error.type).toBe('PlanNotFound');
      expect(error.message).toContain('unheard-of');
    });

    it('refuses a restore', async () => {
      const error = await refused(direct, (argument) => sandbox.client.restore(argument));
      expect(error.message).toMatch(/no backup of one/);
      expect(error.message).toMatch(/no backup of two/);
    });

    it('refuses a failover', async () => {
      const error = await refused(direct, (argument) =>
        sandbox.client.failover({ ...argument, mode: 'test' }),
      );
      expect(error.type).toBe('NotReadyForFailover');
      expect(error.message).toContain('There is no complete DR copy of one');
      expect(error.message).toContain('There is no complete DR copy of two');
      const disaster = await refused(direct, (argument) =>
        sandbox.client.failover({ ...argument, mode: 'disaster' }),
      );
      expect(disaster.message).not.toBe('');
    });
  });

  describe('the direct way', () => {
    let firstCopy: RestoreSummary;

    it(
      'copies everything that is not zero the first time, and nothing the next',
      async () => {
        const backedUp = await backup(direct);
        expect(backedUp.vms.map(({ vm, kind }) => [vm, kind]).sort()).toEqual([
          ['one', 'full'],
          ['two', 'full'],
        ]);
        const summary = await restore(direct);
        firstCopy = summary;
        expect(summary.vms.map(({ kind }) => kind)).toEqual(['full', 'full']);
        expect(blocksByDisk(summary)).toEqual({
          'one/system': ONE_SYSTEM.blocks.length,
          'one/data': ONE_DATA.blocks.length,
          'two/system': TWO_SYSTEM.blocks.length,
        });
        await onlySnapshots(direct, summary);
        await compareAll(summary);

        const before = await accountLines(sandbox);
        const again = await restore(direct);
        expect(again.vms.map(({ kind, disks }) => [kind, disks])).toEqual([
          ['up-to-date', []],
          ['up-to-date', []],
        ]);
        expect(await accountLines(sandbox)).toEqual(before);
      },
      RUN_MS,
    );

    it(
      'then copies what has changed, blocks that became zero among it, and leaves the newest set only',
      async () => {
        await changeBlocks(sandbox.site.hypervisor, 'one', 'system', {
          1: { random: 'new 1' },
          9: { random: 'new 9' },
        });
        // The block of three sectors at the end, and one that held data.
        await changeBlocks(sandbox.site.hypervisor, 'one', 'data', { 16: { random: 'new end' }, 4: 'zero' });
        const behind = await diskDifferences(sandbox, 'one', 'data', snapshotOf(firstCopy, 'one', 'data'));
        expect(behind).toEqual(['block 4 differs', 'block 16 differs']);

        const backedUp = await backup(direct);
        expect(backedUp.vms.map(({ kind }) => kind)).toEqual(['incremental', 'incremental']);
        const stored = Object.fromEntries(
          backedUp.vms.flatMap(({ vm, disks }) => disks.map(({ key, blocks }) => [`${vm}/${key}`, blocks])),
        );
        // Zeros are not stored, only told.
        expect(stored).toEqual({ 'one/system': 2, 'one/data': 1, 'two/system': 0 });

        const summary = await restore(direct);
        expect(summary.vms.map(({ kind }) => kind)).toEqual(['incremental', 'incremental']);
        expect(blocksByDisk(summary)).toEqual({ 'one/system': 2, 'one/data': 2, 'two/system': 0 });
        await onlySnapshots(direct, summary);
        await compareAll(summary);
        expect(isZero(await snapshotBlock(ebs, snapshotOf(summary, 'one', 'data'), 4))).toBe(true);
        expect(isZero(await snapshotBlock(ebs, snapshotOf(summary, 'one', 'data'), 5))).toBe(false);
      },
      RUN_MS,
    );
  });

  describe('by a volume on the AWS proxy', () => {
    it(
      'makes the same DR copy and leaves no volume',
      async () => {
        const summary = await restore(byVolume);
        expect(summary.vms.map(({ kind }) => kind)).toEqual(['full', 'full']);
        expect(blocksByDisk(summary)).toEqual({
          'one/system': ONE_SYSTEM.blocks.length + 1,
          'one/data': ONE_DATA.blocks.length - 1,
          'two/system': TWO_SYSTEM.blocks.length,
        });
        await onlySnapshots(byVolume, summary);
        await compareAll(summary);

        await changeBlocks(sandbox.site.hypervisor, 'two', 'system', {
          0: { random: 'newer 0' },
          1: { random: 'newer 1' },
          79: { random: 'newer 79' },
          11: 'zero',
        });
        await backup(byVolume);
        const incremental = await restore(byVolume);
        expect(incremental.vms.map(({ kind }) => kind)).toEqual(['incremental', 'incremental']);
        expect(blocksByDisk(incremental)).toEqual({ 'one/system': 0, 'one/data': 0, 'two/system': 4 });
        await onlySnapshots(byVolume, incremental);
        await compareAll(incremental);
        expect(isZero(await snapshotBlock(ebs, snapshotOf(incremental, 'two', 'system'), 11))).toBe(true);

        const notSnapshots = (lines: string[]) => lines.filter((line) => !line.startsWith('snapshot '));
        expect(notSnapshots(await accountLines(sandbox))).toEqual(notSnapshots(emptyAccount));
      },
      RUN_MS,
    );
  });

  describe('verifying', () => {
    it(
      'reads the DR copies back, all or those of one VM, and changes nothing',
      async () => {
        const argument = await sandbox.publish(byVolume);
        const before = await everything(sandbox);
        const { vms } = await (await sandbox.client.verify(argument)).result();
        expect(vms.map(({ vm, disks }) => [vm, disks.map(({ key, blocks }) => [key, blocks])])).toEqual([
          [
            'one',
            [
              ['system', ONE_SYSTEM.blocks.length + 1],
              ['data', ONE_DATA.blocks.length - 1],
            ],
          ],
          // Block 11 is zeros over data, which the snapshot lists.
          ['two', [['system', TWO_SYSTEM.blocks.length + 1]]],
        ]);
        const one = await (await sandbox.client.verify({ ...argument, vm: 'two' })).result();
        expect(one.vms.map(({ vm }) => vm)).toEqual(['two']);
        expect(await everything(sandbox)).toEqual(before);
      },
      RUN_MS,
    );

    it('refuses a VM that is not in the plan', async () => {
      const error = await refused(byVolume, (argument) =>
        sandbox.client.verify({ ...argument, vm: 'three' }),
      );
      expect(error).toMatchObject({
        type: 'NoSuchVm',
        message: expect.stringContaining('"three"') as string,
      });
    });
  });

  describe('a failover that cannot work', () => {
    const withType = plainPlan('tiny', ['one', 'two']);
    withType.vms[1]!.instanceTypes = ['m6i.gigantic'];
    const elsewhere = plainPlan('tiny', ['one', 'two']);
    elsewhere.recoverySite.production.subnet = 'subnet-0dead000000000000';

    it.each([
      ['an instance type that does not exist', withType, 'm6i.gigantic'],
      ['a subnet that does not exist', elsewhere, 'subnet-0dead000000000000'],
    ])('is refused for %s', async (_what, plan, named) => {
      const error = await refused(plan, (argument) =>
        sandbox.client.failover({ ...argument, mode: 'disaster' }),
      );
      expect(error.type).toBe('NotReadyForFailover');
      expect(error.message).toContain(named);
    });
  });

  it(
    'waits for a backup that somebody started by hand',
    async () => {
      const argument = await sandbox.publish(direct);
      await changeBlocks(sandbox.site.hypervisor, 'two', 'system', { 41: { random: 'by hand' } });
      await sandbox.breakAws({
        name: 'slow',
        operations: ['PutObject'],
        // Some five of them: on a busy machine a second each was over before the round had begun.
        fault: { kind: 'slow', milliseconds: 4000 },
      });
      const byHand = await sandbox.client.backup(argument);
      const round = await sandbox.client.replicate(argument);
      await eventually(120, async () => {
        const { snapshot } = await look(sandbox.client.temporal, round);
        return snapshot.status?.phase.includes('under way already') ? true : undefined;
      });
      await sandbox.mendAws();
      const [mine, done] = await Promise.all([byHand.result(), round.result()]);
      const replicated = done as ReplicationSummary;
      const ids = (backup: typeof mine): string[] => backup.vms.map(({ backupId }) => backupId);
      expect(ids(replicated.backup)).not.toEqual(ids(mine));
      expect(replicated.restore.vms.map(({ recoveryPoint }) => recoveryPoint)).toEqual(
        ids(replicated.backup),
      );
    },
    RUN_MS,
  );

  it(
    'backs a VM up by the name that the data centre has for it and without a disk, and says so wherever it is told',
    async () => {
      const plan = plainPlan('partly', ['renamed']);
      Object.assign(plan.vms[0]!, { primaryVm: 'one', consistency: 'quiesced', excludeDisks: ['data'] });
      const { vms } = await backup(plan);
      const told = {
        consistency: 'powered-off',
        notes: [expect.stringMatching(/^The disk "data" is not backed up/)],
        excludedDisks: ['data'],
      };
      expect(vms).toMatchObject([{ vm: 'renamed', ...told, disks: [{ key: 'system' }] }]);
      await restore(plan);
      const site = { ec2: sandbox.aws.ec2, store: sandbox.store };
      expect((await siteStatus(plan, site)).vms).toMatchObject([
        { vm: 'renamed', backup: told, drCopy: { disks: [{ disk: 'system' }] } },
      ]);

      Object.assign(plan.vms[0]!, { excludeDisks: ['system'] });
      const argument = await sandbox.publish(plan);
      const error: unknown = await (await sandbox.client.backup(argument)).result().catch((e: unknown) => e);
      if (!(error instanceof RunFailedError)) throw error;
      expect(error.message).toMatch(/none to boot from.* In the plan, "one" is renamed\.$/);
    },
    RUN_MS,
  );

  describe('is told by metrics', () => {
    const plan = plainPlan('watched', ['two'], { objectives: { rpo: 900, rto: 600 } });
    const scrapes: string[] = [];

    /** What a worker serves, once it tells of that series. */
    const scrape = (role: Role, wanted: string): Promise<Map<string, number>> =>
      eventually(60, async () => {
        const port = sandbox.config.ports.metrics?.[role];
        const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
        if (!text.includes(wanted)) return undefined;
        scrapes.push(text);
        return seriesOf(text);
      });

    it(
      'of what was copied',
      async () => {
        const argument = await sandbox.publish(plan);
        const { restore: restored } = (await (
          await sandbox.client.replicate(argument)
        ).result()) as ReplicationSummary;
        const { blocks } = restored.vms[0]!.disks[0]!;
        expect(blocks).toBeGreaterThan(0);
        const labels = (copy: string) => `{copy="${copy}",plan="watched",vm="two"}`;
        const aws = await scrape('aws-proxy', `lifeboat_copied_blocks_total${labels('restore')}`);
        expect(aws.get(`lifeboat_copied_blocks_total${labels('restore')}`)).toBe(blocks);
        expect(aws.get(`lifeboat_copied_bytes_total${labels('restore')}`)).toBe(blocks * 512 * 1024);
        const puts = '{action="PutSnapshotBlock",service="ebs"}';
        expect(aws.get(`lifeboat_aws_requests_total${puts}`)).toBeGreaterThanOrEqual(blocks);
        // The VM was backed up before: nothing of it has changed.
        await scrape('backup-proxy', `lifeboat_copied_blocks_total${labels('backup')}`);
      },
      RUN_MS,
    );

    it(
      'of what is true at both sites, by workers that have just started',
      async () => {
        const found = await (await sandbox.client.check({ plan: plan.name })).result();
        for (const role of ['control', 'aws-proxy'] as const)
          await (
            await sandbox.kill(`worker-${role}`)
          ).startedAgain;
        // Of two sources, of which either may be looked up first.
        await scrape('control', 'lifeboat_check_timestamp_seconds{plan="watched"}');
        const control = await scrape(
          'control',
          'lifeboat_replication_success_timestamp_seconds{plan="watched"}',
        );
        const own = (name: string, more = '') => control.get(`lifeboat_${name}{${more}plan="watched"}`);
        expect(own('check_timestamp_seconds')).toBe(Date.parse(found.checkedAt) / 1000);
        expect(own('rpo_objective_seconds')).toBe(900);
        expect(own('plan_phase', 'phase="protected",')).toBe(1);
        expect(control.get(`lifeboat_plan_readiness{plan="watched",verdict="${found.verdict}"}`)).toBe(1);
        expect(control.get('lifeboat_runs_waiting{plan="watched",reason="attention"}')).toBe(0);
        expect(Date.now() / 1000 - (own('replication_success_timestamp_seconds') ?? 0)).toBeLessThan(600);

        const copy = 'lifeboat_dr_copy_recovery_point_timestamp_seconds{plan="watched",vm="two"}';
        const { vms } = await siteStatus(plan, { ec2: sandbox.aws.ec2, store: sandbox.store });
        const aws = await scrape('aws-proxy', copy);
        expect(aws.get(copy)).toBe(Date.parse(vms[0]!.drCopy?.takenAt ?? '') / 1000);
      },
      RUN_MS,
    );

    it("and has what the dashboard asks of Temporal's", () => {
      const served = scrapes.join('\n');
      for (const name of dashboardMetrics('temporal_'))
        expect([name, served.includes(`${name}{`)]).toEqual([name, true]);
    });

    itWithPromtool('as Prometheus wants them', () => {
      for (const text of scrapes)
        expect(promtool(['check', 'metrics'], familiesOf(text, 'lifeboat_'))).toEqual({ code: 0, text: '' });
    });
  });

  it(
    'replicates by a schedule until the schedule is deleted',
    async () => {
      const { schedules } = sandbox.client;
      await sandbox.publish(direct);
      await changeBlocks(sandbox.site.hypervisor, 'two', 'system', { 40: { random: 'scheduled' } });
      expect(await schedules.set(direct.name, 3600)).toBe('created');
      expect(await schedules.set(direct.name, 10)).toBe('updated');
      expect(await schedules.describe(direct.name)).toMatchObject({ frequencySeconds: 10, paused: false });

      const copied = await eventually(60, async () => {
        const listed = await allSnapshots(sandbox);
        for (const { SnapshotId = '', State, Tags = [] } of listed) {
          const tags = Object.fromEntries(Tags.map(({ Key, Value }) => [Key, Value]));
          if (
            State === 'completed' &&
            tags['lifeboat:plan'] === direct.name &&
            tags['lifeboat:vm'] === 'two' &&
            tags['lifeboat:role'] === 'dr-copy' &&
            !isZero(await snapshotBlock(ebs, SnapshotId, 40))
          )
            return SnapshotId;
        }
        return undefined;
      });

      expect(await schedules.delete(direct.name)).toBe(true);
      expect(await schedules.describe(direct.name)).toBeUndefined();
      expect(await schedules.delete(direct.name)).toBe(false);
      await (await sandbox.client.attach('replication', { plan: direct.name }))?.result();
      expect(await diskDifferences(sandbox, 'two', 'system', copied)).toEqual([]);
    },
    RUN_MS,
  );
});
