import { type ActivityOptions } from '@temporalio/workflow';
import { pace } from './pace';

type Profile = Required<Pick<ActivityOptions, 'startToCloseTimeout' | 'retry'>> &
  Pick<ActivityOptions, 'heartbeatTimeout' | 'scheduleToStartTimeout' | 'scheduleToCloseTimeout'>;

/**
 * Every activity runs under one of these. Retry policies are complete on purpose: a field left out silently takes
 * Temporal's default, which is to retry without end.
 */
const retry = {
  initialInterval: pace.initialInterval,
  backoffCoefficient: 2,
  maximumInterval: pace.maximumInterval,
  maximumAttempts: 20,
  nonRetryableErrorTypes: [],
};

const { heartbeatTimeout } = pace;

export const profiles = {
  /** A handful of API calls. */
  call: { startToCloseTimeout: pace.callTimeout, retry },
  /** Waits for AWS or a guest to reach a state. EBS snapshots of large volumes take hours to complete. */
  wait: { startToCloseTimeout: '12 hours', heartbeatTimeout, retry },
  /** Moves a disk's blocks. 16 TiB at the account's 500 MiB/s take 9.3 hours; a crashed copy resumes. */
  copy: { startToCloseTimeout: '7 days', heartbeatTimeout, retry: { ...retry, maximumAttempts: 1000 } },
  /** Asks a VM, or its console, until it answers; the plan's own timeout ends it, and a VM that failed to boot will fail again. */
  ready: { startToCloseTimeout: '1 day', heartbeatTimeout, retry },
  /** A hook of the plan, of which its own time limit is part. One that takes its proxy down with it is not tried for ever. */
  hook: { startToCloseTimeout: '13 hours', heartbeatTimeout, retry: { ...retry, maximumAttempts: 3 } },
  /** Work on one host. Where nobody takes it from its queue in time, the host is asked for its pulse (host-queue.ts). */
  host: { scheduleToStartTimeout: pace.hostTimeout, startToCloseTimeout: '1 hour', heartbeatTimeout, retry },
  /** A copy on one host. */
  hostCopy: {
    scheduleToStartTimeout: pace.hostTimeout,
    startToCloseTimeout: '7 days',
    heartbeatTimeout,
    retry: { ...retry, maximumAttempts: 1000 },
  },
  /**
   * Asks a host whether it is there. That nobody takes the question is an answer, and is not tried again; a worker that
   * dies with it in its hands has left the rest of the time to the next one.
   */
  pulse: {
    scheduleToStartTimeout: pace.pulseTimeout,
    startToCloseTimeout: pace.pulseTimeout,
    retry: { ...retry, maximumAttempts: 3 },
  },
  /** What nothing waits for but the run's end: that is put off by so much at most. A plan of a thousand VMs takes some seconds. */
  evidence: {
    startToCloseTimeout: '5 minutes',
    scheduleToCloseTimeout: '10 minutes',
    heartbeatTimeout,
    retry,
  },
  /** Name servers may serve the old value until every one of them has the change. */
  dns: {
    startToCloseTimeout: pace.callTimeout,
    retry: { ...retry, maximumInterval: pace.dnsInterval, maximumAttempts: 60 },
  },
  /** A receiver that was down for a weekend gets everything; one that is away for longer is nobody's any more. */
  notice: {
    startToCloseTimeout: pace.callTimeout,
    scheduleToCloseTimeout: '3 days',
    retry: { ...retry, maximumInterval: pace.noticeInterval, maximumAttempts: 10_000 },
  },
} satisfies Record<string, Profile>;

export type ProfileName = keyof typeof profiles;
