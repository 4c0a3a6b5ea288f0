/** Tells workflows of the host that an AWS proxy runs on. */
export interface ProxyHostActivities {
  /** The host-bound queue of one proxy, its instance and AZ, for work that must stay on one host. */
  proxyHost(): Promise<{ taskQueue: string; instanceId: string; availabilityZone: string }>;
}
