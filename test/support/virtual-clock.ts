import { type Clock } from '../../blocks/limits/rate-limit';

/** A clock that goes forward by nothing but being slept by. */
export class VirtualClock implements Clock {
  constructor(private milliseconds = 0) {}

  now(): number {
    return this.milliseconds;
  }

  async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    await new Promise(setImmediate);
    signal.throwIfAborted();
    this.milliseconds += milliseconds;
  }
}
