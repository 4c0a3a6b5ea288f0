import { type EC2Client } from '@aws-sdk/client-ec2';
import { ApplicationFailure } from '@temporalio/common';
import { mapAhead } from '../../../blocks/pipeline';
import { type ChosenPoint } from '../../../plan/lines';
import { type RepositoryAddress } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';
import { MANIFESTS_AT_ONCE } from '../../../repository/backups/backups';
import { type GuestRehearsal } from '../../../repository/backups/manifest';
import { DamagedObjectError } from '../../../repository/objects/json-object';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { readPlanState } from '../../../repository/plans/plan-state';
import { type DrCopy, type LaunchCopy } from '../account/contract';
import {
  type CopySnapshot,
  type DrCopySet,
  findCopySnapshots,
  newestSets,
  withBackup,
} from '../account/dr-copy';
import { findLaunchCopies } from '../account/launch-copy';
import { allSets } from '../account/locked-copies';
import { type CheckedCopy, checkPoint, diskFindings, guestFindings, lineFindings } from './points';

/** The DR copies of a plan, and what is wrong with them. */
export interface CheckedCopies {
  /** Published snapshots of the plan, of whatever set. */
  snapshots: CopySnapshot[];
  /** The newest complete set of each of the plan's VMs that has one, in the plan's order. */
  sets: DrCopySet[];
  launchCopies: ReadonlyMap<string, LaunchCopy>;
  /** In the plan's order, those that are yet to be made included. */
  drCopies: DrCopy[];
  toCopy: ChosenPoint[];
  /** What is known of the guests from their backups, by VM. */
  guests: ReadonlyMap<string, GuestRehearsal>;
  /** In the plan's order. */
  findings: string[];
}

/** The DR copies of the plan's VMs, by one list of snapshots and the manifest of each. */
export async function checkDrCopies(
  { ec2, objectStore }: { ec2: EC2Client; objectStore: (address: RepositoryAddress) => ObjectStore },
  repository: RepositoryAddress,
  plan: DrPlan,
  points: ChosenPoint[] | undefined,
  whole: DrPlan,
): Promise<CheckedCopies> {
  const snapshots = await findCopySnapshots(ec2, { plan: plan.name, role: 'dr-copy' });
  const sets = newestSets(snapshots);
  // Those that are locked outlive what has replaced them.
  const olderSets = points === undefined ? undefined : allSets(snapshots);
  const launchCopies = await findLaunchCopies(ec2, whole, sets);
  const store = objectStore(repository);
  const drCopies: DrCopy[] = [];
  const toCopy: ChosenPoint[] = [];
  const guests = new Map<string, GuestRehearsal>();
  const findings: string[] = [];
  const lines = points === undefined ? ((await readPlanState(store, plan.name)) ?? {}) : {};
  const chosen = new Map(points?.map((point) => [point.vm, point]));
  const check = ({ name }: DrPlan['vms'][number]): Promise<CheckedCopy> => {
    const point = chosen.get(name);
    if (point === undefined) return checkDrCopy(store, name, sets.get(name));
    const holding = olderSets?.get(name)?.find(({ recoveryPoint }) => recoveryPoint === point.recoveryPoint);
    return holding === undefined ? checkPoint(store, plan, point) : checkDrCopy(store, name, holding);
  };
  for await (const checked of mapAhead(plan.vms, MANIFESTS_AT_ONCE, check)) {
    const { drCopy, guest } = checked;
    if (checked.toCopy !== undefined) toCopy.push(checked.toCopy);
    if (drCopy !== undefined) {
      // It is of the newest only.
      const newest = sets.get(drCopy.vm)?.recoveryPoint === drCopy.recoveryPoint;
      const launchCopy = checked.toCopy === undefined && newest ? launchCopies.get(drCopy.vm) : undefined;
      drCopies.push(launchCopy === undefined ? drCopy : { ...drCopy, launchCopy });
      if (guest !== undefined) guests.set(drCopy.vm, guest);
      findings.push(...lineFindings(lines, plan.name, drCopy));
    }
    findings.push(...checked.findings);
  }
  const planned = plan.vms.flatMap(({ name }) => sets.get(name) ?? []);
  return { snapshots, sets: planned, launchCopies, drCopies, toCopy, guests, findings };
}

async function checkDrCopy(store: ObjectStore, vm: string, set: DrCopySet | undefined): Promise<CheckedCopy> {
  if (set === undefined)
    return { findings: [`There is no complete DR copy of ${vm}; back it up and restore it first.`] };
  const findings = diskFindings(vm, set.disks.length);
  try {
    const { drCopy, guest } = await withBackup(store, set);
    findings.push(
      ...guestFindings(drCopy, guest, `Mend it at the primary site, then back up and restore ${vm} again.`),
    );
    return { drCopy, ...(guest === undefined ? {} : { guest }), findings };
  } catch (error) {
    if (error instanceof DamagedObjectError)
      return {
        findings: [...findings, `${error.message.replace(/\.$/, '')}. Back up and restore ${vm} again.`],
      };
    // What the repository lacks is one finding among others; that it cannot be reached is not.
    if (!(error instanceof ApplicationFailure) || error.nonRetryable !== true) throw error;
    return { findings: [...findings, error.message] };
  }
}
