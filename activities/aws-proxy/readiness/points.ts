import { type ChosenPoint, isTurnedAway, type Lines } from '../../../plan/lines';
import { type DrPlan } from '../../../plan/schema';
import { readManifest } from '../../../repository/backups/backups';
import { type GuestRehearsal } from '../../../repository/backups/manifest';
import { DamagedObjectError } from '../../../repository/objects/json-object';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { type DrCopy } from '../account/contract';
import { MAXIMUM_DISKS } from '../launch/instance-volumes';

/** What a check says of the copy that a VM is to boot from. */
export interface CheckedCopy {
  /** What boots; of one that is yet to be made without its snapshots. */
  drCopy?: DrCopy;
  /** Absent where the DR copy is what boots. */
  toCopy?: ChosenPoint;
  /** What is known of the guest; absent where nothing is, or there are no snapshots of it yet. */
  guest?: GuestRehearsal;
  findings: string[];
}

/** What can be known of a recovery point before there are snapshots of it. */
export async function checkPoint(store: ObjectStore, plan: DrPlan, point: ChosenPoint): Promise<CheckedCopy> {
  const { vm, recoveryPoint, takenAt } = point;
  const findings: string[] = [];
  if (plan.replication.copy === 'volume')
    findings.push(
      `${vm} is to boot from ${takenAt}, of which there is no DR copy. Snapshots of it are made by EBS direct, which the plan ` +
        'does not use: set replication.copy to direct.',
    );
  try {
    const manifest = await readManifest(store, vm, recoveryPoint);
    if (manifest === undefined)
      return { findings: [`The repository lacks the backup ${recoveryPoint} of ${vm}; choose another.`] };
    const { configuration, guest, notes } = manifest;
    const drCopy: DrCopy = {
      ...{ vm, recoveryPoint, takenAt, configuration },
      disks: configuration.disks.map((disk) => ({
        ...disk,
        snapshotId: '',
        volumeGiB: Math.ceil(disk.sizeBytes / 2 ** 30),
      })),
      ...(notes === undefined ? {} : { notes }),
    };
    findings.push(
      ...diskFindings(vm, drCopy.disks.length),
      ...guestFindings(drCopy, guest, 'Choose another recovery point.'),
    );
    return { drCopy, toCopy: point, findings };
  } catch (error) {
    if (!(error instanceof DamagedObjectError)) throw error;
    return {
      findings: [...findings, `${error.message.replace(/\.$/, '')}. Choose another recovery point of ${vm}.`],
    };
  }
}

export function diskFindings(vm: string, disks: number): string[] {
  return disks <= MAXIMUM_DISKS
    ? []
    : [`${vm} has ${disks} disks; at most ${MAXIMUM_DISKS} can be attached to an AWS proxy at once.`];
}

/** @param advice what a person can do about a guest that EC2 cannot boot */
export function guestFindings(
  { vm, takenAt }: DrCopy,
  guest: GuestRehearsal | undefined,
  advice: string,
): string[] {
  return guest?.outcome === 'not adaptable'
    ? [`EC2 cannot boot ${vm} as it was at ${takenAt}: ${guest.problem ?? ''} ${advice}`]
    : [];
}

/** What a failover for which nobody has chosen must not take for the newest. */
export function lineFindings(lines: Lines, plan: string, { vm, recoveryPoint, takenAt }: DrCopy): string[] {
  if (!isTurnedAway(lines, { backupId: recoveryPoint, takenAt })) return [];
  const turned = `The DR copy of ${vm} holds ${takenAt}, of the line that a failover to an older recovery point turned away from.`;
  const name = `name the recovery points (--at or --point; lifeboat points ${plan} lists them)`;
  return [
    lines.chosen === undefined
      ? `${turned} Back it up and restore it, or ${name}.`
      : `${turned} It went to --at ${lines.chosen.after}: ${name}.`,
  ];
}
