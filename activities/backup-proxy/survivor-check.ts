import { type DescribedVm, type VmConfiguration } from '../../hypervisor/port';
import { primaryNameText, type PrimaryVm } from '../../plan/primary-vm';
import { isMarkOfPlan, isOwnMark, markedBy } from './vm-mark';

/** A VM as its last backup knows it, as far as it is told from others by that. */
export interface BackedUpVm {
  disks: { key: string; sizeBytes: number; boot?: boolean }[];
  /** Keys of disks that the plan leaves out. */
  excludedDisks?: string[];
  configuration?: Omit<VmConfiguration, 'disks'>;
}

/** What is at the primary site under the name of a VM that is to come home. */
export interface Survivor {
  /** What is not as the backup knows it, a half-sentence each; none where it is the VM that was backed up. */
  differences: string[];
  /** What an operator should know although it is. */
  notes: string[];
}

/**
 * Whether a VM is the one that was backed up: by its identity or by the mark of a failback of the plan, and by its firmware and
 * disks. What is on the disks does not matter: every block of them is compared.
 */
export function compareWithBackup(
  plan: string,
  names: PrimaryVm,
  backedUp: BackedUpVm,
  existing: DescribedVm,
): Survivor {
  const identity = compareIdentity(plan, names, backedUp, existing);
  return {
    differences: [
      ...identity.differences,
      ...firmwareDifferences(backedUp, existing),
      ...diskDifferences(backedUp, existing),
    ],
    notes: identity.notes,
  };
}

function compareIdentity(
  plan: string,
  names: PrimaryVm,
  { configuration }: BackedUpVm,
  { identity, mark }: DescribedVm,
): Survivor {
  // A failback of the plan has made it: it may be another than the one that was backed up, and is its successor.
  if (isOwnMark(mark, plan)) return { differences: [], notes: [] };
  const before = configuration?.identity;
  if (!isMarkOfPlan(mark, plan) && (before === undefined || identity === undefined))
    return { differences: [`Lifeboat made it for another plan (${markedBy(mark)})`], notes: [] };
  if (before === undefined || identity === undefined)
    return {
      differences: [],
      notes: [
        `That the VM ${primaryNameText(names)} at the primary site is the one that was backed up is told by its disks and firmware only: ` +
          'there is nothing else to tell it by.',
      ],
    };
  return before === identity
    ? { differences: [], notes: [] }
    : { differences: [`it is another VM (its identity is ${identity}, the backup's ${before})`], notes: [] };
}

function firmwareDifferences({ configuration }: BackedUpVm, { firmware }: DescribedVm): string[] {
  const before = configuration?.firmware;
  return before === undefined || before === firmware
    ? []
    : [`its firmware is ${firmware}, and was ${before}`];
}

function diskDifferences({ disks, excludedDisks = [] }: BackedUpVm, existing: DescribedVm): string[] {
  const differences: string[] = [];
  for (const { key, sizeBytes, boot } of disks) {
    const found = existing.disks.find((disk) => disk.key === key);
    if (found === undefined) differences.push(`it lacks the disk "${key}"`);
    else if (found.sizeBytes !== sizeBytes)
      differences.push(`its disk "${key}" has ${found.sizeBytes} bytes, and had ${sizeBytes}`);
    else if (boot !== undefined && found.boot !== boot)
      differences.push(`it ${found.boot ? 'boots' : 'does not boot'} from the disk "${key}"`);
  }
  for (const { key } of existing.disks)
    if (!disks.some((disk) => disk.key === key) && !excludedDisks.includes(key))
      differences.push(`it has a disk "${key}" that the backup does not have`);
  return differences;
}

/** Characters that the name of a VM may have (vSphere's limit, and the local adapter's). */
const NAME_CHARACTERS = 80;

/** What a VM is called that is set aside: as it is called now, in the form that it is called by, with the time (UTC). */
export function asideName(primaryName: string, now: Date): string {
  const time = now.toISOString().replace(/\.\d+/, '').replaceAll(/[-:]/g, '');
  const suffix = `-before-failback-${time}`;
  const slash = primaryName.lastIndexOf('/') + 1;
  const last = primaryName.slice(slash, slash + NAME_CHARACTERS - suffix.length);
  // A character that is written escaped in a path is not cut in two.
  return primaryName.slice(0, slash) + last.replace(/%.?$/, '') + suffix;
}
