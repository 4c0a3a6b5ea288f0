import { type SNSClient } from '@aws-sdk/client-sns';
import { ApplicationFailure } from '@temporalio/common';
import { type Notice, type NotifyReceiver } from '../../../plan/notices';
import { withFailures } from '../../failures';
import { type NoticeActivities } from './contract';
import { type SecretSource, signingKeys } from './secrets';
import { publish, topicRegion } from './topic';
import { callWebhook, webhookAgent } from './webhook';

export interface NoticeDependencies {
  secrets: SecretSource;
  sns: (region: string) => SNSClient;
}

/** See {@link NoticeActivities}. */
export function createNoticeActivities({ secrets, sns }: NoticeDependencies): NoticeActivities {
  const agent = webhookAgent();
  const topics = new Map<string, SNSClient>();

  async function deliver(notice: Notice, receiver: NotifyReceiver): Promise<string> {
    if (receiver.sns !== undefined) {
      const { topicArn } = receiver.sns;
      const region = topicRegion(topicArn);
      const client = topics.get(region) ?? sns(region);
      topics.set(region, client);
      return publish(client, topicArn, notice);
    }
    if (receiver.webhook === undefined)
      throw ApplicationFailure.nonRetryable('The receiver has neither webhook nor sns.', 'BadRequest');
    return callWebhook(agent, receiver.webhook, notice, await signingKeys(receiver.webhook.secret, secrets));
  }

  return withFailures<NoticeActivities>({
    async deliverNotice({ notice, receiver }) {
      return { answer: await deliver(notice, receiver) };
    },
    async tryReceiver({ notice, receiver }) {
      try {
        return { delivered: true, answer: await deliver(notice, receiver) };
      } catch (error) {
        if (!(error instanceof ApplicationFailure)) throw error;
        return { delivered: false, answer: error.message };
      }
    },
  });
}
