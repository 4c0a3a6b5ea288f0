import { type EBSClient } from '@aws-sdk/client-ebs';
import { type EC2Client } from '@aws-sdk/client-ec2';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { blockClientOf, type EbsBlockClient } from '../../../blocks/ebs/client';
import { BLOCK_SIZE } from '../../../blocks/port';
import { type RepositoryAddress } from '../../../plan/run';
import { openBlockMap } from '../../../repository/backups/backups';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { beatingProgress, type CopyHeartbeat, newProgress, type TrackedProgress } from '../../block-copy';
import { hasCode, withFailures } from '../../failures';
import { findDrCopy } from '../account/dr-copy';
import { backedUpDisk } from './extents';
import { verifyDisk } from './read-back';
import { type RestoreActivities } from './contract';

export interface VerifyDependencies {
  ec2: EC2Client;
  ebs: EBSClient;
  objectStore: (address: RepositoryAddress) => ObjectStore;
}

type VerifyActivities = Pick<RestoreActivities, 'readDrCopy' | 'verifyDisk'>;
type Input = Parameters<VerifyActivities['verifyDisk']>[0];

/** With what an earlier try had found good, all below `resumeAt`: reading needs no other record. */
interface VerifyHeartbeat extends CopyHeartbeat {
  /** Milliseconds since 1970. */
  beganAt: number;
}

type VerifyProgress = TrackedProgress & Pick<VerifyHeartbeat, 'beganAt'>;

/** Reading a DR copy back and comparing it with its backup, on demand. Changes nothing. */
export function createVerifyActivities(dependencies: VerifyDependencies): VerifyActivities {
  const blocks = blockClientOf(dependencies.ebs);
  return withFailures({
    async readDrCopy({ run, vm }) {
      const copy = await findDrCopy(dependencies.ec2, run.plan, vm);
      if (copy === undefined)
        throw ApplicationFailure.nonRetryable(
          `There is no complete DR copy of ${vm}; restore it first.`,
          'NoDrCopy',
        );
      const { recoveryPoint, takenAt, disks } = copy;
      return {
        recoveryPoint,
        takenAt,
        disks: disks.map(({ key, sizeBytes, snapshotId, blockMapSha256 }) => ({
          key,
          sizeBytes,
          snapshotId,
          blockMapSha256,
        })),
      };
    },
    verifyDisk: (input) => verify(dependencies, blocks, input),
  } satisfies VerifyActivities);
}

async function verify({ ec2, ebs, objectStore }: VerifyDependencies, blocks: EbsBlockClient, input: Input) {
  const { run, vm, recoveryPoint, disk } = input;
  const { info, cancellationSignal: signal } = Context.current();
  const { progress, from } = begin(input, info.heartbeatDetails);
  return beatingProgress(progress, async () => {
    const store = objectStore(run.repository);
    const backedUp = await backedUpDisk(store, vm, recoveryPoint, disk);
    if (backedUp.blockMapSha256 !== disk.blockMapSha256)
      throw ApplicationFailure.nonRetryable(
        `The disk "${disk.key}" in the DR copy of ${vm} was copied from another block map than the backup ${recoveryPoint} ` +
          `has now.`,
        'DrCopyMismatch',
      );
    const map = await openBlockMap(store, vm, backedUp);
    progress.totalBlocks = map.length;
    try {
      await verifyDisk({
        ebs,
        blocks,
        vm,
        diskKey: disk.key,
        snapshotId: disk.snapshotId,
        recoveryPoint,
        map,
        from,
        signal,
        onGood(index) {
          progress.doneBlocks++;
          progress.bytes += BLOCK_SIZE;
          progress.resumeAt = () => index + 1;
        },
      });
    } catch (error) {
      if (hasCode(error, 'ResourceNotFoundException') && (await wasReplaced(ec2, input)))
        throw ApplicationFailure.nonRetryable(
          `The DR copy of ${vm} was replaced by a newer one while it was read. Verify again when no restore is due before ` +
            `the end (lifeboat schedule delete).`,
          'DrCopyReplaced',
        );
      throw error;
    }
    const seconds = (Date.now() - progress.beganAt) / 1000;
    return { blocks: progress.doneBlocks, bytes: progress.bytes, seconds };
  });
}

/** Goes on where the last heartbeat of an earlier try was. */
function begin({ vm, disk }: Input, details: unknown): { progress: VerifyProgress; from: number } {
  const before = (typeof details === 'object' && details !== null ? details : {}) as Partial<VerifyHeartbeat>;
  const { resumeAt: from = 0, doneBlocks = 0, bytes = 0, beganAt = Date.now() } = before;
  const progress = newProgress('verification', vm, disk.key);
  return { progress: { ...progress, doneBlocks, bytes, resumeAt: () => from, beganAt }, from };
}

async function wasReplaced(ec2: EC2Client, { run, vm, disk }: Input): Promise<boolean> {
  const copy = await findDrCopy(ec2, run.plan, vm);
  return !(copy?.disks.some(({ snapshotId }) => snapshotId === disk.snapshotId) ?? false);
}
