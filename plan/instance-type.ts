/** How EC2 instance types are named, such as `m6i.large`. By itself, as workflows cannot take the plan's schema along. */
export const INSTANCE_TYPE = /^[a-z0-9-]+\.[a-z0-9-]+$/;
