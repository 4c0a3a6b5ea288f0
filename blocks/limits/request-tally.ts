/** Requests of one API action since they were last taken. */
export interface RequestCount {
  /** As in the SDK's client: `ec2`, `ebs`, `s3`. */
  service: string;
  /** Name of the API action. */
  action: string;
  /** All tries. */
  made: number;
  /** Those that AWS refused because they came too fast. */
  throttled: number;
}

/** Counts requests to AWS by action: cheaply, as blocks come a thousand a second, and for whoever takes the counts, if anybody does. */
export class RequestTally {
  private counts = new Map<string, RequestCount>();

  note(service: string, action: string, throttled: boolean): void {
    const key = `${service}:${action}`;
    let count = this.counts.get(key);
    if (count === undefined) this.counts.set(key, (count = { service, action, made: 0, throttled: 0 }));
    count.made++;
    if (throttled) count.throttled++;
  }

  /** What was counted since the last time. */
  take(): RequestCount[] {
    const counts = [...this.counts.values()];
    this.counts = new Map();
    return counts;
  }
}

/** This process's: AWS counts what an account's proxies ask, whichever of their clients it came by. */
export const requestTally = new RequestTally();
