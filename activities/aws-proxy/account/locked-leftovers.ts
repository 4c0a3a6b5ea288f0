import { type EC2Client } from '@aws-sdk/client-ec2';
import { type Leftover } from './leftovers';
import { findLocksIfAllowed } from './snapshot-locks';

/** A snapshot that nobody needs, and nobody can delete yet. */
export type LockedLeftover = Pick<Leftover, 'id' | 'vm' | 'role'> & {
  /** ISO 8601, UTC: when its lock ends; absent where EC2 does not say. */
  until: string | undefined;
};

/** Takes out of leftovers what is locked. */
export async function withoutLocked(
  ec2: EC2Client,
  all: Leftover[],
): Promise<{ leftovers: Leftover[]; locked: LockedLeftover[] }> {
  const snapshots = all.filter(({ kind }) => kind === 'snapshot').map(({ id }) => id);
  const locks = await findLocksIfAllowed(ec2, snapshots);
  return {
    leftovers: all.filter(({ id }) => !locks.has(id)),
    locked: all.flatMap(({ id, vm, role }) => {
      const lock = locks.get(id);
      return lock === undefined ? [] : [{ id, vm, role, until: lock.until }];
    }),
  };
}
