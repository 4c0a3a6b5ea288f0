import { CancellationScope } from '@temporalio/workflow';
import { type PlannedRestoreDisk, type RestorePlan } from '../activities/aws-proxy/restore/contract';
import { type CopyResult } from '../activities/copy-result';
import { type RunContext } from '../plan/run';
import { awsProxy } from './run/activities';
import { hasFailureType } from './run/failure-message';

/** Attempts at one disk's snapshot: AWS may put a pending one into error, and it is then begun again. */
export const SNAPSHOT_ATTEMPTS = 3;

/** What a disk's snapshot is made for. */
export interface DirectCopy {
  run: RunContext;
  vm: string;
  kmsKey?: string;
  /** Of a recovery point that a failover has chosen; of a restore where this is absent. */
  role?: 'point-copy';
  /** Attempts of the run before this copy, whose client tokens would give their snapshots again. */
  attemptsBefore?: number;
}

export type CopiedDisk = CopyResult & { key: string; snapshotId: string };

/**
 * EBS direct: start a snapshot as the parent's child, put the blocks, complete it. The extents of a disk are pieces of
 * work of their own, so that all AWS proxies share them, and a dead one's are soon done again.
 */
export async function copyDirect(
  { run, vm, kmsKey, role, attemptsBefore = 0 }: DirectCopy,
  restore: RestorePlan,
  { extents, ...disk }: PlannedRestoreDisk,
): Promise<CopiedDisk> {
  const { recoveryPoint } = restore;
  const beganAt = Date.now();
  for (let attempt = attemptsBefore + 1; ; attempt++) {
    try {
      const { snapshotId } = await awsProxy.startSnapshot({
        ...{ run, vm, attempt, restore, disk, kmsKey },
        ...(role === undefined ? {} : { role }),
      });
      const target = { run, vm, attempt, recoveryPoint, disk, snapshotId };
      let blocksBefore = 0;
      const copied = await allOrNone(
        extents.map((extent) => {
          const input = { ...target, extent, blocksBefore };
          blocksBefore += extent.blocks;
          return () => awsProxy.copyExtent(input);
        }),
      );
      await awsProxy.completeSnapshot(target);
      return { key: disk.key, snapshotId, ...together(copied), seconds: (Date.now() - beganAt) / 1000 };
    } catch (error) {
      if (!hasFailureType(error, 'SnapshotFailed') || attempt === attemptsBefore + SNAPSHOT_ATTEMPTS)
        throw error;
    }
  }
}

/** Runs all; where one fails, the others are cancelled, as their work would be for nothing. */
async function allOrNone<T>(steps: (() => Promise<T>)[]): Promise<T[]> {
  const scope = new CancellationScope();
  try {
    return await scope.run(() => Promise.all(steps.map((step) => step())));
  } catch (error) {
    scope.cancel();
    throw error;
  }
}

function together(extents: readonly CopyResult[]): Omit<CopyResult, 'seconds'> {
  const sum = (of: (result: CopyResult) => number): number =>
    extents.reduce((total, result) => total + of(result), 0);
  return {
    blocks: sum(({ blocks }) => blocks),
    bytes: sum(({ bytes }) => bytes),
    blocksSentAgain: sum(({ blocksSentAgain }) => blocksSentAgain),
  };
}
