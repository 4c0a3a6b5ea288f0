import { PublishCommand, type SNSClient } from '@aws-sdk/client-sns';
import { type Notice } from '../../../plan/notices';
import { toFailure } from '../../failures';
import { noticeBody, noticeSubject } from './message';
import { notDelivered } from './webhook';

/** The Region is the fourth part of an ARN. */
export const topicRegion = (topicArn: string): string => topicArn.split(':')[3] ?? '';

/**
 * Publishes the notice. A standard topic keeps no order, and may tell twice: the id is an attribute of the message.
 * @returns the answer, for people
 * @throws ApplicationFailure NotDelivered: whatever AWS says may be mended meanwhile, a missing permission, too
 */
export async function publish(sns: SNSClient, topicArn: string, notice: Notice): Promise<string> {
  const text = (value: string) => ({ DataType: 'String', StringValue: value });
  try {
    const { MessageId: id } = await sns.send(
      new PublishCommand({
        TopicArn: topicArn,
        Subject: noticeSubject(notice),
        Message: noticeBody(notice),
        // By which subscriptions can choose (filter policies).
        MessageAttributes: { id: text(notice.id), event: text(notice.event), plan: text(notice.plan) },
      }),
    );
    return `message ${id ?? ''}`;
  } catch (error) {
    throw notDelivered(toFailure(error, 'publish to the topic').message.replace(/\.$/, ''));
  }
}
