import { StartSnapshotCommand, type StartSnapshotRequest } from '@aws-sdk/client-ebs';
import { type Snapshot } from '@aws-sdk/client-ec2';
import { findSnapshot } from '../../../activities/aws-proxy/account/lookup';
import { CHECK_DESCRIPTION } from '../site';
import { type Blocks } from './blocks';
import { type Trial } from './trial';

/** Smallest snapshot that there is. */
export const GIB = 1;
/** Minutes without a write after which AWS gives a snapshot up: the least that it takes. */
const TIMEOUT_MINUTES = 10;

/** What the questions about snapshots leave for those that follow. */
export interface TriedSnapshots {
  parent: { id: string; blocks: Blocks };
  /** A child of it: block 0 written again as it was, 1 changed, 5 all zeros and new. */
  child: { id: string };
  /** Block 0 of the child, as it inherited or rewrote it. */
  first: Buffer;
}

/** StartSnapshot as a restore calls it. @param name tells the run's snapshots from each other */
export const start = (
  trial: Trial,
  name: string,
  more: StartSnapshotRequest | Omit<StartSnapshotRequest, 'VolumeSize'>,
) =>
  new StartSnapshotCommand({
    VolumeSize: GIB,
    Timeout: TIMEOUT_MINUTES,
    ClientToken: `${trial.id}-${name}`,
    Description: CHECK_DESCRIPTION,
    Tags: trial.tags,
    ...more,
  });

/** Waits for a snapshot's end, and keeps the states that it goes through. */
export const watchSnapshot = (trial: Trial, id: string, name: string, about: string) =>
  trial.questions.watch<Snapshot>({
    id: name,
    about,
    action: 'ec2:DescribeSnapshots',
    from: 'pending',
    look: () => findSnapshot(trial.clients.ec2, id),
    state: ({ State }) => State,
    until: 'completed',
    never: ['error'],
    facts: ({ VolumeSize = null, VolumeId = null }) => ({ VolumeSize, VolumeId }),
  });
