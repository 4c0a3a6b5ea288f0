import { CancellationScope, log, setHandler } from '@temporalio/workflow';
import { amend, causeMessage } from './failure-message';
import { whatCancelTakesBackQuery } from './messages';
import { settling } from './settling';

/**
 * What a run does to take itself back. Each undo is registered before the step that it undoes, so that a step whose
 * outcome is unknown is undone, too; all must therefore be harmless where their step never happened.
 */
export class Compensations {
  private readonly undos: { what: string; undo: () => Promise<unknown> }[] = [];

  add(what: string, undo: () => Promise<unknown>): void {
    this.undos.unshift({ what, undo });
  }

  /** What was done stays. */
  dismiss(): void {
    this.undos.length = 0;
  }

  /** Lets people ask the run what it would do if it were cancelled now. */
  tell(): void {
    setHandler(whatCancelTakesBackQuery, () => ({ takesBack: this.undos.map(({ what }) => what) }));
  }

  /**
   * Runs all, the latest first, also when the run is cancelled.
   * @returns what could not be undone, one line each; nothing is hidden by going on
   */
  async run(): Promise<string[]> {
    const failed: string[] = [];
    await CancellationScope.nonCancellable(async () => {
      for (const { what, undo } of this.undos) {
        try {
          await undo();
        } catch (error) {
          log.error(`could not ${what}`, { error });
          failed.push(`${what} (${causeMessage(error)})`);
        }
      }
    });
    return failed;
  }
}

/**
 * Runs `steps`; when they fail or are cancelled, and nothing of them goes on any more, undoes what they registered and throws their error, amended by
 * what could not be undone.
 */
export async function compensating<T>(steps: (compensations: Compensations) => Promise<T>): Promise<T> {
  const compensations = new Compensations();
  try {
    const result = await settling(() => steps(compensations));
    compensations.dismiss();
    return result;
  } catch (error) {
    const failed = await compensations.run();
    if (failed.length > 0) amend(error, `; moreover, Lifeboat could not: ${failed.join('; ')}`);
    throw error;
  }
}
