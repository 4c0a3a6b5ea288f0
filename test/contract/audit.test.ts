import { hash } from 'node:crypto';
import { BLOCK_SIZE } from '../../blocks/port';
import { type DiskArea } from '../../hypervisor/port';
import { openBlockMap, readManifest } from '../../repository/backups/backups';
import { AwsError } from '../../sandbox/aws/wire/errors';
import { entriesOf } from '../support/block-maps';
import { patternBlock, patternDisk, type Pattern } from '../support/synthetic-disk';
import { type CopySite, inActivity, startCopySite, VM } from './copy-site';

/** A hypervisor that leaves changes out of what it says has changed: no backup may believe it. */

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

const random = (seed: string | number): Pattern => ({ random: String(seed) });
const idOf = (n: number): string => `20261123T18150${n}Z-0000000${n}`;
const areaOf = (index: number): DiskArea => ({ offset: index * BLOCK_SIZE, length: 512 });

async function backUp(n: number, patterns: Pattern[]) {
  site.hypervisor.setDisk('system', patternDisk(patterns));
  const [run, backupId] = [site.run, idOf(n)];
  const activities = site.activities();
  const snapshot = await inActivity(activities.snapshotVm, { run, vm: VM, backupId });
  const input = { run, vm: VM, backupId, diskKey: 'system' };
  const disk = { key: 'system', ...(await inActivity(activities.backupDisk, input)) };
  return inActivity(activities.finishBackup, { run, vm: VM, backupId, ...snapshot, disks: [disk] });
}

/** What the hypervisor says has changed, and what it says holds data. @returns the questions that it was asked */
function tell(changed: DiskArea[], data?: DiskArea[]): (string | undefined)[] {
  const asked: (string | undefined)[] = [];
  Object.assign(site.hypervisor, {
    changedAreas: (_vm: string, _snapshot: string, _disk: string, since?: string) => {
      asked.push(since);
      return Promise.resolve(since === undefined ? data : changed);
    },
  });
  return asked;
}

async function expectStored(n: number, patterns: Pattern[]): Promise<void> {
  const manifest = await readManifest(site.store, VM, idOf(n));
  const map = await openBlockMap(site.store, VM, manifest!.disks[0]!);
  const stored = (await entriesOf(map)).map(({ index, sha256 }) => [index, sha256.toString('hex')]);
  expect(stored).toEqual(
    patterns.flatMap((pattern, n) =>
      pattern === 'zero' ? [] : [[n, hash('sha256', patternBlock(pattern))]],
    ),
  );
}

const notesOf = async (n: number) => (await readManifest(site.store, VM, idOf(n)))!.notes;
const wrong = (block: number) => [
  expect.stringMatching(
    new RegExp(`wrong about disk system \\(block ${block};.* earlier ones may lack changes`),
  ),
];

it.each([
  ['a block that was written', 2, random('new')],
  ['a block that was zeroed', 2, 'zero'],
  ['a block that was written into nothing', 5, random('new')],
] as [string, number, Pattern][])(
  'finds %s and was left out, and compares the disk',
  async (_, index, now) => {
    const patterns = [random(0), 'zero', random(2), random(3), 'zero', 'zero', random(6)] as Pattern[];
    await backUp(1, patterns);

    patterns[0] = random('told');
    patterns[index] = now;
    tell([areaOf(0)]);
    const result = await backUp(2, patterns);
    expect(result).toMatchObject({ kind: 'incremental', notes: wrong(index) });
    expect(await notesOf(2)).toEqual(wrong(index));
    await expectStored(2, patterns);

    // An honest answer costs no further notes.
    patterns[3] = random('told, too');
    tell([areaOf(3)]);
    expect(await backUp(3, patterns)).not.toHaveProperty('notes');
    expect(await notesOf(3)).toBeUndefined();
    await expectStored(3, patterns);
  },
);

it('finds data where the hypervisor says that there is none, in a first backup', async () => {
  const patterns = [random(0), 'zero', random(2), random(3)] as Pattern[];
  tell([], [areaOf(0), areaOf(3)]);
  expect(await backUp(1, patterns)).toMatchObject({ kind: 'full', notes: wrong(2) });
  await expectStored(1, patterns);
});

it('does not believe it again after being cut off', async () => {
  const patterns: Pattern[] = Array.from({ length: 120 }, (_, n) => random(n));
  await backUp(1, patterns);
  // Enough for several packs, and a lie near the end of the disk.
  for (let n = 0; n < 100; n++) patterns[n] = random(`new ${n}`);
  patterns[115] = random('not told');
  const asked = tell(Array.from({ length: 100 }, (_, n) => areaOf(n)));
  let packs = 0;
  fault = (operation) => {
    if (operation === 'PutObject' && ++packs > 3) throw new AwsError('AccessDenied', 'Not any more.', 403);
  };
  await expect(backUp(2, patterns)).rejects.toThrow();
  expect(asked).toEqual([`${idOf(1)} of system`]);

  fault = () => undefined;
  expect(await backUp(2, patterns)).toMatchObject({ notes: wrong(115), disks: [{ blocks: 101 }] });
  // It was not even asked: what it would have said counts for nothing in this backup.
  expect(asked).toHaveLength(1);
  await expectStored(2, patterns);
}, 60_000);
