import { msToNumber } from '@temporalio/common/lib/time';
import { type Duration, TimeoutType } from '@temporalio/common';
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  patched,
  sleep,
  TimeoutFailure,
} from '@temporalio/workflow';
import { type AwsProxyHostActivities } from '../../activities/aws-proxy/contract';
import { type OfferedHost } from '../../activities/aws-proxy/proxy-host/contract';
import { awsProxyHost, awsProxyPulse, type Queueing } from './activities';
import { hasFailureType } from './failure-message';
import { pace } from './pace';
import { reportTrouble } from './vm-child';

/** A host that has its pulse asked for while work waits for it. */
type Pulsing = OfferedHost & Required<Pick<OfferedHost, 'pulseQueue'>>;

const HOST_GONE = 'HostGone';

/**
 * While work waits, the host's pulse is asked for after this part of the time waited so far, and not before `hostTimeout`: a
 * host that dies is found out late by an eighth at most, and a week is some 60 pulses in the history instead of 5,000.
 */
const WAITED_PART = 1 / 8;

/**
 * The activities of one host. Each waits in the host's queue for as long as the host is alive, however long that is: a
 * queue that can fill up says nothing about the host. Whether it is there is asked on a queue where nothing else waits.
 */
export function activitiesOfHost(host: OfferedHost): AwsProxyHostActivities {
  const { taskQueue, pulseQueue } = host;
  // A worker of an earlier release cannot be asked.
  if (pulseQueue === undefined) return awsProxyHost(taskQueue);
  const pulsing = { ...host, pulseQueue };
  const on = (queueing?: Queueing): AwsProxyHostActivities => awsProxyHost(taskQueue, queueing);
  return {
    injectDrivers: (input) => whileAlive(pulsing, input.vm, (queueing) => on(queueing).injectDrivers(input)),
    copyToVolume: (input) => whileAlive(pulsing, input.vm, (queueing) => on(queueing).copyToVolume(input)),
  };
}

/** The host to which the work went is dead: the work has to begin again on another one. */
export function hostIsGone(error: unknown): boolean {
  return hasFailureType(error, HOST_GONE) || nobodyTookIt(error);
}

/**
 * At first there is no more than a time after which it is looked whether the host is there: nearly all work is done by then.
 * @throws ApplicationFailure HostGone
 */
async function whileAlive<T>(
  host: Pulsing,
  vm: string,
  queued: (queueing?: Queueing) => Promise<T>,
): Promise<T> {
  try {
    return await queued();
  } catch (error) {
    if (!nobodyTookIt(error) || !patched('pulse of a host')) throw error;
  }
  if (!(await answers(host, pace.pulseTimeout))) throw gone(host);
  const time = new Date().toISOString().slice(11, 16);
  await reportTrouble(vm, `at ${time} UTC in the queue of the AWS proxy ${host.instanceId}, which is busy`);
  // Queued once and for all: it keeps its place, and its tries are counted, so that work which cannot be done ends.
  return watched(host, () => queued({ scheduleToStartTimeout: undefined }));
}

/** Whether the work waits or is being done cannot be seen from here; in either case the host has to be there. */
async function watched<T>(host: Pulsing, work: () => Promise<T>): Promise<T> {
  const scope = new CancellationScope();
  try {
    return await scope.run(() => Promise.race([work(), untilGone(host)]));
  } finally {
    scope.cancel();
  }
}

/** @throws ApplicationFailure HostGone, once it does not answer for as long as work waits before the first look */
async function untilGone(host: Pulsing): Promise<never> {
  const began = Date.now();
  for (;;) {
    await sleep(Math.max(msToNumber(pace.hostTimeout), (Date.now() - began) * WAITED_PART));
    if (!(await answers(host, pace.hostTimeout))) throw gone(host);
  }
}

async function answers({ pulseQueue }: Pulsing, within: Duration): Promise<boolean> {
  try {
    await awsProxyPulse(pulseQueue, { scheduleToStartTimeout: within }).answerPulse();
    return true;
  } catch (error) {
    if (error instanceof ActivityFailure && error.cause instanceof TimeoutFailure) return false;
    throw error;
  }
}

function gone({ instanceId }: Pulsing): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `The AWS proxy ${instanceId} does not answer any more; start its worker again, or another AWS proxy.`,
    HOST_GONE,
  );
}

/** Nobody took the work from the host's queue in time. */
function nobodyTookIt(error: unknown): boolean {
  if (error instanceof TimeoutFailure) return error.timeoutType === TimeoutType.SCHEDULE_TO_START;
  return error instanceof Error && error.cause !== undefined && nobodyTookIt(error.cause);
}
