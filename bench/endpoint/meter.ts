/** Seconds after the first block call that are left out of the steady rate: a client finds its pace in them. */
const RAMP_SECONDS = 2;

/** What the endpoint saw of block calls. */
export interface MeterReading {
  carriedOut: number;
  refused: number;
  /** Block calls a second from {@link RAMP_SECONDS} after the first up to the last; absent where there was no such time. */
  steadyPerSecond?: number;
}

/** Counts the block calls of one run. */
export class BlockMeter {
  refused = 0;
  private carriedOut = 0;
  private inRamp = 0;
  private firstAt: number | undefined;
  private lastAt = 0;

  count(): void {
    this.lastAt = performance.now();
    this.firstAt ??= this.lastAt;
    this.carriedOut++;
    if (this.lastAt - this.firstAt < RAMP_SECONDS * 1000) this.inRamp++;
  }

  read(): MeterReading {
    const { carriedOut, refused } = this;
    const steadySeconds = (this.lastAt - (this.firstAt ?? 0)) / 1000 - RAMP_SECONDS;
    return {
      carriedOut,
      refused,
      ...(carriedOut === this.inRamp ? {} : { steadyPerSecond: (carriedOut - this.inRamp) / steadySeconds }),
    };
  }
}
