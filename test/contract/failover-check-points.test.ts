import { LockSnapshotCommand } from '@aws-sdk/client-ec2';
import { pointsText } from '../../cli/commands/points';
import { statusText } from '../../cli/commands/status';
import { pointsOf } from '../../client/points';
import { siteStatus } from '../../client/site-status';
import { type ChosenPoint } from '../../plan/lines';
import { readManifest, writeManifest } from '../../repository/backups/backups';
import { movePlanState, takePlanState } from '../../repository/plans/plan-state';
import { waitUntilCompleted } from '../support/failover-listing';
import { DB_DISKS, type FailoverSite, publishDrCopy, shopPlan } from '../support/failover-site';
import { type FailoverSteps, openFailoverSteps } from '../support/failover-steps';

let steps: FailoverSteps;
let site: FailoverSite;
beforeAll(async () => {
  steps = await openFailoverSteps();
  ({ site } = steps);
});
afterAll(() => site.stop());

const check = (points?: ChosenPoint[], plan = shopPlan()) =>
  site.activity(steps.activities.checkFailover, {
    ...{ run: site.run('check'), plan, test: true },
    ...(points === undefined ? {} : { points }),
  });

describe('checkFailover of chosen recovery points', () => {
  const OLDER = { vm: 'db', recoveryPoint: '20261123T091500Z-0199aaaa', takenAt: '2026-11-23T09:15:00.000Z' };
  const NEWEST = '2026-11-23T10:15:00.000Z';

  beforeAll(async () => {
    const newest = await readManifest(site.store, 'db', '20261123T101500Z-0199abcd');
    const { recoveryPoint: backupId, takenAt } = OLDER;
    // A VM of one disk by then, which the plan's volumes and the place of the disks are checked by.
    const [disk] = newest!.disks;
    await writeManifest(site.store, {
      ...newest!,
      ...{ backupId, takenAt },
      configuration: { ...newest!.configuration, disks: newest!.configuration.disks.slice(0, 1) },
      disks: [{ ...disk!, blockMap: `db/backups/${backupId}/system.map` }],
    });
  });

  it('tells which have to be copied, and looks at them as at DR copies', async () => {
    expect(await check([OLDER])).toMatchObject({ drCopies: [], toCopy: [OLDER] });
    const held = { ...OLDER, recoveryPoint: '20261123T101500Z-0199abcd', takenAt: NEWEST };
    const ready = await check([held]);
    expect(ready.drCopies).toMatchObject([{ vm: 'db', recoveryPoint: held.recoveryPoint }]);
    expect(ready).not.toHaveProperty('toCopy');

    const plan = shopPlan();
    plan.replication.copy = 'volume';
    plan.vms[0]!.recoverySite = { test: { volumes: { disks: { data: { throughput: 500 } } } } };
    await expect(check([OLDER], plan)).rejects.toThrow(
      new RegExp(
        `db is to boot from ${OLDER.takenAt}, of which there is no DR copy.* set replication.copy to direct\\.\\n` +
          '- The plan says how the volume of the disk data of db is made; it has system\\.',
      ),
    );
    await check([held], { ...shopPlan(), replication: { frequency: 3600, copy: 'volume' } });
    const gone = { ...OLDER, recoveryPoint: '20261123T081500Z-0199aaaa' };
    await expect(check([gone])).rejects.toThrow(
      `The repository lacks the backup ${gone.recoveryPoint} of db`,
    );
  });

  it('takes nothing that was turned away from where nobody has chosen', async () => {
    const run = site.run('failover');
    const line = { at: '2026-11-23T09:30:00Z', after: OLDER.takenAt };
    const { generation } = await takePlanState(site.store, run, ['none'], 'failing-over', {
      chosen: line,
    });
    await expect(check()).rejects.toThrow(
      `- The DR copy of db holds ${NEWEST}, of the line that a failover to an older recovery point turned away from. ` +
        `It went to --at ${OLDER.takenAt}: name the recovery points (--at or --point; lifeboat points shop lists them).`,
    );
    for (const phase of ['failed-over', 'failed-back', 'protected'] as const)
      await movePlanState(site.store, { ...run, generation }, phase);
    await expect(check()).rejects.toThrow(
      'turned away from. Back it up and restore it, or name the recovery points',
    );
    await check([OLDER]);

    const { vms, rounds, chosen } = await pointsOf(shopPlan(), { ec2: steps.ec2, store: site.store });
    expect(chosen).toBeNull();
    expect(vms[0]?.points).toMatchObject([
      {
        takenAt: NEWEST,
        inDrCopy: true,
        turnedAway: true,
        keptBy: expect.arrayContaining(['keepLast', 'newest', 'in use']) as string[],
      },
      {
        id: OLDER.recoveryPoint,
        inDrCopy: false,
        turnedAway: false,
        keptBy: expect.not.arrayContaining(['in use']) as string[],
      },
    ]);
    expect(rounds.map(({ at, turnedAway }) => [at, turnedAway])).toEqual([
      [NEWEST, true],
      [OLDER.takenAt, false],
    ]);
    const { vms: status } = await siteStatus(shopPlan(), { ec2: steps.ec2, store: site.store });
    expect(status).toMatchObject([{ vm: 'db', turnedAway: true }]);
  });

  it('boots one that an older DR copy still holds from that, without a copy', async () => {
    const older = { recoveryPoint: '20261123T090000Z-0199bbbb', takenAt: '2026-11-23T09:00:00.000Z' };
    const snapshots = await publishDrCopy(site, 'db', DB_DISKS, undefined, undefined, older);
    await waitUntilCompleted(steps.ec2, snapshots);
    for (const SnapshotId of snapshots)
      await steps.ec2.send(new LockSnapshotCommand({ SnapshotId, LockMode: 'governance', LockDuration: 7 }));
    const ready = await check([{ vm: 'db', ...older }]);
    expect(ready).not.toHaveProperty('toCopy');
    expect(ready.drCopies).toMatchObject([{ vm: 'db', ...older }]);
    expect(ready.drCopies[0]?.disks.map(({ snapshotId }) => snapshotId)).toEqual(snapshots);

    const plan = shopPlan();
    plan.replication.lock = { every: 86_400, keep: 7 * 86_400, mode: 'governance' };
    const asked = { ec2: steps.ec2, store: site.store };
    const points = await pointsOf(plan, asked);
    const until = expect.stringMatching(/^\d{4}-/) as string;
    expect(points.vms[0]?.points.map(({ takenAt, olderDrCopy }) => [takenAt, olderDrCopy])).toEqual([
      [NEWEST, undefined],
      [OLDER.takenAt, undefined],
      [older.takenAt, { lockedUntil: until }],
    ]);
    expect(pointsText(points)).toContain('in a DR copy locked until ');
    const status = await siteStatus(plan, asked);
    expect(status.vms[0]?.lockedCopy).toEqual({ ...older, until });
    expect(statusText(status, { launchCopies: false, locks: true })).toContain(
      `db: the DR copy of ${older.takenAt} is locked until `,
    );
    // The plan wants none: nobody asks.
    expect((await siteStatus(shopPlan(), asked)).vms[0]).not.toHaveProperty('lockedCopy');
  });
});
