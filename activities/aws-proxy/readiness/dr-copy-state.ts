import { type Finding } from '../../../plan/readiness';
import { type DrPlan } from '../../../plan/schema';
import { secondsText } from '../../../plan/seconds-text';
import { type GuestRehearsal } from '../../../repository/backups/manifest';
import { type LaunchCopy } from '../account/contract';
import { type CopySnapshot, type DrCopySet } from '../account/dr-copy';

/** Replication may take as long as its frequency, and the next round is then still to come. */
const ROUNDS = 2;

/** DR copies that are older than the plan wants; without an objective, than replication at its frequency makes them. */
export function ageFindings(
  { objectives, replication }: Pick<DrPlan, 'objectives' | 'replication'>,
  sets: Iterable<DrCopySet>,
  now: Date,
): Finding[] {
  const rpo = objectives?.rpo;
  const most = rpo ?? ROUNDS * replication.frequency;
  return [...sets].flatMap(({ vm, takenAt }): Finding[] => {
    if (now.getTime() - Date.parse(takenAt) <= most * 1000) return [];
    const limit =
      rpo === undefined
        ? `twice the replication's frequency (${secondsText(replication.frequency)})`
        : `the plan's objective of ${secondsText(rpo)}`;
    return [
      {
        code: 'dr-copy-age',
        severity: 'warning',
        vm,
        text: `The DR copy of ${vm} is of ${takenAt}, and older than ${limit}.`,
        todo: 'Look why replication does not come on: lifeboat schedule show PLAN, and the last replication in the Web UI.',
        // Since when it is too old; a round that comes, and leaves it too old, is no other trouble.
        about: limit,
      },
    ];
  });
}

/** DR copies in a storage tier from which nothing can be made before they have been restored, which takes days. */
export function archiveFindings(sets: Iterable<DrCopySet>, snapshots: CopySnapshot[]): Finding[] {
  const archived = new Set(
    snapshots.flatMap(({ snapshot }) => (snapshot.StorageTier === 'archive' ? [snapshot.SnapshotId] : [])),
  );
  return [...sets].flatMap(({ vm, disks }) =>
    disks.flatMap(({ key, snapshotId }): Finding[] =>
      archived.has(snapshotId)
        ? [
            {
              code: 'dr-copy-archived',
              severity: 'impossible',
              vm,
              text: `The snapshot ${snapshotId} of the disk ${key} of ${vm} is in the archive tier; no volume can be made of it.`,
              todo: `Bring it back: aws ec2 restore-snapshot-tier --snapshot-id ${snapshotId} --permanent-restore. Leave snapshots with the tag lifeboat:plan out of what archives.`,
            },
          ]
        : [],
    ),
  );
}

/** DR copies of another key than the plan's: the next restore begins anew. */
export function keyFindings({ recoverySite: { kmsKey } }: DrPlan, sets: Iterable<DrCopySet>): Finding[] {
  if (kmsKey === undefined) return [];
  return [...sets].flatMap(({ vm, disks }): Finding[] => {
    const other = disks.find((disk) => disk.kmsKey !== kmsKey);
    if (other === undefined) return [];
    const present = other.kmsKey === undefined ? 'not encrypted' : `encrypted by ${other.kmsKey}`;
    return [
      {
        code: 'kms-key',
        severity: 'warning',
        vm,
        text: `The DR copy of ${vm} is ${present}; the plan's kmsKey is ${kmsKey}.`,
        todo: 'Restore it: lifeboat restore PLAN makes a full copy by the new key.',
      },
    ];
  });
}

/** Plain DR copies in an account that encrypts by default. @param byDefault what EC2 says */
export function encryptionFindings(
  byDefault: boolean,
  { replication }: Pick<DrPlan, 'replication'>,
  sets: Iterable<DrCopySet>,
): Finding[] {
  if (!byDefault) return [];
  const refusal = replication.copy === 'direct' ? 'EBS refuses to bring it up to date, and ' : '';
  return [...sets].flatMap(({ vm, disks }): Finding[] =>
    disks.every(({ kmsKey }) => kmsKey !== undefined)
      ? []
      : [
          {
            code: 'encryption-by-default',
            severity: 'warning',
            vm,
            text: `The account encrypts by default, and the DR copy of ${vm} is not encrypted: ${refusal}its volumes are made by the account's default key, which the AWS proxy has to be allowed to use.`,
            todo: 'Set recoverySite.kmsKey in the plan, and restore it: that makes a full copy by that key.',
          },
        ],
  );
}

/** VMs for which a failover has to take the longer way, although the plan wants launch copies. */
export function launchCopyFindings(
  { replication }: DrPlan,
  sets: Iterable<DrCopySet>,
  launchCopies: ReadonlyMap<string, LaunchCopy>,
): Finding[] {
  if (replication.launchCopy !== true) return [];
  return [...sets].flatMap(({ vm }): Finding[] =>
    launchCopies.has(vm)
      ? []
      : [
          {
            code: 'launch-copy',
            severity: 'warning',
            vm,
            text: `There is no launch copy of the DR copy of ${vm} and today's plan; a failover takes the longer way.`,
            todo: 'Restore it: lifeboat restore PLAN makes one, or says why not.',
          },
        ],
  );
}

/** What trying a guest's adaptation at its backup told. That it cannot be adapted is what a failover asks itself. */
export function guestFindings(vm: string, guest: GuestRehearsal | undefined): Finding[] {
  if (guest === undefined) return [];
  const warnings = guest.warnings.map((warning): Finding => ({
    code: 'guest',
    severity: 'warning',
    vm,
    text: `${vm}: ${warning}`,
    todo: 'Look at the guest at the primary site, and try it: lifeboat failover PLAN --test.',
  }));
  if (guest.outcome !== 'unknown') return warnings;
  return [
    {
      code: 'guest-not-tried',
      severity: 'warning',
      vm,
      text: `Whether EC2 can boot ${vm} could not be tried at its backup: ${guest.problem ?? 'it does not say why'}`,
      todo: 'Mend that and back up again, or try it: lifeboat failover PLAN --test.',
    },
    ...warnings,
  ];
}
