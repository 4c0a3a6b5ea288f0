import { DeleteSnapshotCommand } from '@aws-sdk/client-ec2';
import { readFile, writeFile } from 'node:fs/promises';
import { createFailbackCopyActivities } from '../../activities/backup-proxy/failback-copy';
import { type SurvivorDisk } from '../../activities/backup-proxy/contract';
import { markOf } from '../../activities/backup-proxy/vm-mark';
import { PlanLimits } from '../../activities/backup-proxy/plan-limits';
import { BLOCK_SIZE } from '../../blocks/port';
import { type RunContext } from '../../plan/run';
import { blockMapKey } from '../../repository/objects/keys';
import { patternBlock, patternDisk, type Pattern } from '../support/synthetic-disk';
import { backUp, idOf } from './copy-backup';
import { restore, runNumber } from './copy-restore';
import { type CopySite, inActivity, startCopySite, VM } from './copy-site';
import { recoveredVolume } from './recovered-volume';
import { failureOf } from './run-activity';

const random = (seed: string | number): Pattern => ({ random: String(seed) });
/** No multiple of a block, nor of a GiB: 43 blocks, the last one of 3 sectors. */
const SIZE = 42 * BLOCK_SIZE + 3 * 512;
const BLOCKS = 43;
const disk = { key: 'system', slot: 0, boot: true, sizeBytes: SIZE };
/** Every fourth is zeros. */
const BACKED_UP: Pattern[] = Array.from({ length: BLOCKS }, (_, n) => (n % 4 === 3 ? 'zero' : random(n)));

/** By block: what became of it on EC2, and at home, after the recovery point. */
const ON_EC2: [number, Pattern][] = [
  [1, random('on EC2')],
  [3, random('where nothing was')],
  [4, 'zero'],
  [5, random('on both sides, there')],
  [6, 'zero'],
  [7, random('where nothing was, there')],
];
const AT_HOME: [number, Pattern][] = [
  [5, random('on both sides, here')],
  [6, 'zero'],
  [7, random('where nothing was, here')],
  [8, random('at home')],
  [9, 'zero'],
  [11, random('at home, where nothing was')],
  [42, random('the last one, at home')],
];
const after = (changes: [number, Pattern][]): Pattern[] => {
  const patterns = [...BACKED_UP];
  for (const [index, pattern] of changes) patterns[index] = pattern;
  return patterns;
};
const EXPECTED = patternDisk(after(ON_EC2), SIZE);

describe('a disk that survived at home', () => {
  let site: CopySite;
  let path: string;
  /** The DR copy's snapshot, and that of the recovered volume. */
  let copySnapshotId: string;
  let snapshotId: string;

  beforeAll(async () => {
    site = await startCopySite();
    site.hypervisor.setDisk('system', patternDisk(BACKED_UP, SIZE));
    await backUp(site, 1);
    const made = await restore(site, 'direct', runNumber(site, 1));
    copySnapshotId = made.snapshotIds[0]!;
    const { file, snapshot } = await recoveredVolume(site, { SnapshotId: copySnapshotId });
    for (const [index, pattern] of ON_EC2)
      await file.write(patternBlock(pattern), 0, BLOCK_SIZE, index * BLOCK_SIZE);
    snapshotId = await snapshot();
    await file.close();
  }, 60_000);
  afterAll(() => site.close());

  const write = async (patterns: Pattern[]): Promise<void> => {
    path = await site.hypervisor.emptyDisk('system', SIZE);
    await writeFile(path, patternDisk(patterns, SIZE));
  };

  function copy(
    run: RunContext,
    { heldBy = markOf(run), ...survivor }: { heldBy?: string } & SurvivorDisk = {
      recoveryPoint: idOf(1),
      copySnapshotId,
    },
  ) {
    const { ebs, store, directory } = site;
    const hypervisor = {
      ...site.hypervisor,
      describeVm: async () => ({ ...(await site.hypervisor.describeVm()), heldBy }),
    };
    const { copySnapshotToDisk } = createFailbackCopyActivities({
      ...{ ebs, hypervisor, objectStore: () => store, limits: new PlanLimits() },
      stateDirectory: `${directory}/state`,
    });
    return inActivity(copySnapshotToDisk, { run, vm: VM, disk, snapshotId, survivor });
  }

  it('becomes what EC2 has, by blocks that differ alone', async () => {
    await write(after(AT_HOME));
    const copied = await copy(runNumber(site, 2));
    expect((await readFile(path)).equals(EXPECTED)).toBe(true);
    // Fetched: 1, 3, 5, 7 changed on EC2 (4 and 6 are written zeros, which EBS lists), 8, 9 and 42 at home. Made zero: 11.
    expect(copied).toMatchObject({ blocks: 9, zeroedBlocks: 1, comparedBlocks: BLOCKS });
    expect(copied.bytes).toBe(8 * BLOCK_SIZE + 3 * 512);
    expect(copied.note).toBeUndefined();
  });

  it('gets what changed on EC2 alone, where nothing happened at home', async () => {
    await write(BACKED_UP);
    const copied = await copy(runNumber(site, 3));
    expect((await readFile(path)).equals(EXPECTED)).toBe(true);
    expect(copied).toMatchObject({ blocks: ON_EC2.length, zeroedBlocks: 0 });
  });

  it('is right whatever is on it: nothing, or what another failback has left', async () => {
    await write(BACKED_UP.map(() => 'zero'));
    const onNothing = await copy(runNumber(site, 4));
    expect((await readFile(path)).equals(EXPECTED)).toBe(true);
    expect(onNothing.blocks).toBe(onNothing.dataBlocks);
    // What has come home already is other than at the recovery point, and EC2 changed it: fetched again, and nothing else.
    const again = await copy(runNumber(site, 5));
    expect((await readFile(path)).equals(EXPECTED)).toBe(true);
    expect(again.blocks).toBe(ON_EC2.length);
  });

  it('is told the same by a try whose forerunner had done all, and believes nothing of another run', async () => {
    await write(after(AT_HOME));
    const run = runNumber(site, 6);
    const first = await copy(run);
    // The time is that since the copy began.
    expect({ ...(await copy(run)), seconds: 0 }).toEqual({ ...first, seconds: 0 });
    // Given back as it was, and failed back to again.
    await write(after(AT_HOME));
    const next = await copy(runNumber(site, 7));
    expect(next.blocks).toBe(first.blocks);
    expect((await readFile(path)).equals(EXPECTED)).toBe(true);
  });

  it.each<[string, () => Promise<SurvivorDisk> | SurvivorDisk, RegExp]>([
    ['has no DR copy any more', () => ({ recoveryPoint: idOf(1) }), /no DR copy of .* any more/],
    [
      'comes from a backup that is gone',
      () => ({ recoveryPoint: idOf(7), copySnapshotId }),
      /lacks the block map/,
    ],
    [
      'has a DR copy of another lineage',
      async () => ({ recoveryPoint: idOf(1), copySnapshotId: await unrelatedSnapshot() }),
      /cannot compare .*lineage/,
    ],
  ])('is fetched whole, and says so, where it %s', async (what, survivor, note) => {
    await write(after(AT_HOME));
    const copied = await copy({ ...site.run, runId: what }, await survivor());
    expect((await readFile(path)).equals(EXPECTED)).toBe(true);
    expect(copied.blocks).toBe(copied.dataBlocks);
    expect(copied.zeroedBlocks).toBe(1);
    expect(copied.note).toMatch(note);
  });

  async function unrelatedSnapshot(): Promise<string> {
    const { file, snapshot } = await recoveredVolume(site, { Size: 1 });
    const made = await snapshot();
    await file.close();
    return made;
  }

  it('is fetched whole where the block map is damaged, or the DR copy was deleted meanwhile', async () => {
    const key = blockMapKey(VM, idOf(1), 'system');
    const whole = (await site.store.get(key))!.body;
    const damaged = Buffer.from(whole);
    damaged[damaged.length - 1]! ^= 1;
    await site.store.put(key, damaged);
    await write(after(AT_HOME));
    const copied = await copy({ ...site.run, runId: 'damaged' });
    expect((await readFile(path)).equals(EXPECTED)).toBe(true);
    expect(copied.note).toMatch(/lacks the block map .* or it is damaged/);
    await site.store.put(key, whole);

    const gone = await unrelatedSnapshot();
    await site.ec2.send(new DeleteSnapshotCommand({ SnapshotId: gone }));
    await write(after(AT_HOME));
    const deleted = { recoveryPoint: idOf(1), copySnapshotId: gone };
    expect((await copy({ ...site.run, runId: 'deleted' }, deleted)).note).toMatch(/cannot compare/);
    expect((await readFile(path)).equals(EXPECTED)).toBe(true);
  });

  it('stays as it is where the run does not hold its VM', async () => {
    await write(after(AT_HOME));
    const refused = await failureOf(
      copy(runNumber(site, 8), { heldBy: 'lifeboat:shop:another', recoveryPoint: idOf(1) }),
    );
    expect(refused).toMatchObject({ type: 'NotOurVm', nonRetryable: true });
    expect((await readFile(path)).equals(patternDisk(after(AT_HOME), SIZE))).toBe(true);
  });
});
