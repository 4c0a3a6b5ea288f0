import { ActivityCancellationDetails } from '@temporalio/common';
import { BLOCK_SIZE } from '../../blocks/port';
import { findBlockMap, readManifest } from '../../repository/backups/backups';
import { AwsError } from '../../sandbox/aws/wire/errors';
import { patternDisk, type Pattern } from '../support/synthetic-disk';
import { areaOf, backUp, idOf, storedBlocks, tellAreas } from './copy-backup';
import { type CopySite, inActivity, newEnvironment, startCopySite, VM } from './copy-site';

const random = (seed: string | number): Pattern => ({ random: String(seed) });

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
afterEach(() => site.close());

it('backs up what the hypervisor says may have changed since exactly the backup that it builds on', async () => {
  const patterns: Pattern[] = ['zero', random(1), 'zero', random(3), random(4)];
  site.hypervisor.setDisk('system', patternDisk(patterns));
  const asked = tellAreas(site, () => [areaOf(1), areaOf(3), areaOf(4)]);
  await backUp(site, 1);
  expect(asked).toEqual([undefined]);

  patterns[3] = 'zero';
  patterns[4] = random('new');
  site.hypervisor.setDisk('system', patternDisk(patterns));
  const since = tellAreas(site, (id) => (id === undefined ? undefined : [areaOf(3), areaOf(4)]));
  expect(await backUp(site, 2)).toMatchObject({ kind: 'incremental', disks: [{ blocks: 1 }] });
  expect(since).toEqual([`${idOf(1)} of system`]);

  // A hypervisor that cannot tell the one may still tell the other; or nothing, and everything is read.
  const both = tellAreas(site, (id) => (id === undefined ? [areaOf(1), areaOf(4)] : undefined));
  expect(await backUp(site, 3)).toMatchObject({ kind: 'incremental', disks: [{ blocks: 0 }] });
  expect(both).toEqual([`${idOf(2)} of system`, undefined]);
  tellAreas(site, () => undefined);
  expect(await backUp(site, 4)).toMatchObject({ kind: 'incremental', disks: [{ blocks: 0 }] });
  expect(await storedBlocks(site, 2)).toEqual(await storedBlocks(site, 4));
  expect(await storedBlocks(site, 3)).toEqual(await storedBlocks(site, 4));
});

it('asks the hypervisor by its own name for the VM, and stores by that of the plan', async () => {
  site.hypervisor.setDisk('system', patternDisk([random(1)]));
  const asked = new Set<string>();
  for (const call of ['snapshotVm', 'openSnapshotDisk', 'changedAreas', 'releaseSnapshot'] as const) {
    const answer = site.hypervisor[call] as (vm: string, ...more: string[]) => unknown;
    Object.assign(site.hypervisor, {
      [call]: (vm: string, ...more: string[]) => {
        asked.add(`${call} ${vm}`);
        return answer(vm, ...more);
      },
    });
  }
  const names = { vm: VM, primaryVm: '/Datacenter/vm/Prod/SQL PROD 01' };
  const [activities, input] = [site.activities(), { run: site.run, ...names, backupId: idOf(1) }];
  const snapshot = await inActivity(activities.snapshotVm, input);
  const copied = await inActivity(activities.backupDisk, { ...input, diskKey: 'system' });
  const { disks } = snapshot.configuration;
  const guest = await inActivity(activities.rehearseAdaptation, { ...input, disks });
  await inActivity(activities.finishBackup, {
    ...{ run: site.run, vm: VM, backupId: idOf(1), guest },
    ...snapshot,
    disks: [{ key: 'system', ...copied }],
  });
  await inActivity(activities.releaseVmSnapshot, input);
  expect([...asked].sort()).toEqual(
    ['changedAreas', 'openSnapshotDisk', 'releaseSnapshot', 'snapshotVm'].map(
      (call) => `${call} ${names.primaryVm}`,
    ),
  );
  expect(await readManifest(site.store, VM, idOf(1))).toMatchObject({ vm: VM });
});

it('does not believe areas of a disk that has another size in the backup before', async () => {
  site.hypervisor.setDisk('system', patternDisk([random(1)]));
  await backUp(site, 1);
  site.hypervisor.setDisk('system', patternDisk([random(1), random(2)]));
  const asked = tellAreas(site, (since) => (since === undefined ? undefined : []));
  expect(await backUp(site, 2)).toMatchObject({ kind: 'full', disks: [{ blocks: 2 }] });
  expect(asked).toEqual([undefined]);
});

it('goes on after being cut off in the middle, and counts what it sent again', async () => {
  site.hypervisor.setDisk('system', patternDisk(Array.from({ length: 200 }, (_, n) => random(n))));
  let puts = 0;
  fault = (operation) => {
    if (operation === 'PutObject' && ++puts > 3) throw new AwsError('AccessDenied', 'Not any more.', 403);
  };
  await expect(backUp(site, 1)).rejects.toThrow();
  fault = () => undefined;
  const { disks } = await backUp(site, 1);
  expect(disks).toMatchObject([{ blocks: 200, bytes: 200 * BLOCK_SIZE }]);
  expect(disks[0]!.blocksSentAgain).toBeGreaterThan(0);
  expect(disks[0]!.blocksSentAgain).toBeLessThanOrEqual(4 * 32);
  expect(await storedBlocks(site, 1)).toHaveLength(200);
}, 60_000);

it('waits out throttling and faults of S3', async () => {
  site.hypervisor.setDisk('system', patternDisk(Array.from({ length: 100 }, (_, n) => random(n))));
  let puts = 0;
  fault = (operation) => {
    if (operation === 'PutObject' && ++puts % 2 === 1) throw new AwsError('SlowDown', 'Slow down.', 503);
  };
  const { disks } = await backUp(site, 1);
  expect(disks).toMatchObject([{ blocks: 100, blocksSentAgain: 0 }]);
}, 60_000);

it('backs up in full over a map that is damaged or of another version', async () => {
  site.hypervisor.setDisk('system', patternDisk([random(1), random(2)]));
  await backUp(site, 1);
  const found = await findBlockMap(site.store, VM, idOf(1), 'system');
  const old = Buffer.from((await site.store.get(found!.key))!.body);
  old.writeUInt32BE(1, 8);
  await site.store.put(found!.key, old);
  expect(await backUp(site, 2)).toMatchObject({ kind: 'full', disks: [{ blocks: 2 }] });
});

it.each([
  ['gives a snapshot up that stands only after the run was cancelled', { cancelRequested: true }, [idOf(1)]],
  // Its next try has found the snapshot by then: a network that was cut for longer than the server waits.
  ['leaves the snapshot to the next try where only the present one is given up', { notFound: true }, []],
])('%s', async (_, details, given) => {
  site.hypervisor.setDisk('system', patternDisk([random(1)]));
  const environment = newEnvironment();
  const { snapshotVm } = site.hypervisor;
  const released: string[] = [];
  Object.assign(site.hypervisor, {
    snapshotVm: async (vm: string, id: string) => {
      const snapshot = await snapshotVm(vm, id);
      environment.cancel(undefined, new ActivityCancellationDetails(details));
      return snapshot;
    },
    releaseSnapshot: (_vm: string, id: string) => Promise.resolve(void released.push(id)),
  });
  const input = { run: site.run, vm: VM, backupId: idOf(1) };
  await expect(inActivity(site.activities().snapshotVm, input, environment)).rejects.toThrow();
  expect(released).toEqual(given);
});
