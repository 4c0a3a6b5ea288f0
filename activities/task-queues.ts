/** Task queues by site. Workflows and the plan's state run on the control worker. */
export const CONTROL_QUEUE = 'lifeboat-control';
/** What tells people, by control workers too, apart from their other work: a receiver that is slow to answer holds up no run. */
export const NOTICE_QUEUE = 'lifeboat-notices';
/** Calls to AWS: any AWS proxy. */
export const AWS_PROXY_QUEUE = 'lifeboat-aws-proxy';
/** Block copies by EBS direct, apart from the calls, so that a long copy never holds up a failover. */
export const AWS_PROXY_COPY_QUEUE = 'lifeboat-aws-proxy-copy';
/** Whatever touches the primary site. */
export const BACKUP_PROXY_QUEUE = 'lifeboat-backup-proxy';

/** Work on a volume that is attached to one AWS proxy runs on that proxy's own queue. */
export const awsProxyHostQueue = (instanceId: string): string => `lifeboat-aws-proxy-host-${instanceId}`;

/** One AWS proxy answers here at once, however long its other queues are: whoever waits for it learns that it is there. */
export const awsProxyPulseQueue = (instanceId: string): string => `lifeboat-aws-proxy-pulse-${instanceId}`;

/**
 * Any AWS proxy answers here at once, or, with a zone, any in that zone: nothing else is ever waited for on these queues, so that
 * whoever asks learns whether one is there.
 */
export const awsProxyAnswerQueue = (zone?: string): string =>
  `lifeboat-aws-proxy-answers${zone === undefined ? '' : `-${zone}`}`;
/** As {@link awsProxyAnswerQueue}, of backup proxies. */
export const BACKUP_PROXY_ANSWER_QUEUE = 'lifeboat-backup-proxy-answers';

/** One worker alone answers here: each proxy can be asked for itself. @param worker its identity */
export const workerAnswerQueue = (worker: string): string =>
  `lifeboat-answers-${worker.replace(/[^A-Za-z0-9_.:@+-]+/g, '-')}`;
