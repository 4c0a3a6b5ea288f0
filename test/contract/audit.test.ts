import { hash } from 'node:crypto';
import { type DiskArea } from '../../hypervisor/port';
import { readManifest } from '../../repository/backups/backups';
import { AwsError } from '../../sandbox/aws/wire/errors';
import { patternBlock, patternDisk, type Pattern } from '../support/synthetic-disk';
import { areaOf, backUp, idOf, storedBlocks, tellAreas } from './copy-backup';
import { type CopySite, startCopySite, VM } from './copy-site';

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

/** A backup of the disk with that content. */
function backUpOf(patterns: Pattern[], n: number) {
  site.hypervisor.setDisk('system', patternDisk(patterns));
  return backUp(site, n);
}

/** What the hypervisor says has changed, and what it says holds data. @returns the questions that it was asked */
function tell(changed: DiskArea[], data?: DiskArea[]): (string | undefined)[] {
  return tellAreas(site, (since) => (since === undefined ? data : changed));
}

async function expectStored(n: number, patterns: Pattern[]): Promise<void> {
  expect(await storedBlocks(site, n)).toEqual(
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
    await backUpOf(patterns, 1);

    patterns[0] = random('told');
    patterns[index] = now;
    tell([areaOf(0)]);
    const result = await backUpOf(patterns, 2);
    expect(result).toMatchObject({ kind: 'incremental', notes: wrong(index) });
    expect(await notesOf(2)).toEqual(wrong(index));
    await expectStored(2, patterns);

    // An honest answer costs no further notes.
    patterns[3] = random('told, too');
    tell([areaOf(3)]);
    expect(await backUpOf(patterns, 3)).not.toHaveProperty('notes');
    expect(await notesOf(3)).toBeUndefined();
    await expectStored(3, patterns);
  },
);

it('finds data where the hypervisor says that there is none, in a first backup', async () => {
  const patterns = [random(0), 'zero', random(2), random(3)] as Pattern[];
  tell([], [areaOf(0), areaOf(3)]);
  expect(await backUpOf(patterns, 1)).toMatchObject({ kind: 'full', notes: wrong(2) });
  await expectStored(1, patterns);
});

it('does not believe it again after being cut off', async () => {
  const patterns: Pattern[] = Array.from({ length: 120 }, (_, n) => random(n));
  await backUpOf(patterns, 1);
  // Enough for several packs, and a lie near the end of the disk.
  for (let n = 0; n < 100; n++) patterns[n] = random(`new ${n}`);
  patterns[115] = random('not told');
  const asked = tell(Array.from({ length: 100 }, (_, n) => areaOf(n)));
  let packs = 0;
  fault = (operation) => {
    if (operation === 'PutObject' && ++packs > 3) throw new AwsError('AccessDenied', 'Not any more.', 403);
  };
  await expect(backUpOf(patterns, 2)).rejects.toThrow();
  expect(asked).toEqual([`${idOf(1)} of system`]);

  fault = () => undefined;
  expect(await backUpOf(patterns, 2)).toMatchObject({ notes: wrong(115), disks: [{ blocks: 101 }] });
  // It was not even asked: what it would have said counts for nothing in this backup.
  expect(asked).toHaveLength(1);
  await expectStored(2, patterns);
}, 60_000);
