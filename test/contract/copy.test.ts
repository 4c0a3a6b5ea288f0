import { DeleteSnapshotCommand, DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { type MockActivityEnvironment } from '@temporalio/testing';
import { join } from 'node:path';
import { type RestorePlan } from '../../activities/aws-proxy/restore/contract';
import { isCopyProgress } from '../../blocks/progress';
import { BLOCK_SIZE } from '../../blocks/port';
import { TokenBucket } from '../../sandbox/aws/faults/throttling';
import { AwsError } from '../../sandbox/aws/wire/errors';
import { patternBlock, patternDisk, type Pattern } from '../support/synthetic-disk';
import { backUp } from './copy-backup';
import { copyInputs } from './copy-disk';
import { restore, runNumber, snapshotBytes } from './copy-restore';
import { type CopySite, inActivity, newEnvironment, startCopySite, VM } from './copy-site';
import { retried } from './run-activity';

const random = (seed: string | number): Pattern => ({ random: String(seed) });
/** No multiple of a block, nor of a GiB: 43 blocks, the last one of 3 sectors. */
const SIZE = 42 * BLOCK_SIZE + 3 * 512;

let site: CopySite;
/** What happens to a call before the endpoint answers it; throws to refuse it. */
let fault: (operation: string) => void;

beforeEach(async () => {
  fault = () => undefined;
  site = await startCopySite((call, handle) => {
    fault(call.operation);
    return handle();
  });
});
afterEach(async () => {
  jest.restoreAllMocks();
  await site.close();
});

function basePatterns(): Pattern[] {
  return Array.from({ length: 43 }, (_, n) =>
    n % 4 === 3 ? 'zero' : n % 5 === 0 ? { text: `text ${n} ` } : random(n),
  );
}

describe.each(['direct', 'volume'] as const)('backup and restore, copy: %s', (copy) => {
  it('full, then incremental, then nothing to do; every byte is equal, and what became zero is zero', async () => {
    const patterns = basePatterns();
    const first = patternDisk(patterns, SIZE);
    site.hypervisor.setDisk('system', first);
    site.hypervisor.setDisk('data', patternDisk(['zero', random('data')]));
    const backup = await backUp(site, 1);
    expect(backup.kind).toBe('full');

    const full = await restore(site, copy, runNumber(site, 1));
    expect(full.plan).toMatchObject({
      kind: 'full',
      reason: 'there is no complete DR copy yet',
      upToDate: false,
    });
    expect(full.plan.disks.map(({ blocks }) => blocks)).toEqual([33, 1]);
    expect(full.results.map(({ blocks }) => blocks)).toEqual([33, 1]);
    expect((await snapshotBytes(site, full.snapshotIds[0]!, SIZE)).equals(first)).toBe(true);

    for (const index of [0, 17, 42]) patterns[index] = random(`changed ${index}`);
    patterns[20] = 'zero';
    const second = patternDisk(patterns, SIZE);
    site.hypervisor.setDisk('system', second);
    const incremental = await backUp(site, 2);
    expect(incremental).toMatchObject({ kind: 'incremental', disks: [{ blocks: 3 }, { blocks: 0 }] });

    const next = await restore(site, copy, runNumber(site, 2));
    expect(next.plan).toMatchObject({ kind: 'incremental', upToDate: false });
    expect(next.plan.reason).toBeUndefined();
    expect(next.plan.disks.map(({ parentSnapshotId }) => parentSnapshotId)).toEqual(full.snapshotIds);
    expect(next.results.map(({ blocks, blocksSentAgain }) => [blocks, blocksSentAgain])).toEqual([
      [4, 0],
      [0, 0],
    ]);
    const bytes = await snapshotBytes(site, next.snapshotIds[0]!, SIZE);
    expect(bytes.equals(second)).toBe(true);
    expect(bytes.subarray(20 * BLOCK_SIZE, 21 * BLOCK_SIZE).equals(patternBlock('zero'))).toBe(true);

    const again = await inActivity(site.activities().planRestore, { run: runNumber(site, 3), vm: VM });
    expect(again).toMatchObject({ upToDate: true, kind: 'incremental' });
  }, 60_000);
});

describe('what a restore builds on', () => {
  const plan = (): Promise<RestorePlan> =>
    inActivity(site.activities().planRestore, { run: runNumber(site, 9), vm: VM });
  beforeEach(async () => {
    site.hypervisor.setDisk('system', patternDisk([random(1), random(2)]));
    await backUp(site, 1);
  });

  it('nothing, without a backup', async () => {
    const without = inActivity(site.activities().planRestore, { run: site.run, vm: 'web' });
    await expect(without).rejects.toMatchObject({ type: 'BackupNotFound', nonRetryable: true });
  });

  it('not on a disk of another size, and says so', async () => {
    await restore(site, 'direct', runNumber(site, 1));
    site.hypervisor.setDisk('system', patternDisk([random(1), random(2), random(3)]));
    expect((await backUp(site, 2)).kind).toBe('full');
    expect(await plan()).toMatchObject({ kind: 'full', reason: expect.stringContaining('was resized') });
  });

  it('on the other disks where one is new', async () => {
    await restore(site, 'direct', runNumber(site, 1));
    site.hypervisor.setDisk('data', patternDisk([random('new')]));
    await backUp(site, 2);
    const { reason, disks } = await plan();
    expect(reason).toBe('the disk "data" is new');
    expect(disks.map(({ parentSnapshotId }) => parentSnapshotId !== undefined)).toEqual([true, false]);
  });

  it('not on a parent whose backup is gone from the repository', async () => {
    await restore(site, 'direct', runNumber(site, 1));
    await backUp(site, 2);
    await site.store.delete(`${VM}/backups/20261123T181501Z-00000001/system.map`);
    expect(await plan()).toMatchObject({ kind: 'full', reason: expect.stringContaining('lacks the backup') });
  });

  it('not on a DR copy with another KMS key; and only a key ARN names a key', async () => {
    await restore(site, 'direct', runNumber(site, 1));
    await backUp(site, 2);
    const kmsKey = 'arn:aws:kms:eu-central-1:111122223333:key/0d9b1e4a-0000-4000-8000-000000000000';
    const activities = site.activities();
    const changed = await inActivity(activities.planRestore, { run: runNumber(site, 2), vm: VM, kmsKey });
    expect(changed).toMatchObject({ kind: 'full', reason: `the KMS key changed from none to ${kmsKey}` });
    const alias = inActivity(activities.planRestore, {
      run: runNumber(site, 2),
      vm: VM,
      kmsKey: 'alias/mine',
    });
    await expect(alias).rejects.toMatchObject({ type: 'InvalidPlan', nonRetryable: true });
  });

  it('never on a backup older than the DR copy', async () => {
    await backUp(site, 2);
    await restore(site, 'direct', runNumber(site, 1));
    await site.store.delete(`${VM}/backups/20261123T181502Z-00000002/manifest.json`);
    await expect(plan()).rejects.toMatchObject({ type: 'BackupOlderThanDrCopy', nonRetryable: true });
  });
});

describe('a copy that is interrupted', () => {
  /** An activity that is cancelled when that many blocks have reached EBS. */
  function cancelAt(blocks: number): MockActivityEnvironment {
    const environment = newEnvironment();
    let arrived = 0;
    fault = (operation) => {
      if (operation === 'PutSnapshotBlock' && ++arrived === blocks) environment.cancel();
    };
    return environment;
  }
  const patterns = Array.from({ length: 200 }, (_, n) => random(n));

  it('goes on from where it was; blocks sent again are counted, and few', async () => {
    site.hypervisor.setDisk('system', patternDisk(patterns));
    await backUp(site, 1);
    const activities = site.activities();
    const run = site.run;
    const plan = await inActivity(activities.planRestore, { run, vm: VM });
    const input = { run, vm: VM, attempt: 1, restore: plan, disk: plan.disks[0]! };
    const { snapshotId } = await inActivity(activities.startSnapshot, input);

    const { extent, completion } = copyInputs(plan, input, snapshotId);
    await expect(inActivity(activities.copyExtent, extent, cancelAt(120))).rejects.toThrow('CANCELLED');
    let puts = 0;
    fault = (operation) => void (puts += Number(operation === 'PutSnapshotBlock'));
    const environment = newEnvironment();
    const beats: unknown[] = [];
    environment.on('heartbeat', (details: unknown) => beats.push(details));
    const result = await inActivity(activities.copyExtent, extent, environment);
    expect(result.blocks).toBe(200);
    expect(result.blocksSentAgain).toBeGreaterThan(0);
    expect(result.blocksSentAgain).toBeLessThanOrEqual(64);
    expect(puts).toBeLessThanOrEqual(200 - 120 + 64);
    expect(beats.every(isCopyProgress)).toBe(true);
    await inActivity(activities.completeSnapshot, completion);
    expect((await snapshotBytes(site, snapshotId, 200 * BLOCK_SIZE)).equals(patternDisk(patterns))).toBe(
      true,
    );

    // Completions that were lost: asked again, both find the snapshot completed and send nothing.
    puts = 0;
    expect(await inActivity(activities.copyExtent, extent)).toMatchObject({ blocks: 200 });
    await inActivity(activities.completeSnapshot, completion);
    expect(puts).toBe(0);
  }, 60_000);

  it('goes on elsewhere from the last heartbeat, where the journal is lost', async () => {
    site.hypervisor.setDisk('system', patternDisk(patterns.slice(0, 60)));
    await backUp(site, 1);
    const activities = site.activities(join(site.directory, 'elsewhere'));
    const run = site.run;
    const plan = await inActivity(activities.planRestore, { run, vm: VM });
    const input = { run, vm: VM, attempt: 1, restore: plan, disk: plan.disks[0]! };
    const { snapshotId } = await inActivity(activities.startSnapshot, input);
    const { extent } = copyInputs(plan, input, snapshotId);
    const first = newEnvironment();
    let last: unknown;
    first.on('heartbeat', (details: unknown) => (last = details));
    const whole = await inActivity(activities.copyExtent, extent, first);
    expect(whole.blocks).toBe(60);

    // The second attempt's snapshot has only what a heartbeat says is there, so EBS must refuse to complete it.
    const second = await inActivity(activities.startSnapshot, { ...input, attempt: 2 });
    const next = copyInputs(plan, { ...input, attempt: 2 }, second.snapshotId);
    const environment = newEnvironment({ heartbeatDetails: { ...(last as object), resumeAt: 50 } });
    let puts = 0;
    fault = (operation) => void (puts += Number(operation === 'PutSnapshotBlock'));
    await inActivity(activities.copyExtent, next.extent, environment);
    expect(puts).toBe(10);
    const refusing = newEnvironment();
    fault = (operation) => {
      // Its answer is a refusal, after which the activity waits whether an earlier try had completed the snapshot.
      if (operation === 'CompleteSnapshot') setTimeout(() => refusing.cancel(), 300);
    };
    await expect(inActivity(activities.completeSnapshot, next.completion, refusing)).rejects.toThrow();
    const { Snapshots } = await site.ec2.send(
      new DescribeSnapshotsCommand({ SnapshotIds: [second.snapshotId] }),
    );
    expect(Snapshots?.[0]?.State).toBe('pending');
  }, 60_000);

  it('is completed once: a try after one that only failed to wait goes on waiting', async () => {
    site.hypervisor.setDisk('system', patternDisk(patterns.slice(0, 3)));
    await backUp(site, 1);
    const activities = site.activities();
    const { run } = site;
    const plan = await inActivity(activities.planRestore, { run, vm: VM });
    const input = { run, vm: VM, attempt: 1, restore: plan, disk: plan.disks[0]! };
    const { snapshotId } = await inActivity(activities.startSnapshot, input);
    const { extent, completion } = copyInputs(plan, input, snapshotId);
    await inActivity(activities.copyExtent, extent);
    let completions = 0;
    let broken = 0;
    fault = (operation) => {
      completions += Number(operation === 'CompleteSnapshot');
      if (operation !== 'DescribeSnapshots' || completions === 0 || ++broken > 1) return;
      throw new AwsError('InternalError', 'Something broke.', 500);
    };
    expect(await retried(activities.completeSnapshot, completion)).toMatchObject({ tries: 2 });
    expect(completions).toBe(1);
  });

  it('waits out throttling, faults and lost answers, each block on its own', async () => {
    site.hypervisor.setDisk('system', patternDisk(patterns.slice(0, 40)));
    await backUp(site, 1);
    let calls = 0;
    fault = (operation) => {
      if (operation !== 'PutSnapshotBlock') return;
      calls++;
      if (calls % 3 === 0) throw new AwsError('RequestThrottledException', 'Too many requests.', 400);
      if (calls % 7 === 0) throw new AwsError('InternalServerException', 'Something broke.', 500);
    };
    const { results, snapshotIds } = await restore(site, 'direct', site.run);
    expect(results).toMatchObject([{ blocks: 40, blocksSentAgain: 0 }]);
    expect(calls).toBeGreaterThan(40);
    const bytes = await snapshotBytes(site, snapshotIds[0]!, 40 * BLOCK_SIZE);
    expect(bytes.equals(patternDisk(patterns.slice(0, 40)))).toBe(true);
  }, 60_000);

  it('goes slower where the account takes fewer calls than it makes, and ends whole', async () => {
    site.hypervisor.setDisk('system', patternDisk(patterns.slice(0, 40)));
    await backUp(site, 1);
    const bucket = new TokenBucket(150, 10);
    let refusals = 0;
    fault = (operation) => {
      if (operation !== 'PutSnapshotBlock') return;
      // At first it takes none, as where other proxies have used all of it: more often than a block would be tried.
      if (refusals < 600 || !bucket.has()) {
        refusals++;
        throw new AwsError('ThrottlingException', 'Rate exceeded', 400);
      }
      bucket.take();
    };
    const { results, snapshotIds } = await restore(site, 'direct', site.run);
    expect(results).toMatchObject([{ blocks: 40, blocksSentAgain: 0 }]);
    expect(refusals).toBeGreaterThanOrEqual(600);
    const bytes = await snapshotBytes(site, snapshotIds[0]!, 40 * BLOCK_SIZE);
    expect(bytes.equals(patternDisk(patterns.slice(0, 40)))).toBe(true);
  }, 60_000);

  it('ends at a pack that is gone, and names it', async () => {
    site.hypervisor.setDisk('system', patternDisk(patterns.slice(0, 3)));
    await backUp(site, 1);
    const pack = `${VM}/packs/20261123T181501Z-00000001-system-0`;
    await site.store.delete(pack);
    await expect(restore(site, 'direct', site.run)).rejects.toMatchObject({
      type: 'DamagedObject',
      nonRetryable: true,
      message: expect.stringContaining(pack),
    });
  });

  it.each(['direct', 'volume'] as const)(
    'ends the %s way at a block that decodes into other bytes, and names its pack',
    async (way) => {
      // Random bytes are stored as they are, so that what is altered still decodes.
      const content = patternDisk(patterns.slice(0, 3));
      site.hypervisor.setDisk('system', content);
      await backUp(site, 1);
      const pack = `${VM}/packs/20261123T181501Z-00000001-system-0`;
      const { body } = (await site.store.get(pack))!;
      const endOfBlock1 = body.indexOf(content.subarray(2 * BLOCK_SIZE - 16, 2 * BLOCK_SIZE));
      expect(endOfBlock1).toBeGreaterThan(0);
      body.writeUInt8(body.readUInt8(endOfBlock1) ^ 1, endOfBlock1);
      await site.store.put(pack, body);
      await expect(restore(site, way, site.run)).rejects.toMatchObject({
        type: 'DamagedBlock',
        nonRetryable: true,
        message: expect.stringMatching(new RegExp(`Block 1.*${pack}.*SHA-256`)),
      });
    },
    60_000,
  );

  it('begins a new attempt where AWS has given the snapshot up', async () => {
    site.hypervisor.setDisk('system', patternDisk(patterns.slice(0, 3)));
    await backUp(site, 1);
    const activities = site.activities();
    const run = site.run;
    const plan = await inActivity(activities.planRestore, { run, vm: VM });
    const input = { run, vm: VM, attempt: 1, restore: plan, disk: plan.disks[0]! };
    const { snapshotId } = await inActivity(activities.startSnapshot, input);
    expect(await inActivity(activities.startSnapshot, input)).toEqual({ snapshotId });
    await site.ec2.send(new DeleteSnapshotCommand({ SnapshotId: snapshotId }));
    // Backoff is a random part of a bound; without it, the sink does not wait for a snapshot that may be too new.
    jest.spyOn(Math, 'random').mockReturnValue(0);
    const { extent } = copyInputs(plan, input, snapshotId);
    const copying = inActivity(activities.copyExtent, extent);
    await expect(copying).rejects.toMatchObject({ type: 'SnapshotFailed', nonRetryable: true });
    const again = await inActivity(activities.startSnapshot, { ...input, attempt: 2 });
    expect(again.snapshotId).not.toBe(snapshotId);
  }, 60_000);
});
