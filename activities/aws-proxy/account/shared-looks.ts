import { setTimeout as sleep } from 'node:timers/promises';
import { untilAborted } from '../../../blocks/until-aborted';
import { cancellation } from './cancellation';
import { RequestBudget } from './request-budget';
import { Shared } from './shared';

/**
 * Looks at one kind of thing, by all who wait for one of that kind: 50 at once, then ten a second, which is half of what
 * AWS gives an account for lists with filters. While a look waits for its turn, more join it.
 */
const LOOKS = { burst: 50, perSecond: 10 };
/** Milliseconds that a look waits for others: timers of one instant fire some apart. */
const GATHER_MS = 10;

/**
 * Finds things by id, for all who ask at the same time by one call: a thousand waits cost no more than one.
 * Whoever asks gets what a look has seen that began after that.
 */
export class SharedLooks<T> {
  private wanted = new Set<string>();
  private readonly pace = new RequestBudget(LOOKS);
  private readonly looking = new Shared(
    () => this.look(),
    () => this.pace.take().then(() => sleep(GATHER_MS)),
  );

  /** @param list lists those of the ids that there are */
  constructor(
    private readonly list: (ids: string[]) => Promise<T[]>,
    private readonly idOf: (thing: T) => string | undefined,
  ) {}

  /** @returns undefined where EC2 does not list it: gone, or not visible yet */
  async find(id: string): Promise<T | undefined> {
    this.wanted.add(id);
    const found = await untilAborted(this.looking.get(), cancellation());
    return found.get(id);
  }

  private async look(): Promise<Map<string, T>> {
    const ids = [...this.wanted];
    this.wanted = new Set();
    return new Map((await this.list(ids)).map((thing) => [this.idOf(thing) ?? '', thing]));
  }
}
