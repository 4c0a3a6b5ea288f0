/**
 * What people are told of a plan without asking. These are the names in a plan's `on` and in the messages; documented in
 * docs/operations.md, and never given another meaning.
 */
export const NOTICE_EVENTS = [
  /** Something failed and waits for a person to mend it. */
  'needs-attention',
  /** Something waits for a person's approval. */
  'needs-approval',
  /** Standing: a DR copy is older than the recovery point objective. */
  'rpo-missed',
  /** A round of replication failed. */
  'round-failed',
  /** Standing: the check says that a failover would not succeed. */
  'not-ready',
  /** Standing: the last good test failover is longer ago than the objective wants. */
  'test-overdue',
  /** A failover, test, failback, commit, undo or verification has ended, in whatever way. */
  'run-ended',
] as const;

export type NoticeEvent = (typeof NOTICE_EVENTS)[number];

/** Who is told, by one way; see plan/notify-schema.ts. */
export interface NotifyReceiver {
  webhook?: { url: string; secret: string; allowHttp?: boolean | undefined } | undefined;
  sns?: { topicArn: string } | undefined;
  /** What it is told; all where it is absent. */
  on?: NoticeEvent[] | undefined;
}

/** Values that say what happened; small, and no text of a guest's. */
export type NoticeFacts = Record<string, string | number | boolean | string[]>;

/** One thing that people are told. */
export interface Notice {
  /** Unique, and the same however often it is delivered. */
  id: string;
  /** `test` is what `lifeboat notify --test` sends. */
  event: NoticeEvent | 'test';
  plan: string;
  /** ISO 8601, UTC: when it happened, which may be long before it is delivered. */
  at: string;
  /** What happened, in one sentence. */
  text: string;
  /** What a person can do; absent where there is nothing to do. */
  todo?: string;
  /** Of a standing state: whether it begins or is over. */
  standing?: 'begun' | 'over';
  /** The first of them. */
  vms?: string[];
  /** How many they are in all. */
  vmCount?: number;
  /** Who tells it; the plan's digest is the version that it went by. */
  run: { type: string; workflowId: string; runId: string; digest: string };
  facts: NoticeFacts;
}

/** What the workflow that delivers a notice is started with. */
export interface NotifyRequest {
  notice: Notice;
  receivers: NotifyReceiver[];
}

/** Who a receiver is, for people: where it is, and nothing of a URL that could be kept from them for a reason. */
export function receiverName({ webhook, sns }: NotifyReceiver): string {
  if (sns !== undefined) return sns.topicArn;
  return webhook === undefined ? 'nobody' : `webhook ${/^\w+:\/\/[^/?#]+/.exec(webhook.url)?.[0] ?? ''}`;
}
