import { z } from 'zod';
import { NOTICE_EVENTS, type NotifyReceiver } from './notices';
import { webhookUrlProblem } from './webhook-address';

/** Each is told by an activity of its own; more than a few are one topic's business. */
const MAXIMUM_RECEIVERS = 10;

/** An address that is called with what happened, signed. */
const webhook = z
  .object({
    url: z.string().max(2000),
    /** Name of the secret that signs; the control worker knows it by that name, and nobody else does. */
    secret: z
      .string()
      .regex(
        /^[a-z][a-z0-9-]{0,39}$/,
        'must be the name of a secret, 1 to 40 lower-case letters, digits or "-"; the secret itself is the control worker\'s',
      ),
    /** Whether plain HTTP to another host will do. */
    allowHttp: z.boolean().optional(),
  })
  .strict()
  .superRefine(({ url, allowHttp }, context) => {
    const message = webhookUrlProblem(url, allowHttp === true);
    if (message !== undefined) context.addIssue({ code: 'custom', path: ['url'], message });
  });

/** A topic of Amazon SNS, which may be in any Region and account. */
const sns = z
  .object({
    topicArn: z
      .string()
      .regex(
        /^arn:aws(-[a-z]+)*:sns:[a-z]{2}(-[a-z]+)+-\d:\d{12}:[A-Za-z0-9_-]{1,256}$/,
        'must be the ARN of a standard topic, like arn:aws:sns:eu-central-1:123456789012:lifeboat',
      ),
  })
  .strict();

const receiver = z
  .object({
    webhook: webhook.optional(),
    sns: sns.optional(),
    /** What it is told; all where it is absent. */
    on: z.array(z.enum(NOTICE_EVENTS)).min(1).optional(),
  })
  .strict()
  .refine((one) => (one.webhook === undefined) !== (one.sns === undefined), 'needs either webhook or sns');

/** Who is told what happens to the plan. */
export const notify: z.ZodType<NotifyReceiver[]> = z.array(receiver).min(1).max(MAXIMUM_RECEIVERS);
