import { type Client } from '@temporalio/client';
import { sample, type Sample } from './catalogue';
import { every } from './every';
import { type Exporter } from './exporter';
import { messageOf } from '../../host/message-of';

/** Something that metrics tell of, where it can be looked up at any time. */
export interface Facts {
  source: 'repository' | 'temporal' | 'aws';
  /** All that there is to say now. What is not said any more is taken back. */
  look(temporal: Client): Promise<Sample[]>;
}

/** Seconds between two looks. */
const LOOK_SECONDS = 30;
/** Seconds for which what was seen is told while nothing can be seen: longer than a site is away for a moment, shorter than alerts wait. */
const HOLDS_SECONDS = 600;

const keyOf = ({ name, labels }: Sample): string => JSON.stringify([name, Object.entries(labels).sort()]);

/**
 * Tells by metrics what is true at the sites, by looking there again and again: not what this worker happened to do. So a worker that
 * has just started knows as much as any other, several tell the same, and none goes on telling what another has changed.
 */
export class FactReporter {
  /** What is told, by its series. */
  private told = new Map<string, Sample>();
  private lookedAt: number;
  private failing = false;

  constructor(
    private readonly facts: Facts,
    private readonly exporter: Pick<Exporter, 'set'>,
    private readonly now: () => number = Date.now,
  ) {
    this.lookedAt = now();
    // So that whoever has never looked since it started is not silent about it.
    exporter.set(sample('lifeboat_facts_timestamp_seconds', { source: facts.source }, 0));
  }

  /** One look. That it fails is told on stderr, once, and by the age of the last good one. */
  async look(temporal: Client): Promise<void> {
    const { source } = this.facts;
    try {
      this.tell(await this.facts.look(temporal));
      this.lookedAt = this.now();
      this.exporter.set(sample('lifeboat_facts_timestamp_seconds', { source }, this.lookedAt / 1000));
      this.failing = false;
    } catch (error) {
      if (!this.failing)
        console.error(`Metrics: what ${source} says could not be looked up; trying on: ${messageOf(error)}`);
      this.failing = true;
      if (this.now() - this.lookedAt > HOLDS_SECONDS * 1000) this.tell([]);
    }
  }

  private tell(samples: Sample[]): void {
    const present = new Map(samples.map((one) => [keyOf(one), one]));
    for (const [key, one] of this.told) if (!present.has(key)) this.exporter.set({ ...one, value: NaN });
    for (const one of present.values()) this.exporter.set(one);
    this.told = present;
  }
}

/** Looks until the signal comes. */
export function reportFacts(reporter: FactReporter, temporal: Client, signal: AbortSignal): Promise<void> {
  return every(LOOK_SECONDS, signal, () => reporter.look(temporal));
}
