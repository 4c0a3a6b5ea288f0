import { readFileSync } from 'node:fs';
import { CreateTopicCommand, PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { createNoticeActivities } from '../../activities/control/notices/activities';
import { type Notice } from '../../plan/notices';
import { SHOP_TOPIC } from '../../sandbox/aws/fixtures';
import { publishedFile } from '../../sandbox/aws/sns/handlers';
import { ACCOUNT_ID } from '../../sandbox/aws/account';
import { AwsHarness, failure } from './aws-harness';

const TopicArn = `arn:aws:sns:eu-central-1:${ACCOUNT_ID}:${SHOP_TOPIC}`;
const NOTICE: Notice = {
  id: '0199abcd-run-ended',
  event: 'run-ended',
  plan: 'shop',
  at: '2026-11-30T16:25:02.000Z',
  text: 'The failover of shop failed: Größe.\nMore.',
  run: { type: 'failover', workflowId: 'lifeboat:shop:failover', runId: '0199abcd', digest: '0'.repeat(64) },
  facts: { outcome: 'failed' },
};

describe('a topic, at the endpoint', () => {
  const aws = new AwsHarness();
  let sns: SNSClient;
  beforeAll(async () => {
    await aws.start();
    sns = new SNSClient(aws.clientSettings());
  });
  afterAll(async () => {
    sns.destroy();
    await aws.stop();
  });
  const published = (): Record<string, unknown>[] =>
    readFileSync(publishedFile(aws.config.directory, SHOP_TOPIC), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const deliver = (topicArn: string) =>
    createNoticeActivities({ secrets: { file: undefined, env: {} }, sns: () => sns }).tryReceiver({
      notice: NOTICE,
      receiver: { sns: { topicArn } },
    });

  it('gets a notice as a document, with a subject that it takes, and what subscriptions choose by', async () => {
    const { delivered, answer } = await deliver(TopicArn);
    expect({ delivered, answer }).toEqual({
      delivered: true,
      answer: expect.stringMatching(/^message [0-9a-f-]{36}$/) as string,
    });
    const [message] = published();
    expect(message).toMatchObject({
      Subject: '[lifeboat] shop run-ended: The failover of shop failed: Gr??e. More.',
      MessageAttributes: {
        id: { DataType: 'String', StringValue: NOTICE.id },
        event: { StringValue: 'run-ended' },
      },
    });
    expect(JSON.parse(String(message?.Message))).toMatchObject({
      schema: 1,
      id: NOTICE.id,
      type: 'run-ended',
    });
  });

  it('that is not there is told, and told that it was not', async () => {
    const { delivered, answer } = await deliver(`${TopicArn}-none`);
    expect(delivered).toBe(false);
    expect(answer).toMatch(/could not be told.*Topic does not exist/);
  });

  it.each([
    [{ TopicArn: `${TopicArn}x` }, 'NotFoundException'],
    [{ TopicArn: 'shop' }, 'InvalidParameterException'],
    [{ Subject: 'x'.repeat(101) }, 'InvalidParameterException'],
    [{ Subject: 'two\nlines' }, 'InvalidParameterException'],
    [{ Subject: 'Größe' }, 'InvalidParameterException'],
    [{ Message: '' }, 'InvalidParameterException'],
    [{ Message: 'x'.repeat(256 * 1024 + 1) }, 'InvalidParameterException'],
  ])('refuses %j as AWS does', async (wrong, name) => {
    const before = published().length;
    const error = await failure(sns.send(new PublishCommand({ TopicArn, Message: 'm', ...wrong })));
    expect(error.name).toBe(name);
    expect(published()).toHaveLength(before);
  });

  it('does nothing else', async () => {
    const error = await failure(sns.send(new CreateTopicCommand({ Name: 'x' })));
    expect(error.name).toMatch(/InvalidAction|NotImplemented/);
  });
});
