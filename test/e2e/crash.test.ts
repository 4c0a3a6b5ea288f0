import { look } from '../../client/progress';
import { BLOCK_SIZE } from '../../blocks/port';
import { diskDifferences, importMadeVm, type MadeDisk } from '../support/e2e-disks';
import { accountLines, allSnapshots } from '../support/e2e-inventory';
import { plainPlan } from '../support/e2e-plan';
import { type E2eSandbox, openE2eSandbox, SANDBOX_SECONDS } from '../support/e2e-sandbox';
import { eventually } from '../support/eventually';

/** 500 MiB that no compression makes smaller: some seconds of copying, in which a kill can meet it half-way. */
const BLOCKS = 1000;
const DISK: MadeDisk = {
  key: 'system',
  sizeBytes: BLOCKS * BLOCK_SIZE + 512,
  slot: 0,
  boot: true,
  blocks: [...Array(BLOCKS + 1).keys()],
};
/** Twice the blocks that are under way at a time. */
const FEW_BLOCKS = 64;

/** Namespaces, taps and FUSE need root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

asRoot('the AWS proxy killed in the middle of a restore (needs root)', () => {
  const plan = plainPlan('big', ['big']);
  let sandbox: E2eSandbox;

  beforeAll(async () => {
    sandbox = await openE2eSandbox('crash', { runner: 'no-boot', application: 'none' });
    await importMadeVm(sandbox, 'big', [DISK]);
  }, SANDBOX_SECONDS * 1000);

  afterAll(async () => {
    await sandbox?.close();
  }, SANDBOX_SECONDS * 1000);

  it('goes on where it was, once the supervisor has started the worker again', async () => {
    const argument = await sandbox.publish(plan);
    await (await sandbox.client.backup(argument)).result();
    const before = await accountLines(sandbox);

    const run = await sandbox.client.restore(argument);
    const doneAtKill = await eventually(
      120,
      async () => {
        const [copy] = (await look(sandbox.client.temporal, run)).snapshot.copies;
        if (copy === undefined || copy.totalBlocks === 0) return undefined;
        const share = copy.doneBlocks / copy.totalBlocks;
        return share > 0.2 && share < 0.8 ? copy.doneBlocks : undefined;
      },
      0.1,
    );
    const { startedAgain } = await sandbox.kill('worker-aws-proxy');
    // It met the copy half-way: the snapshot waits for blocks that nobody sends.
    const begun = await allSnapshots(sandbox);
    expect(begun.map(({ State }) => State)).toEqual(['pending']);
    await startedAgain;

    const summary = await run.result();
    const [disk] = summary.vms[0]?.disks ?? [];
    if (disk === undefined) throw new Error('The restore names no disk.');
    expect(disk.blocks).toBe(BLOCKS + 1);
    expect(begun[0]?.SnapshotId).toBe(disk.snapshotId);
    expect(disk.blocksSentAgain).toBeGreaterThanOrEqual(0);
    expect(disk.blocksSentAgain).toBeLessThanOrEqual(FEW_BLOCKS);
    // Beginning anew would have sent these again.
    expect(doneAtKill).toBeGreaterThan(FEW_BLOCKS);

    expect(await diskDifferences(sandbox, 'big', 'system', disk.snapshotId)).toEqual([]);
    const snapshots = await allSnapshots(sandbox);
    expect(snapshots.map(({ SnapshotId, State }) => [SnapshotId, State])).toEqual([
      [disk.snapshotId, 'completed'],
    ]);
    const others = (await accountLines(sandbox)).filter((line) => !line.startsWith('snapshot '));
    expect(others).toEqual(before);
  }, 300_000);
});
