import { type Finding } from '../../../plan/readiness';
import { toFailure } from '../../failures';

/** What a failover can do without is asked in passing: that AWS does not tell it is one finding among others. */
export async function asked(what: string, action: string, ask: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await ask();
  } catch (error) {
    const failure = toFailure(error, `ask for ${what}`);
    // A passing trouble is tried again, with all the rest.
    if (failure.nonRetryable !== true) throw error;
    const todo = `Allow the AWS proxy ${action}.`;
    return [{ code: 'not-checked', severity: 'warning', text: failure.message, todo, about: what }];
  }
}
