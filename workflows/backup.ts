import { ApplicationFailure, CancellationScope, isCancellation, patched } from '@temporalio/workflow';
import { type BackupResult } from '../activities/backup-proxy/contract';
import { type SnapshotOptions } from '../hypervisor/port';
import { independently } from '../plan/order';
import { bothNames, type PrimaryVm } from '../plan/primary-vm';
import { windowText } from '../plan/daily-window';
import { type ClosedWindow, type ReplicationLimit } from '../plan/replication-limit';
import { type RunContext } from '../plan/run';
import { type GuestRehearsal } from '../repository/backups/manifest';
import { rehearsalFindings } from '../repository/backups/rehearsal-findings';
import { backupProxy } from './run/activities';
import { begin, requirePhase, type RunRequest } from './run/begin';
import { compensating } from './run/compensation';
import { inDependencyOrder } from './run/dependency-order';
import { causeMessage, hasFailureType } from './run/failure-message';
import { RunProgress } from './run/run-status';
import { reportPhase, runVmChild } from './run/vm-child';

/** A VM to back up, and how; a run that an earlier release began names no options. */
type VmToBackUp = PrimaryVm & SnapshotOptions;
type Rehearsal = Parameters<typeof backupProxy.rehearseAdaptation>[0];

export interface BackupSummary {
  plan: string;
  vms: BackupResult[];
}

export interface BackupRequest extends RunRequest {
  /** Backs up although the plan's window is closed. */
  outsideWindow?: boolean;
}

/** Backs up every VM of the plan into the backup repository: a new recovery point for each. */
export async function backup(request: BackupRequest): Promise<BackupSummary> {
  const begun = await begin(request);
  const { plan, run } = begun;
  const progress = new RunProgress(
    plan.name,
    plan.vms.map((vm) => vm.name),
  );
  // A primary site that comes back while the application runs on EC2 holds old data: no recovery point of it.
  requirePhase(begun, ['none', 'protected'], 'back up');
  if (begun.closedWindow !== undefined && request.outsideWindow !== true)
    throw outsideWindow(plan.name, begun.closedWindow);

  progress.phase('backing up');
  const independent = independently(plan.vms);
  const results = await inDependencyOrder(independent, (vm) =>
    runVmChild(backupVm, run, vm.name, 'Back up', {
      run,
      ...bothNames(vm),
      consistency: vm.consistency,
      excludeDisks: vm.excludeDisks,
      limit: plan.replication.limit,
    }),
  );
  progress.phase('done');
  return { plan: plan.name, vms: [...results.values()] };
}

function outsideWindow(plan: string, { opensAt, ...window }: ClosedWindow): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `The plan "${plan}" lets backups begin ${windowText(window)} only (replication.limit.between), which is from ${opensAt} on. ` +
      `To back up now all the same: lifeboat backup ${plan} --outside-window`,
    'OutsideWindow',
  );
}

interface BackupVmRequest extends VmToBackUp {
  run: RunContext;
  /** The plan's; absent where it has none. */
  limit?: ReplicationLimit;
}

/** Snapshots that a backup takes at most. Whatever removes three while they are read will remove the fourth. */
const MAX_SNAPSHOTS = 3;

/**
 * One VM; anew where its snapshot is lost while it is read (somebody removed it, or the VM was restarted on a host without lasting ones),
 * and in full where the backup that it would build on turns out to be damaged, or not to be all there.
 */
export async function backupVm(request: BackupVmRequest): Promise<BackupResult> {
  const { vm } = request;
  let [full, snapshots, lastId] = [false, 1, ''];
  for (;;) {
    const backupId = newBackupId(new Date(), request.run.runId, lastId);
    const attempt = new CancellationScope();
    try {
      return await attempt.run(() => backUpOnce(request, backupId, full));
    } catch (error) {
      const damaged = hasFailureType(error, 'DamagedObject') || hasFailureType(error, 'MissingObjects');
      const lost = hasFailureType(error, 'SnapshotLost') && snapshots < MAX_SNAPSHOTS;
      if (!lost && (!damaged || full)) throw error;
      // The other disks of an attempt that has failed may still be read.
      attempt.cancel();
      lastId = backupId;
      if (lost) {
        snapshots++;
        await reportPhase(vm, 'taking another snapshot', causeMessage(error));
      } else {
        full = true;
        await reportPhase(
          vm,
          'backing up in full',
          'the backup before is damaged: lifeboat repository check',
        );
      }
    }
  }
}

/** Hold all disks at one instant, store what is new of each, then write the recovery point. */
async function backUpOnce(
  { run, consistency, excludeDisks, limit, ...names }: BackupVmRequest,
  backupId: string,
  full: boolean,
): Promise<BackupResult> {
  const { vm } = names;
  return compensating(async (compensations) => {
    const release = () => backupProxy.releaseVmSnapshot({ ...names, backupId });
    compensations.add('release the VM snapshot', release);
    await reportPhase(vm, 'taking a snapshot');
    const snapshot = await backupProxy.snapshotVm({ run, ...names, backupId, consistency, excludeDisks });

    await reportPhase(vm, 'copying', backupId);
    const { disks: ofVm } = snapshot.configuration;
    const [guest, ...disks] = await Promise.all([
      patched('rehearsal') ? rehearse({ run, ...names, backupId, disks: ofVm }) : undefined,
      ...ofVm.map(async ({ key }) => ({
        key,
        ...(await backupProxy.backupDisk({ run, ...names, backupId, diskKey: key, full, limit })),
      })),
    ]);

    const result = await backupProxy.finishBackup({
      ...{ run, vm, backupId, ...snapshot },
      ...{ excludeDisks, disks, guest },
    });
    await release();
    const findings = result.guest === undefined ? [] : rehearsalFindings(result.guest);
    const notes = (result.notes ?? []).map((note) => `MIND: ${note}`);
    await reportPhase(
      vm,
      'backed up',
      [`${result.kind}, ${result.takenAt}`, ...notes, ...findings].join('; '),
    );
    return result;
  });
}

/** Whatever becomes of it, the backup is made. */
async function rehearse(rehearsed: Rehearsal): Promise<GuestRehearsal> {
  try {
    return await backupProxy.rehearseAdaptation(rehearsed);
  } catch (error) {
    if (isCancellation(error)) throw error;
    const rehearsedAt = new Date().toISOString();
    return { rehearsedAt, outcome: 'unknown', problem: causeMessage(error), warnings: [] };
  }
}

/**
 * Backup ids sort by time: `20261123T181500Z-1a2b3c4d`, the end of it from the run (whose id may begin with its time).
 * @param last the run's id before this one, which is not used again; '' where there is none
 */
function newBackupId(now: Date, runId: string, last: string): string {
  const time = now.toISOString().replace(/[-:]|\.\d+/g, '');
  const id = `${time}-${runId.replaceAll('-', '').slice(-8)}`;
  return id === last ? newBackupId(new Date(now.getTime() + 1000), runId, last) : id;
}
