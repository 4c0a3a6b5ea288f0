import { type ActivityOptions } from '@temporalio/workflow';

type Profile = Required<Pick<ActivityOptions, 'startToCloseTimeout' | 'retry'>> &
  Pick<ActivityOptions, 'heartbeatTimeout' | 'scheduleToStartTimeout' | 'scheduleToCloseTimeout'>;

/**
 * Every activity runs under one of these. Retry policies are complete on purpose: a field left out silently takes
 * Temporal's default, which is to retry without end.
 */
const retry = {
  initialInterval: '1 second',
  backoffCoefficient: 2,
  maximumInterval: '30 seconds',
  maximumAttempts: 20,
  nonRetryableErrorTypes: [],
};

/**
 * Long enough that one missed beat (the SDK sends at 1 to 2 s) is no false alarm, short enough that work of a dead
 * worker goes on within half a minute.
 */
const heartbeatTimeout = '20 seconds';

export const profiles = {
  /** A handful of API calls. */
  call: { startToCloseTimeout: '1 minute', retry },
  /** Waits for AWS or a guest to reach a state. EBS snapshots of large volumes take hours to complete. */
  wait: { startToCloseTimeout: '12 hours', heartbeatTimeout, retry },
  /** Moves a disk's blocks. 16 TiB at the account's 500 MiB/s take 9.3 hours; a crashed copy resumes. */
  copy: { startToCloseTimeout: '7 days', heartbeatTimeout, retry: { ...retry, maximumAttempts: 1000 } },
  /** Asks a VM until it answers; the plan's own timeout ends it, and a VM that failed to boot will fail again. */
  ready: { startToCloseTimeout: '1 day', heartbeatTimeout, retry },
  /** Work on one host. Nobody polling its queue means that the host is dead and another should be tried. */
  host: { scheduleToStartTimeout: '2 minutes', startToCloseTimeout: '1 hour', heartbeatTimeout, retry },
  /** A copy on one host. */
  hostCopy: {
    scheduleToStartTimeout: '2 minutes',
    startToCloseTimeout: '7 days',
    heartbeatTimeout,
    retry: { ...retry, maximumAttempts: 1000 },
  },
  /** Name servers may serve the old value until every one of them has the change. */
  dns: {
    startToCloseTimeout: '1 minute',
    retry: { ...retry, maximumInterval: '5 seconds', maximumAttempts: 60 },
  },
} satisfies Record<string, Profile>;

export type ProfileName = keyof typeof profiles;
