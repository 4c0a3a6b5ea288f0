import { ApplicationFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import { type Notice, type NotifyRequest, receiverName } from '../plan/notices';
import { notices } from './run/activities';
import { begin, type RunRequest } from './run/begin';
import { causeMessage } from './run/failure-message';
import { RunProgress } from './run/run-status';

export interface ToldReceiver {
  receiver: string;
  delivered: boolean;
  /** What it answered, or what is wrong, for people. */
  answer: string;
}

export interface NotifySummary {
  plan: string;
  receivers: ToldReceiver[];
}

/**
 * Tells one notice to all of its receivers, each tried again by itself until it has it, for days. Whoever started it does not
 * wait, and may have ended.
 * @throws ApplicationFailure NotDelivered, where a receiver was not reached in all that time; the others have it
 */
export async function notify({ notice, receivers }: NotifyRequest): Promise<NotifySummary> {
  const progress = new RunProgress(notice.plan, []);
  progress.phase('telling');
  const results = await Promise.all(
    receivers.map(async (receiver): Promise<ToldReceiver> => {
      const name = receiverName(receiver);
      try {
        const { answer } = await notices.deliverNotice({ notice, receiver });
        return { receiver: name, delivered: true, answer };
      } catch (error) {
        if (isCancellation(error)) throw error;
        return { receiver: name, delivered: false, answer: causeMessage(error) };
      }
    }),
  );
  const missing = results.filter(({ delivered }) => !delivered);
  if (missing.length > 0) {
    progress.phase('not delivered');
    throw ApplicationFailure.nonRetryable(
      missing.map(({ receiver, answer }) => `${receiver}: ${answer}`).join('; '),
      'NotDelivered',
    );
  }
  progress.phase('done');
  return { plan: notice.plan, receivers: results };
}

/** Sends a test notice to each of the plan's receivers, once, and tells what each answered. */
export async function tryNotices(request: RunRequest): Promise<NotifySummary> {
  const { plan, run } = await begin(request);
  const progress = new RunProgress(plan.name, []);
  const receivers = plan.notify ?? [];
  if (receivers.length === 0)
    throw ApplicationFailure.nonRetryable(
      `The plan ${plan.name} tells nobody. Give it notify: a list of receivers, each a webhook or an sns topic (docs/operations.md).`,
      'NoReceivers',
    );
  progress.phase('telling');
  const { workflowType, workflowId } = workflowInfo();
  const notice: Notice = {
    id: `${run.runId}-test`,
    event: 'test',
    plan: plan.name,
    at: new Date().toISOString(),
    text: 'This is a test. Nothing has happened.',
    run: { type: workflowType, workflowId, runId: run.runId, digest: run.digest },
    facts: {},
  };
  const results = await Promise.all(
    receivers.map(async (receiver) => ({
      receiver: receiverName(receiver),
      ...(await notices.tryReceiver({ notice, receiver })),
    })),
  );
  const delivered = results.filter((result) => result.delivered).length;
  progress.phase(`${delivered} of ${results.length} receivers have it`);
  return { plan: plan.name, receivers: results };
}
