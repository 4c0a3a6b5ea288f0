import { type EC2Client } from '@aws-sdk/client-ec2';
import { findCopySnapshots } from '../activities/aws-proxy/account/dr-copy';
import { allSets, lockedCopies } from '../activities/aws-proxy/account/locked-copies';
import { findLocksIfAllowed } from '../activities/aws-proxy/account/snapshot-locks';
import { heldBackups } from '../activities/aws-proxy/restore/held-backups';
import { mapAhead } from '../blocks/pipeline';
import { type ChosenLine, type Lines } from '../plan/lines';
import { type DrPlan } from '../plan/schema';
import { readPins } from '../repository/backups/pins';
import { type ObjectStore } from '../repository/objects/object-store';
import { readPlanState } from '../repository/plans/plan-state';
import { retentionPolicies } from '../repository/plans/plans';
import { readPoints, type RecoveryPoint, roundOf } from '../repository/points/points';
import { keptBackups } from '../repository/upkeep/retention';

/** The recovery points that a failover of the plan may go to. */
export interface PlanPoints {
  plan: string;
  /** What the failover under way, or done, was asked for; null where it took what the DR copies hold, or there is none. */
  chosen: ChosenLine | null;
  vms: { vm: string; points: VmPoint[] }[];
  /** Of the plan as a whole: the backups of one run each, the newest first. */
  rounds: Round[];
}

/** A recovery point of a VM, the newest first. */
export interface VmPoint extends Pick<RecoveryPoint, 'takenAt' | 'kind' | 'consistency' | 'turnedAway'> {
  id: string;
  notes: string[];
  /** Rules of retention that keep it, `newest`, and `in use` where something at a site needs it; empty where the next pruning retires it. */
  keptBy: string[];
  inDrCopy: boolean;
  /** Of an older DR copy that is there, as it is or was locked: a failover boots from it, and copies nothing. Absent where there is none. */
  olderDrCopy?: {
    /** ISO 8601, UTC; null where it is not locked (any more): the next restore deletes it. */
    lockedUntil: string | null;
  };
}

/** What one run has backed up of the plan's VMs. */
export interface Round {
  /** ISO 8601, UTC: the instants of the first and of the last of its backups; the latter is what `--at` wants for all of them. */
  from: string;
  at: string;
  /** How many of the plan's VMs it has. */
  vms: number;
  turnedAway: boolean;
}

/** VMs that are asked about at once. */
const VMS_AT_ONCE = 4;

/** Reads the repository and the recovery site's tags. Changes nothing. */
export async function pointsOf(
  plan: Pick<DrPlan, 'name' | 'vms' | 'repository'>,
  { ec2, store }: { ec2: EC2Client; store: ObjectStore },
): Promise<PlanPoints> {
  const lines: Lines = (await readPlanState(store, plan.name)) ?? {};
  const copies = allSets(await findCopySnapshots(ec2, { plan: plan.name, role: 'dr-copy' }));
  const older = [...copies.values()].flatMap(([, ...replaced]) => replaced);
  const locks = await findLocksIfAllowed(
    ec2,
    older.flatMap(({ disks }) => disks.map(({ snapshotId }) => snapshotId)),
  );
  const olderCopy = (vm: string, id: string): Pick<VmPoint, 'olderDrCopy'> => {
    const found = older.find((set) => set.vm === vm && set.recoveryPoint === id);
    if (found === undefined || copies.get(vm)?.[0]?.recoveryPoint === id) return {};
    return { olderDrCopy: { lockedUntil: lockedCopies([found], locks)[0]?.until ?? null } };
  };
  const read = async ({ name: vm }: DrPlan['vms'][number]) => {
    const points = await readPoints(store, vm, lines);
    const policies = [plan.repository.retention, ...(await retentionPolicies(store, vm))];
    const kept = policies.map((policy) => keptBackups(policy, points));
    const pinned = (await readPins(store, vm)).flatMap(({ backups }) => backups);
    const needed = new Set([...(await heldBackups(ec2, vm)), ...pinned]);
    return {
      vm,
      points: points.map(
        ({ backupId: id, takenAt, kind, consistency, notes = [], turnedAway }, n): VmPoint => {
          const rules = new Set<string>(kept.flatMap((rulesOf) => rulesOf.get(id) ?? []));
          // Whatever a clock of the data centre said.
          if (n === 0) rules.add('newest');
          if (needed.has(id)) rules.add('in use');
          const inDrCopy = copies.get(vm)?.[0]?.recoveryPoint === id;
          const keptBy = [...rules];
          return {
            id,
            takenAt,
            kind,
            consistency,
            notes,
            keptBy,
            inDrCopy,
            ...olderCopy(vm, id),
            turnedAway,
          };
        },
      ),
    };
  };
  const vms: PlanPoints['vms'] = [];
  for await (const one of mapAhead(plan.vms, VMS_AT_ONCE, read)) vms.push(one);
  return { plan: plan.name, chosen: lines.chosen ?? null, vms, rounds: roundsOf(vms) };
}

function roundsOf(vms: PlanPoints['vms']): Round[] {
  const all = vms.flatMap(({ vm, points }) => points.map((point) => ({ vm, ...point })));
  return [...Map.groupBy(all, ({ id }) => roundOf(id)).values()]
    .map((members) => {
      const instants = members.map(({ takenAt }) => new Date(takenAt).toISOString()).sort();
      return {
        from: instants[0] ?? '',
        at: instants.at(-1) ?? '',
        vms: new Set(members.map(({ vm }) => vm)).size,
        turnedAway: members.some(({ turnedAway }) => turnedAway),
      };
    })
    .sort((a, b) => (a.at < b.at ? 1 : -1));
}
