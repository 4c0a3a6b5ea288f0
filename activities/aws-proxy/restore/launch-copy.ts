import { join } from 'node:path';
import { type EBSClient, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { CreateTagsCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { AdaptiveLimit } from '../../../blocks/limits/concurrency';
import { blockClientOf, type EbsBlockClient } from '../../../blocks/ebs/client';
import { BLOCK_SIZE } from '../../../blocks/port';
import { launchData, PLACEHOLDER_RUN_ID, placeholderAddress } from '../../../guest/launch-data';
import {
  type AdaptationReport,
  GuestNotAdaptableError,
  type GuestAdapter,
  LARGEST_ADAPTATION_BYTES,
} from '../../../guest/port';
import { type RepositoryAddress } from '../../../plan/run';
import { namedVms } from '../../../plan/named-vms';
import { type DrPlan } from '../../../plan/schema';
import { type BackupDisk, withBackupDisks } from '../../../repository/devices/backup-disks';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { checkPlanState } from '../../../repository/plans/plan-state';
import { loadBootScript, loadPlan } from '../../../repository/plans/plans';
import { bootScriptOf } from '../../boot-script';
import { withFailures } from '../../failures';
import { beating } from '../../heartbeat';
import { guestDisks } from '../../other-disks';
import { clientToken } from '../account/client-token';
import { type DrCopySet, findDrCopy, notYetVisible } from '../account/dr-copy';
import {
  findLaunchSnapshots,
  launchCopyDigest,
  launchCopyOf,
  type LaunchSnapshot,
} from '../account/launch-copy';
import { deleteUnusedSnapshots, untilCompleted } from '../account/snapshots';
import { diskValues, runValues, tagList } from '../account/tags';
import { known } from '../account/volumes';
import { copyChangedBlocks } from './changed-blocks-copy';
import { type LaunchCopyResult, type RestoreActivities } from './contract';
import { completeSnapshot } from './snapshot-completion';
import { TIMEOUT_MINUTES } from './snapshot-copy';

export interface LaunchCopyDependencies {
  ec2: EC2Client;
  ebs: EBSClient;
  guestAdapter: GuestAdapter;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** For what the adaptation writes. */
  directory: string;
  /** Seconds between two looks at AWS, instead of the usual pace. */
  pollSeconds?: number;
}

/** Where an AWS proxy has the disks that it makes launch copies on. */
export const launchCopies = (stateDirectory: string): string => join(stateDirectory, 'launch-copies');

type LaunchCopyActivities = Pick<RestoreActivities, 'makeLaunchCopy'>;
type Input = Parameters<LaunchCopyActivities['makeLaunchCopy']>[0];
/** What one try works on. */
interface Try extends Input {
  plan: DrPlan;
  drCopy: DrCopySet;
  attempt: number;
}

/** Adaptations at once on one proxy: each may need a machine of a few hundred MiB, and a core. */
const AT_ONCE = 1;

/**
 * The launch copy: the guest of a DR copy adapted to EC2 while there is time, so that a failover has only to launch it. The
 * disks come straight from the backup repository, and what the adaptation changes goes into children of the DR copy's
 * snapshots; no volume is made, and nothing attached.
 */
export function createLaunchCopyActivities(dependencies: LaunchCopyDependencies): LaunchCopyActivities {
  const blocks = blockClientOf(dependencies.ebs);
  const limit = new AdaptiveLimit({ initial: AT_ONCE, most: AT_ONCE });
  return withFailures(
    beating<LaunchCopyActivities>({
      makeLaunchCopy: (input) => makeLaunchCopy(dependencies, blocks, (work) => limit.run(work), input),
    }),
  );
}

async function makeLaunchCopy(
  dependencies: LaunchCopyDependencies,
  blocks: EbsBlockClient,
  inTurn: <T>(work: () => Promise<T>) => Promise<T>,
  { run, vm, recoveryPoint }: Input,
): Promise<LaunchCopyResult> {
  const { ec2 } = dependencies;
  const began = Date.now();
  const store = dependencies.objectStore(run.repository);
  const { plan } = await loadPlan(store, run.plan, run.digest);
  const drCopy = await findDrCopy(ec2, run.plan, vm);
  // An older list may still have the DR copy that was replaced a moment ago.
  if (drCopy?.recoveryPoint !== recoveryPoint) throw notYetVisible(vm);
  const found = await findLaunchSnapshots(ec2, { plan: run.plan, vm });
  const present = launchCopyOf(plan, drCopy, found);
  // A worker that was believed dead makes none any more.
  await checkPlanState(store, run);
  await deleteOthers(dependencies, found, present?.snapshots);
  if (present !== undefined) return { outcome: 'kept', blocks: 0, bytes: 0, seconds: 0, warnings: [] };

  // A try that was cut off has written other bytes than this one will: each begins with snapshots of its own.
  const attempt = Context.current().info.attempt;
  try {
    const { written, warnings } = await inTurn(() =>
      make(dependencies, blocks, { run, vm, recoveryPoint, plan, drCopy, attempt }),
    );
    const seconds = (Date.now() - began) / 1000;
    return { outcome: 'made', blocks: written, bytes: written * BLOCK_SIZE, seconds, warnings };
  } catch (error) {
    if (!(error instanceof GuestNotAdaptableError)) throw retryable(error);
    return { outcome: 'not made', reason: error.message, blocks: 0, bytes: 0, seconds: 0, warnings: [] };
  }
}

/** Adapts the guest, copies what that changed, and makes it the VM's launch copy. */
async function make(
  dependencies: LaunchCopyDependencies,
  blocks: EbsBlockClient,
  work: Try,
): Promise<{ written: number; warnings: string[] }> {
  const { run, vm, drCopy } = work;
  const { ec2, directory, pollSeconds } = dependencies;
  const { cancellationSignal: signal } = Context.current();
  const store = dependencies.objectStore(run.repository);
  const opened = {
    store,
    vm,
    recoveryPoint: drCopy.recoveryPoint,
    directory,
    largestBytes: LARGEST_ADAPTATION_BYTES,
    signal,
  };
  const { copied, warnings } = await withBackupDisks(opened, async (disks) => {
    const report = await adapt(dependencies, store, work, disks);
    signal.throwIfAborted();
    return { copied: await copyDisks(dependencies, blocks, work, disks), warnings: report.warnings };
  });
  const ids = copied.map(({ snapshotId }) => snapshotId);
  await untilCompleted(ec2, ids, pollSeconds);
  // Long after the workflow's own check: another run may have taken the plan's state since.
  await checkPlanState(store, run);
  await ec2.send(new CreateTagsCommand({ Resources: ids, Tags: tagList({ role: 'launch-copy' }) }));
  return { written: copied.reduce((sum, disk) => sum + disk.blocks, 0), warnings };
}

/** What differs from run to run is not in it: the guest learns it at boot (guest/launch-data.ts). */
async function adapt(
  { guestAdapter }: LaunchCopyDependencies,
  store: ObjectStore,
  { vm, plan, drCopy }: Try,
  disks: ReadonlyMap<string, BackupDisk>,
): Promise<AdaptationReport> {
  const named = namedVms(plan, vm);
  checkUserData(vm, named.length);
  const reference = plan.vms.find(({ name }) => name === vm)?.bootScript;
  return guestAdapter.adaptForRecoverySite({
    ...guestDisks(drCopy.disks, ({ key }) => disks.get(key)?.path ?? ''),
    bootScripts:
      reference === undefined ? [] : [bootScriptOf(reference, await loadBootScript(store, reference))],
    hosts: named.map(({ names, as }, index) => ({
      address: placeholderAddress(index),
      names,
      ...(as === 'self' ? { self: true } : {}),
    })),
    runId: PLACEHOLDER_RUN_ID,
    launchCopy: true,
  });
}

/** Known now and not in the disaster: whether the addresses that this guest needs will fit what it can be told. */
function checkUserData(vm: string, count: number): void {
  // The longest that a run id and a private address can be.
  const runId = 'x'.repeat(64);
  const addresses = Array.from({ length: count }, (_, index) => ({
    placeholder: placeholderAddress(index),
    address: '255.255.255.255',
  }));
  try {
    launchData({ runId, addresses });
  } catch (error) {
    throw new GuestNotAdaptableError(
      `${vm} cannot be told of all VMs that it finds by name: ${(error as Error).message}`,
    );
  }
}

/** A child of the DR copy's snapshot of every disk that was written to; of the boot disk at least. */
async function copyDisks(
  dependencies: LaunchCopyDependencies,
  blocks: EbsBlockClient,
  work: Try,
  disks: ReadonlyMap<string, BackupDisk>,
): Promise<{ snapshotId: string; blocks: number }[]> {
  const changed: { disk: DrCopySet['disks'][number]; path: string; indices: number[] }[] = [];
  for (const disk of work.drCopy.disks) {
    const backedUp = disks.get(disk.key);
    const indices = (await backedUp?.writtenBlocks()) ?? [];
    if (backedUp !== undefined && (disk.boot || indices.length > 0))
      changed.push({ disk, path: backedUp.path, indices });
  }
  const copied: { snapshotId: string; blocks: number }[] = [];
  const { cancellationSignal: signal } = Context.current();
  for (const { disk, path, indices } of changed) {
    const snapshotId = await startChild(dependencies.ebs, work, disk, changed.length);
    const written = await copyChangedBlocks(blocks, { path, indices, snapshotId }, signal);
    await completeSnapshot(dependencies, snapshotId, () => Promise.resolve(written));
    copied.push({ snapshotId, blocks: indices.length });
  }
  return copied;
}

async function startChild(
  ebs: EBSClient,
  { run, vm, attempt, plan, drCopy }: Try,
  disk: DrCopySet['disks'][number],
  diskCount: number,
): Promise<string> {
  const madeOf = launchCopyDigest(plan, drCopy);
  const { SnapshotId } = await ebs.send(
    new StartSnapshotCommand({
      ClientToken: clientToken({
        runId: run.runId,
        vm,
        disk: disk.key,
        attempt,
        call: `StartSnapshot ${madeOf}`,
      }),
      VolumeSize: disk.volumeGiB,
      ParentSnapshotId: disk.snapshotId,
      Timeout: TIMEOUT_MINUTES,
      Description: `Lifeboat: ${disk.key} of ${vm} at ${drCopy.takenAt}, ready to launch`,
      Tags: tagList({
        ...runValues(run),
        ...diskValues(disk),
        vm,
        attempt,
        role: 'pending-launch-copy',
        diskCount,
        recoveryPoint: drCopy.recoveryPoint,
        madeOf,
      }),
    }),
  );
  return known('StartSnapshot', SnapshotId);
}

/** Whatever the VM has of launch copies but these: of an earlier DR copy or plan, or cut off. */
async function deleteOthers(
  { ec2 }: LaunchCopyDependencies,
  found: LaunchSnapshot[],
  keep: { snapshotId: string }[] = [],
): Promise<void> {
  const kept = new Set(keep.map(({ snapshotId }) => snapshotId));
  const others = found.map(({ snapshot }) => snapshot.SnapshotId).filter((id) => !kept.has(id));
  await deleteUnusedSnapshots(ec2, others);
}

/** A snapshot that AWS gives up is begun again: the next try makes others. */
function retryable(error: unknown): unknown {
  return error instanceof ApplicationFailure && error.type === 'SnapshotFailed'
    ? ApplicationFailure.retryable(error.message, error.type)
    : error;
}
