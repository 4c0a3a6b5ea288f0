import { type EC2Client, type Instance, paginateDescribeInstances } from '@aws-sdk/client-ec2';
import {
  type CopySnapshot,
  type DrCopySet,
  findCopySnapshots,
  newestSets,
} from '../activities/aws-proxy/account/dr-copy';
import { type AwayCopy, findAwayCopies } from '../activities/aws-proxy/account/away-copy';
import { type LaunchCopy } from '../activities/aws-proxy/account/contract';
import { findLaunchCopies } from '../activities/aws-proxy/account/launch-copy';
import { allSets, lockedCopies } from '../activities/aws-proxy/account/locked-copies';
import { findLocksIfAllowed } from '../activities/aws-proxy/account/snapshot-locks';
import { readInstance, tagFilters } from '../activities/aws-proxy/account/tags';
import { mapAhead } from '../blocks/pipeline';
import { type Consistency } from '../hypervisor/port';
import { keptTestsOf, type KeptTestStatus } from './kept-tests';
import { fenceStanding, type FenceStanding } from '../plan/fence';
import { type FenceOrder } from '../plan/fence-order';
import { type ChosenLine, isTurnedAway } from '../plan/lines';
import { type PlanPhase, type Undone } from '../plan/run';
import { closedWindow, type ClosedWindow } from '../plan/replication-limit';
import { type DrPlan } from '../plan/schema';
import { guestFactsOf, type GuestFacts } from '../plan/tested';
import { MANIFESTS_AT_ONCE, readManifest } from '../repository/backups/backups';
import { type BackupManifest, type GuestRehearsal } from '../repository/backups/manifest';
import { DamagedObjectError } from '../repository/objects/json-object';
import { type ObjectStore } from '../repository/objects/object-store';
import { readPlanState } from '../repository/plans/plan-state';

/** A plan as the two sites tell it; Temporal is not asked, so that this is there when Temporal is lost. */
export interface SiteStatus {
  plan: string;
  /** `none`: nothing was ever replicated. */
  phase: PlanPhase | 'none';
  /** Rises each time a run takes the plan; 0 where none did. */
  generation: number;
  /** ISO 8601, UTC: when the phase was entered. */
  since: string | undefined;
  /** Why no scheduled backup begins now; absent where it may. */
  closedWindow: ClosedWindow | undefined;
  /** The order to keep the VMs off at home; absent where there is none. */
  fence?: FenceOrder & { standing: FenceStanding };
  /** What is being undone, or was when the undo died; absent otherwise. */
  undoing?: Undone;
  /** What the failover under way, or done, was asked for; undefined where it took what the DR copies hold, or there is none. */
  chosen: ChosenLine | undefined;
  /** Tests that are up, by their instances' tags, whether or not a Temporal server still knows them. */
  keptTests: KeptTestStatus[];
  vms: VmSiteStatus[];
}

export interface VmSiteStatus {
  vm: string;
  /** What the primary site knows it by, where that is not the plan's name. */
  primaryVm?: string;
  /** Absent where there is no complete DR copy. */
  drCopy: DrCopyStatus | undefined;
  /** The newest DR copy that nobody can delete; absent where the plan wants none locked, or none is. */
  lockedCopy?: LockedCopyStatus;
  /** What a failover would launch the VM by; absent where the plan wants none, or there is none of this DR copy and plan. */
  launchCopy: LaunchCopy | undefined;
  /** What the backup that the DR copy holds is as, and what an operator should know of it; absent where there is none. */
  backup: BackupStatus | undefined;
  /** Whether what the DR copy holds is of a line that a failover to an older recovery point turned away from. */
  turnedAway: boolean;
  /** Whether EC2 can boot what the DR copy holds; absent where that was not tried. */
  guest: GuestRehearsal | undefined;
  /** What decides whether it boots there, as that backup has it; absent where there is none. */
  facts?: GuestFacts;
  /** `moving`: a failover or failback is under way, or stopped half-way. `nowhere`: the failover has left it out. */
  runsAt: 'primary' | 'recovery' | 'moving' | 'nowhere';
  /** The VM's instance at the recovery site, of a failover; a test's instances are not shown. */
  instance: InstanceStatus | undefined;
  /** What protects it while it runs at the recovery site; absent where there is none of the instance that runs. */
  awayCopy: AwayCopyStatus | undefined;
}

export interface AwayCopyStatus {
  instanceId: string;
  /** ISO 8601, UTC: what was written before is in it. */
  takenAt: string;
  /** Seconds since then. */
  ageSeconds: number;
  snapshots: AwayCopy['snapshots'];
}

export interface DrCopyStatus {
  /** The backup that it holds. */
  recoveryPoint: string;
  /** ISO 8601, UTC: the instant that the disks are of. */
  takenAt: string;
  /** Seconds since then: what a disaster now would lose. */
  ageSeconds: number;
  disks: { disk: string; snapshotId: string; sizeBytes: number; boot: boolean }[];
}

export interface LockedCopyStatus {
  recoveryPoint: string;
  /** ISO 8601, UTC. */
  takenAt: string;
  until: string;
}

export interface BackupStatus {
  consistency: Consistency;
  /** One sentence each. */
  notes: string[];
  /** Keys of the disks that the plan left out. */
  excludedDisks: string[];
}

export interface InstanceStatus {
  instanceId: string;
  state: string;
  instanceType: string;
  privateAddress: string | undefined;
  publicAddress: string | undefined;
}

const RUNS_AT: Record<SiteStatus['phase'], VmSiteStatus['runsAt']> = {
  none: 'primary',
  protected: 'primary',
  'failing-over': 'moving',
  'failed-over': 'recovery',
  'failing-back': 'moving',
  // Home again; the instances that are left are stopped and wait for the commit.
  'failed-back': 'primary',
};

/** Reads a plan's status from the recovery site's tags and the backup repository. Changes nothing. */
export async function siteStatus(
  plan: Pick<DrPlan, 'name' | 'vms' | 'replication'>,
  site: { ec2: EC2Client; store: ObjectStore; now?: Date },
): Promise<SiteStatus> {
  const now = site.now ?? new Date();
  const [state, published, instances, awayCopies, keptTests] = await Promise.all([
    readPlanState(site.store, plan.name),
    findCopySnapshots(site.ec2, { plan: plan.name, role: 'dr-copy' }),
    recoveryInstances(site.ec2, plan.name),
    findAwayCopies(site.ec2, plan.name),
    keptTestsOf(site.ec2, plan.name, now),
  ]);
  const copies = newestSets(published);
  const launchCopies = await findLaunchCopies(site.ec2, plan, copies);
  const lockedOf = plan.replication.lock === undefined ? undefined : await lockedByVm(site.ec2, published);
  const phase = state?.phase ?? 'none';
  const manifests: (BackupManifest | undefined)[] = [];
  const read = ({ name }: { name: string }) => manifestOf(site.store, copies.get(name));
  for await (const manifest of mapAhead(plan.vms, MANIFESTS_AT_ONCE, read)) manifests.push(manifest);
  return {
    plan: plan.name,
    phase,
    generation: state?.generation ?? 0,
    since: state?.updatedAt,
    closedWindow: closedWindow(plan.replication.limit, now),
    ...(state?.fence === undefined ? {} : { fence: { ...state.fence, standing: fenceStanding(state) } }),
    ...(state?.undoing === undefined ? {} : { undoing: state.undoing }),
    chosen: state?.chosen,
    keptTests,
    vms: plan.vms.map(({ name: vm, primaryVm }, index) => {
      const copy = copies.get(vm);
      const instance = instances.get(vm);
      return {
        vm,
        ...(primaryVm === undefined ? {} : { primaryVm }),
        drCopy: copy === undefined ? undefined : drCopyStatus(copy, now),
        ...lockedOf?.(vm),
        launchCopy: launchCopies.get(vm),
        backup: backupStatus(manifests[index]),
        turnedAway:
          copy !== undefined &&
          isTurnedAway(state ?? {}, { backupId: copy.recoveryPoint, takenAt: copy.takenAt }),
        guest: manifests[index]?.guest,
        ...(manifests[index] === undefined ? {} : { facts: guestFactsOf(manifests[index]) }),
        runsAt: state?.without?.includes(vm) === true ? 'nowhere' : RUNS_AT[phase],
        instance,
        awayCopy: awayCopyStatus(awayCopies.get(vm), instance, now),
      };
    }),
  };
}

/** The newest locked DR copy of each VM; of none where whoever asks may not see locks. */
async function lockedByVm(
  ec2: EC2Client,
  published: CopySnapshot[],
): Promise<(vm: string) => Pick<VmSiteStatus, 'lockedCopy'>> {
  const sets = allSets(published);
  const ids = published.map(({ snapshot }) => snapshot.SnapshotId);
  const locks = await findLocksIfAllowed(ec2, ids);
  return (vm) => {
    const [newest] = lockedCopies(sets.get(vm) ?? [], locks);
    if (newest === undefined) return {};
    const { recoveryPoint, takenAt, until } = newest;
    return { lockedCopy: { recoveryPoint, takenAt, until } };
  };
}

async function manifestOf(
  store: ObjectStore,
  copy: DrCopySet | undefined,
): Promise<BackupManifest | undefined> {
  if (copy === undefined) return undefined;
  try {
    return await readManifest(store, copy.vm, copy.recoveryPoint);
  } catch (error) {
    // `lifeboat repository check` is for that; the status of the other VMs is wanted all the same.
    if (error instanceof DamagedObjectError) return undefined;
    throw error;
  }
}

function backupStatus(manifest: BackupManifest | undefined): BackupStatus | undefined {
  if (manifest === undefined) return undefined;
  const { consistency, notes = [], excludedDisks = [] } = manifest;
  return { consistency, notes, excludedDisks };
}

/** One of an instance of before protects nothing that runs now; where none runs, it may be all that is left. */
function awayCopyStatus(
  copy: AwayCopy | undefined,
  instance: InstanceStatus | undefined,
  now: Date,
): AwayCopyStatus | undefined {
  if (copy === undefined || (instance !== undefined && instance.instanceId !== copy.instanceId))
    return undefined;
  const { instanceId, takenAt, snapshots } = copy;
  return { instanceId, takenAt, ageSeconds: secondsSince(takenAt, now), snapshots };
}

const secondsSince = (time: string, now: Date): number =>
  Math.max(0, Math.round((now.getTime() - Date.parse(time)) / 1000));

function drCopyStatus(copy: DrCopySet, now: Date): DrCopyStatus {
  return {
    recoveryPoint: copy.recoveryPoint,
    takenAt: copy.takenAt,
    ageSeconds: secondsSince(copy.takenAt, now),
    disks: copy.disks.map(({ key, snapshotId, sizeBytes, boot }) => ({
      disk: key,
      snapshotId,
      sizeBytes,
      boot,
    })),
  };
}

/** What is gone or going is no place where a VM runs. */
const LIVING_STATES = ['pending', 'running', 'stopping', 'stopped'];

async function recoveryInstances(ec2: EC2Client, plan: string): Promise<Map<string, InstanceStatus>> {
  const found: { vm: string; instance: Instance }[] = [];
  const filters = [
    ...tagFilters({ plan, role: 'recovery' }),
    { Name: 'instance-state-name', Values: LIVING_STATES },
  ];
  for await (const page of paginateDescribeInstances({ client: ec2, pageSize: 1000 }, { Filters: filters }))
    for (const instance of (page.Reservations ?? []).flatMap((reservation) => reservation.Instances ?? [])) {
      const tags = readInstance(instance.Tags);
      if (tags?.role === 'recovery') found.push({ vm: tags.vm, instance });
    }
  // While a failover tries another type there can be two; the running one counts, else the latest.
  found.sort((a, b) => rank(a.instance) - rank(b.instance));
  return new Map(found.map(({ vm, instance }) => [vm, instanceStatus(instance)]));
}

function rank(instance: Instance): number {
  const running = instance.State?.Name === 'running' ? Number.MAX_SAFE_INTEGER / 2 : 0;
  return running + (instance.LaunchTime?.getTime() ?? 0);
}

function instanceStatus(instance: Instance): InstanceStatus {
  return {
    instanceId: instance.InstanceId ?? '',
    state: instance.State?.Name ?? 'unknown',
    instanceType: instance.InstanceType ?? '',
    privateAddress: instance.PrivateIpAddress,
    publicAddress: instance.PublicIpAddress,
  };
}
