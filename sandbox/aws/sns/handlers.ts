import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type PublishInput, type PublishResponse } from '@aws-sdk/client-sns';
import { type Account, ACCOUNT_ID } from '../account';
import { AwsError } from '../wire/errors';

/** Message and attributes together ("Publish", Amazon SNS API Reference). */
const MESSAGE_BYTES = 256 * 1024;
/** ASCII on one line, from a letter, a number or a punctuation mark on; the same page. */
const SUBJECT = /^[\x21-\x7e][\x20-\x7e]{0,99}$/;

/** What was published, one JSON document a line, by topic: nobody is subscribed here, so this is where to look. */
export const publishedFile = (directory: string, topic: string): string =>
  join(directory, 'sns', `${topic}.jsonl`);

/** The account's topics. */
export function snsHandlers({ config }: Account) {
  return {
    Publish({ TopicArn, Subject, Message, MessageAttributes = {} }: PublishInput): PublishResponse {
      const topic = topicOf(TopicArn);
      const known = config.fixtures.topics ?? [];
      if (topic.region !== config.region || topic.account !== ACCOUNT_ID || !known.includes(topic.name))
        throw new AwsError('NotFound', 'Topic does not exist', 404);
      if (Message === undefined || Message === '') throw invalid('Empty message');
      if (Buffer.byteLength(Message) > MESSAGE_BYTES) throw invalid('Message too long');
      if (Subject !== undefined && !SUBJECT.test(Subject)) throw invalid('Subject');
      const MessageId = randomUUID();
      const file = publishedFile(config.directory, topic.name);
      mkdirSync(join(config.directory, 'sns'), { recursive: true });
      appendFileSync(file, `${JSON.stringify({ MessageId, Subject, Message, MessageAttributes })}\n`);
      return { MessageId };
    },
  };
}

function topicOf(arn = ''): { region: string; account: string; name: string } {
  const [, region, account, name] =
    /^arn:aws[a-z-]*:sns:([a-z0-9-]+):(\d{12}):([A-Za-z0-9_-]{1,256})$/.exec(arn) ?? [];
  if (region === undefined || account === undefined || name === undefined) throw invalid('TopicArn');
  return { region, account, name };
}

const invalid = (what: string): AwsError =>
  new AwsError('InvalidParameter', `Invalid parameter: ${what}`, 400);
