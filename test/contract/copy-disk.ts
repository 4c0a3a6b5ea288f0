import { type PlannedRestoreDisk, type RestorePlan } from '../../activities/aws-proxy/restore/contract';
import { type RunContext } from '../../plan/run';
import { type CopySite, inActivity } from './copy-site';

type Activities = ReturnType<CopySite['activities']>;
type Target = { run: RunContext; vm: string; attempt: number; disk: PlannedRestoreDisk };

/** The inputs of the activities that copy a disk into a snapshot: one of its extent, one of its completion. */
export function copyInputs(plan: RestorePlan, { run, vm, attempt, disk }: Target, snapshotId: string) {
  const completion = { run, vm, attempt, recoveryPoint: plan.recoveryPoint, disk, snapshotId };
  expect(disk.extents.length).toBeLessThanOrEqual(1);
  return { completion, extent: { ...completion, extent: disk.extents[0]!, blocksBefore: 0 } };
}

/** Copies the only extent of a small disk, where it has one, and completes the snapshot. */
export async function copyWhole(
  activities: Activities,
  plan: RestorePlan,
  target: Target,
  snapshotId: string,
) {
  const { extent, completion } = copyInputs(plan, target, snapshotId);
  const none = { blocks: 0, bytes: 0, blocksSentAgain: 0, seconds: 0 };
  const result = target.disk.blocks === 0 ? none : await inActivity(activities.copyExtent, extent);
  await inActivity(activities.completeSnapshot, completion);
  return result;
}
