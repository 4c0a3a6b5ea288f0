import { hash } from 'node:crypto';
import { DeleteSnapshotCommand } from '@aws-sdk/client-ec2';
import { removeRecoveryResources } from '../../activities/aws-proxy/account/clean-up';
import { findDrCopy } from '../../activities/aws-proxy/account/dr-copy';
import { findLeftovers } from '../../activities/aws-proxy/account/leftovers';
import { findSnapshots } from '../../activities/aws-proxy/account/snapshots';
import { createChoosePointsActivities } from '../../activities/aws-proxy/points/choose';
import { createPointCopyActivities } from '../../activities/aws-proxy/points/copy';
import { heldBackups } from '../../activities/aws-proxy/restore/held-backups';
import { BLOCK_SIZE } from '../../blocks/port';
import { type PointChoice } from '../../plan/lines';
import { retire } from '../../repository/backups/retirement';
import { readPins } from '../../repository/backups/pins';
import { movePlanState, takePlanState } from '../../repository/plans/plan-state';
import { patternDisk, type Pattern } from '../support/synthetic-disk';
import { backUp, idOf } from './copy-backup';
import { copyWhole } from './copy-disk';
import { restore, runNumber, snapshotBytes } from './copy-restore';
import { type CopySite, inActivity, startCopySite, VM } from './copy-site';

const random = (seed: string): Pattern => ({ random: seed });
/** No multiple of a block, nor of a GiB. */
const SIZE = 19 * BLOCK_SIZE + 3 * 512;
/** Zeros at every fourth block. */
const BEFORE = Array.from({ length: 20 }, (_, n) => (n % 4 === 3 ? 'zero' : random(`order ${n}`)) as Pattern);
/** Every block that held data, and a block of zeros; one that nobody looked at became zeros. */
const ENCRYPTED = BEFORE.map((pattern, n): Pattern => {
  if (n === 5) return 'zero';
  if (n === 6) return pattern;
  return pattern !== 'zero' || n === 7 ? random(`encrypted ${n}`) : 'zero';
});
const DIFFERENT = BEFORE.filter(
  (pattern, n) => JSON.stringify(pattern) !== JSON.stringify(ENCRYPTED[n]),
).length;
const DATA = patternDisk([random('data'), 'zero', random('more data')]);

let site: CopySite;
beforeEach(async () => {
  site = await startCopySite();
  site.hypervisor.setDisk('system', patternDisk(BEFORE, SIZE));
  site.hypervisor.setDisk('data', DATA);
  await backUp(site, 1);
  site.hypervisor.setDisk('system', patternDisk(ENCRYPTED, SIZE));
  await backUp(site, 2);
});
afterEach(() => site.close());

const points = () => {
  const { ec2, store } = site;
  const common = { ec2, objectStore: () => store, pollSeconds: 0.05 };
  return { ...createChoosePointsActivities(common), ...createPointCopyActivities(common) };
};

/** The backup's copy, as the workflow makes it. @param run of the failover */
async function copyPoint(n: number, run = runNumber(site, 9)) {
  const activities = site.activities();
  const plan = await inActivity(points().planPointCopy, { run, vm: VM, recoveryPoint: idOf(n) });
  const snapshots = [];
  for (const disk of plan.disks) {
    const target = { run, vm: VM, attempt: 1, disk };
    const { snapshotId } = await inActivity(activities.startSnapshot, {
      ...{ ...target, restore: plan, role: 'point-copy' as const },
    });
    await copyWhole(activities, plan, target, snapshotId);
    snapshots.push({ diskKey: disk.key, snapshotId });
  }
  const input = { run, vm: VM, restore: plan, snapshots };
  return { plan, input, copy: await inActivity(points().finishPointCopy, input) };
}

/** By digests: comparing megabytes byte by byte takes jest minutes. */
const digest = (bytes: Buffer): string => hash('sha256', bytes);
const digestOf = async (snapshotId = '', size = SIZE): Promise<string> =>
  digest(await snapshotBytes(site, snapshotId, size));

describe('the copy of an older recovery point', () => {
  it('holds every byte of its backup, zeros over what was encrypted too, and leaves the DR copy what it is', async () => {
    const { snapshotIds } = await restore(site, 'direct', site.run);
    const { plan, copy, input } = await copyPoint(1, { ...runNumber(site, 9), test: true });
    expect(plan).toMatchObject({ kind: 'incremental', recoveryPoint: idOf(1), upToDate: false });
    expect(plan.disks.map(({ blocks, parentSnapshotId }) => [blocks, parentSnapshotId])).toEqual([
      [DIFFERENT, snapshotIds[0]],
      [0, snapshotIds[1]],
    ]);
    expect(copy).toMatchObject({
      vm: VM,
      recoveryPoint: idOf(1),
      disks: [{ key: 'system' }, { key: 'data' }],
    });
    expect(copy.launchCopy).toBeUndefined();
    expect(await digestOf(copy.disks[0]?.snapshotId)).toBe(digest(patternDisk(BEFORE, SIZE)));
    expect(await digestOf(copy.disks[1]?.snapshotId, DATA.length)).toBe(digest(DATA));
    // A lost answer changes nothing.
    expect(await inActivity(points().finishPointCopy, input)).toEqual(copy);

    const drCopy = await findDrCopy(site.ec2, site.run.plan, VM);
    expect(drCopy).toMatchObject({ recoveryPoint: idOf(2) });
    expect(drCopy?.disks.map(({ snapshotId }) => snapshotId)).toEqual(snapshotIds);
    expect(await digestOf(snapshotIds[0])).toBe(digest(patternDisk(ENCRYPTED, SIZE)));
    expect([...(await heldBackups(site.ec2, VM))].sort()).toEqual([idOf(1), idOf(2)]);
    expect(await readPins(site.store, VM)).toMatchObject([{ user: { runId: site.run.runId } }]);
  });

  it('outlives a restore, which does not build on it, and goes with its run', async () => {
    await restore(site, 'direct', site.run);
    const { copy } = await copyPoint(1);
    const later = patternDisk(ENCRYPTED.with(0, random('later')), SIZE);
    site.hypervisor.setDisk('system', later);
    await backUp(site, 3);
    const run = runNumber(site, 2);
    const next = await restore(site, 'direct', run);
    expect(next.plan.disks[0]).toMatchObject({ blocks: 1, parentRecoveryPoint: idOf(2) });
    const { generation } = await takePlanState(site.store, run, ['protected'], 'protected');
    await inActivity(site.activities().deleteReplacedDrCopies, {
      ...{ run: { ...run, generation }, vm: VM, keep: idOf(3) },
    });
    expect(await digestOf(copy.disks[0]?.snapshotId)).toBe(digest(patternDisk(BEFORE, SIZE)));
    expect(await digestOf(next.snapshotIds[0])).toBe(digest(later));

    const needs = {
      ...{ plan: run.plan, phase: 'protected' as const, holder: run.runId },
      ...{ liveRuns: new Set([runNumber(site, 9).runId]), madeBefore: new Date(Date.now() + 1000) },
    };
    expect(await findLeftovers(site.ec2, needs)).toEqual([]);
    const abandoned = await findLeftovers(site.ec2, { ...needs, liveRuns: new Set() });
    expect(abandoned.map(({ id }) => id).sort()).toEqual(
      copy.disks.map(({ snapshotId }) => snapshotId).sort(),
    );
    const away = { ...needs, phase: 'failed-over' as const, liveRuns: new Set<string>() };
    expect(await findLeftovers(site.ec2, away)).toEqual([]);

    const { removed } = await removeRecoveryResources(
      site.ec2,
      { run: runNumber(site, 9) },
      { uncancelled: true, pollSeconds: 0.05 },
    );
    expect(removed).toEqual(copy.disks.map(({ snapshotId }) => snapshotId).sort());
    expect(await findDrCopy(site.ec2, run.plan, VM)).toMatchObject({ recoveryPoint: idOf(3) });
  });

  it('is whole where there is no DR copy, or another disk in it', async () => {
    const { plan, copy } = await copyPoint(1);
    expect(plan).toMatchObject({ kind: 'full', reason: 'there is no complete DR copy yet' });
    expect(await digestOf(copy.disks[0]?.snapshotId)).toBe(digest(patternDisk(BEFORE, SIZE)));

    site.hypervisor.setDisk('data', Buffer.concat([DATA, DATA]));
    await backUp(site, 3);
    await restore(site, 'direct', site.run);
    const resized = await copyPoint(2, runNumber(site, 8));
    expect(resized.plan.reason).toMatch(/^the disk "data" was resized from \d+ to \d+ bytes$/);
    expect(await digestOf(resized.copy.disks[0]?.snapshotId)).toBe(digest(patternDisk(ENCRYPTED, SIZE)));
    expect(await digestOf(resized.copy.disks[1]?.snapshotId, DATA.length)).toBe(digest(DATA));
  });

  it('is pinned while it is made, refused of what is retired, and begun anew where its parent is gone', async () => {
    const { snapshotIds } = await restore(site, 'direct', site.run);
    const run = runNumber(site, 9);
    const plan = await inActivity(points().planPointCopy, { run, vm: VM, recoveryPoint: idOf(1) });
    const pinned = (await readPins(site.store, VM)).find(
      ({ user }) => 'runId' in user && user.runId === run.runId,
    );
    expect(pinned?.backups.sort()).toEqual([idOf(1), idOf(2)]);

    await site.ec2.send(new DeleteSnapshotCommand({ SnapshotId: snapshotIds[0] }));
    const start = inActivity(site.activities().startSnapshot, {
      ...{ run, vm: VM, attempt: 1, restore: plan, disk: plan.disks[0]!, role: 'point-copy' as const },
    });
    await expect(start).rejects.toMatchObject({ type: 'ParentGone', nonRetryable: true });
    await inActivity(points().discardPointCopy, { run, vm: VM });
    await inActivity(points().discardPointCopy, { run, vm: VM });
    expect(await findSnapshots(site.ec2, { plan: run.plan, run: run.runId })).toEqual([]);
    expect((await readPins(site.store, VM)).flatMap(({ backups }) => backups)).not.toContain(idOf(1));

    await retire(site.store, VM, idOf(1), 'no retention policy keeps it');
    await expect(
      inActivity(points().planPointCopy, { run, vm: VM, recoveryPoint: idOf(1) }),
    ).rejects.toMatchObject({ type: 'BackupRetired', nonRetryable: true });
  });
});

it('is chosen without regard to what a failover that has died was asked for', async () => {
  await restore(site, 'direct', site.run);
  const run = runNumber(site, 2);
  const choose = async (choice: PointChoice) =>
    (await inActivity(points().choosePoints, { run, vms: [VM], choice })).points[0]?.recoveryPoint;
  const { line } = await inActivity(points().choosePoints, { run, vms: [VM], choice: { point: idOf(1) } });
  const { generation } = await takePlanState(site.store, run, ['protected'], 'failing-over', {
    chosen: line,
  });
  const at = new Date().toISOString();
  expect(await choose({ at })).not.toBe(idOf(1));
  // Away, what came later is of the line that was turned away from.
  await movePlanState(site.store, { ...run, generation }, 'failed-over');
  expect(await choose({ at })).toBe(idOf(1));
});

describe('replication after a failover to an older recovery point', () => {
  it('waits for a backup of what came home, and goes on from the DR copy that it was', async () => {
    await restore(site, 'direct', site.run);
    const run = runNumber(site, 2);
    const { line } = await inActivity(points().choosePoints, { run, vms: [VM], choice: { point: idOf(1) } });
    const { generation } = await takePlanState(site.store, run, ['protected'], 'failing-over', {
      chosen: line,
    });
    for (const phase of ['failed-over', 'failed-back', 'protected'] as const)
      await movePlanState(site.store, { ...run, generation }, phase);

    const again = { run: runNumber(site, 3), vm: VM };
    await expect(inActivity(site.activities().planRestore, again)).rejects.toMatchObject({
      ...{ type: 'TurnedAway', nonRetryable: true },
      message: expect.stringMatching(/^The newest backup of db, of 2026-11-23T18:01/) as string,
    });
    // Begun after the commit; what is in it is the older line's.
    const home = patternDisk(BEFORE.with(2, random('home again')), SIZE);
    site.hypervisor.setDisk('system', home);
    const backupId = `${new Date(Date.now() + 60_000).toISOString().replace(/[-:]|\.\d+/g, '')}-00000009`;
    const snapshot = await inActivity(site.activities().snapshotVm, { run, vm: VM, backupId });
    const disks = [];
    for (const { key } of snapshot.configuration.disks)
      disks.push({
        key,
        ...(await inActivity(site.activities().backupDisk, { run, vm: VM, backupId, diskKey: key })),
      });
    await inActivity(site.activities().finishBackup, { run, vm: VM, backupId, ...snapshot, disks });

    const restored = await restore(site, 'direct', again.run);
    expect(restored.plan).toMatchObject({ kind: 'incremental', recoveryPoint: backupId });
    expect(restored.plan.disks[0]).toMatchObject({ parentRecoveryPoint: idOf(2) });
    expect(await digestOf(restored.snapshotIds[0])).toBe(digest(home));
  });
});
