import { DeleteSnapshotCommand, LockSnapshotCommand, UnlockSnapshotCommand } from '@aws-sdk/client-ec2';
import { type Trial } from './trial';

/** The least that a lock lasts, in days. Governance, so that it can be taken off again. */
const LOCK_DAYS = 1;

/** By which code EC2 refuses to delete what is locked stands in no document of AWS's. */
export async function tryLock({ questions, clients }: Trial, SnapshotId: string): Promise<void> {
  const { ec2 } = clients;
  const locked = await questions.ask({
    id: 'ec2.lock',
    about: 'a snapshot is locked (governance, one day)',
    action: 'ec2:LockSnapshot',
    call: () =>
      ec2.send(new LockSnapshotCommand({ SnapshotId, LockMode: 'governance', LockDuration: LOCK_DAYS })),
    facts: ({ LockState = null, LockDuration = null }) => ({ LockState, LockDuration }),
  });
  if (locked === undefined) return;
  await questions.ask({
    id: 'ec2.delete-locked',
    about: 'a locked snapshot is not deleted',
    action: 'ec2:DeleteSnapshot',
    call: () => ec2.send(new DeleteSnapshotCommand({ SnapshotId })),
  });
  await questions.ask({
    id: 'ec2.unlock',
    about: 'it is unlocked again',
    action: 'ec2:UnlockSnapshot',
    call: () => ec2.send(new UnlockSnapshotCommand({ SnapshotId })),
  });
}
