import { DamagedObjectError } from '../objects/json-object';

/** One object of the repository that is missing or not what it should be. */
export interface Damage {
  key: string;
  /** What is wrong with it, in sentences. */
  problems: string[];
  /** Ids of the recovery points that cannot be restored whole because of it. */
  recoveryPoints: string[];
}

/** Problems of one object that are told in full; a pack of thousands of broken blocks says no more than that. */
const PROBLEMS_AN_OBJECT = 5;

/** Gathers what a check finds, object by object. */
export class Findings {
  private readonly objects = new Map<
    string,
    { problems: Set<string>; more: number; suffering: Set<string> }
  >();

  add(key: string, problem: string, suffering: Iterable<string>): void {
    let found = this.objects.get(key);
    if (found === undefined)
      this.objects.set(key, (found = { problems: new Set(), more: 0, suffering: new Set() }));
    if (found.problems.size < PROBLEMS_AN_OBJECT) found.problems.add(problem);
    else if (!found.problems.has(problem)) found.more++;
    for (const id of suffering) found.suffering.add(id);
  }

  /** Notes a damaged object. @throws error where it tells of anything else */
  addError(error: unknown, suffering: Iterable<string>): void {
    if (!(error instanceof DamagedObjectError)) throw error;
    this.add(error.key, error.reason, suffering);
  }

  /** In the order of their keys. */
  damages(): Damage[] {
    return [...this.objects]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { problems, more, suffering }]) => ({
        key,
        problems: [...problems, ...(more > 0 ? [`and ${more} more like these`] : [])],
        recoveryPoints: [...suffering].sort(),
      }));
  }
}
