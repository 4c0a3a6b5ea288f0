import { type pace as usualPace } from '../../workflows/run/pace';

/** Stands in for `pace.ts`: a host is asked for its pulse, and given up, within seconds. */
export const pace: { [Name in keyof typeof usualPace]: string } = {
  initialInterval: '200 milliseconds',
  maximumInterval: '2 seconds',
  heartbeatTimeout: '6 seconds',
  callTimeout: '15 seconds',
  hostTimeout: '2 seconds',
  pulseTimeout: '2 seconds',
  dnsInterval: '1 second',
  noticeInterval: '1 second',
  fenceClosely: '1 second',
  fenceInterval: '2 seconds',
  fenceAnswer: '2 seconds',
};
