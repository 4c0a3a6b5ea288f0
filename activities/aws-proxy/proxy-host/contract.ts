/** Tells workflows of the host that an AWS proxy runs on. */
export interface ProxyHostActivities {
  /** The host-bound queue of one proxy, its instance and AZ, for work that must stay on one host. */
  proxyHost(): Promise<OfferedHost>;
}

/** A proxy that has just answered. */
export interface OfferedHost {
  taskQueue: string;
  /** Where it is asked for its pulse; absent in what a worker of an earlier release answers. */
  pulseQueue?: string;
  instanceId: string;
  availabilityZone: string;
}

/** On a queue of its own on each proxy, where nothing else is ever waited for. */
export interface PulseActivities {
  /** Answers: the proxy is there, whatever it is busy with. */
  answerPulse(): Promise<void>;
}
