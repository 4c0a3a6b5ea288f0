/** Names of plans and of their VMs, which are parts of object keys, tags and workflow ids; as the source of a regular expression. */
export const PLAN_NAME = '[a-z][a-z0-9-]{0,39}';

export const planNamePattern = new RegExp(`^${PLAN_NAME}$`);
