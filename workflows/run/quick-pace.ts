import { type pace as usualPace } from './pace';

/**
 * For the chaos suite, in whose bundle it stands in for `pace.ts`: a run in which workers are killed takes seconds. Too
 * short for a site: a worker that is only busy would be taken for dead.
 */
export const pace: { [Name in keyof typeof usualPace]: string } = {
  initialInterval: '200 milliseconds',
  maximumInterval: '2 seconds',
  heartbeatTimeout: '6 seconds',
  callTimeout: '15 seconds',
  hostTimeout: '30 seconds',
  pulseTimeout: '15 seconds',
  dnsInterval: '1 second',
  noticeInterval: '1 second',
  fenceClosely: '1 second',
  fenceInterval: '2 seconds',
  fenceAnswer: '2 seconds',
};
