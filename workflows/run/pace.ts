/**
 * How long runs wait before they take something for lost, or try again. The values are part of the workflows' bundle,
 * so that a run is replayed with those that it began with; `quick-pace.ts` has others, for tests that kill things.
 */
export const pace = {
  initialInterval: '1 second',
  maximumInterval: '30 seconds',
  /**
   * Long enough that one missed beat (the SDK sends at 1 to 2 s) is no false alarm, short enough that work of a dead
   * worker goes on within half a minute.
   */
  heartbeatTimeout: '20 seconds',
  /** A handful of API calls. */
  callTimeout: '1 minute',
  /** Work has waited in a host's queue for so long that it is worth asking whether the host is there. */
  hostTimeout: '2 minutes',
  /** A host that does not answer for so long after that is dead: a worker that is started again is there within seconds. */
  pulseTimeout: '30 seconds',
  dnsInterval: '5 seconds',
  /** Between two tries to tell a receiver that has been down for a while. */
  noticeInterval: '5 minutes',
  /** Between two looks at VMs that must stay off, in a data centre that has just come back, where they are started one by one: a guest boots in half a minute. */
  fenceClosely: '10 seconds',
  /** And at other times, when one of them is started by a person, or as its host has failed. */
  fenceInterval: '1 minute',
  /** A look that takes so long waits for a backup proxy. */
  fenceAnswer: '1 minute',
} as const;
