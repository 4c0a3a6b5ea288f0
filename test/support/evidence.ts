import { evidenceOf, type Sources } from '../../activities/control/evidence/facts';
import { type RunHistory } from '../../activities/control/evidence/history';
import { RunFacts } from '../../activities/control/evidence/run-facts';
import { type EvidenceFacts } from '../../repository/evidence/document';
import { RUN } from './run-context';

/** What the document of a run says, with nothing known besides its history. @param more in the place of that */
export function evidenceOfHistory(
  history: RunHistory,
  { end = {}, ...more }: Partial<Omit<Sources, 'end'>> & { end?: Partial<Sources['end']> } = {},
): EvidenceFacts {
  const facts = new RunFacts(history);
  const { plan, digest } = facts;
  if (plan === undefined || digest === undefined) throw new Error('The run did not come as far as its plan.');
  return evidenceOf({
    end: {
      ...{ plan: plan.name, kind: 'failover', ended: 'completed', workflowId: 'lifeboat:shop:failover' },
      ...{
        runId: RUN.runId,
        firstRunId: RUN.runId,
        endedAt: facts.steps.at(-1)?.to ?? history.run.startedAt,
      },
      ...end,
    },
    ...{ facts, plan, digest, repository: RUN.repository, lastTest: undefined, check: undefined },
    ...{ points: new Map(), consoles: new Map(), objects: new Map() },
    ...more,
  });
}
