import { type NoticeFacts } from '../plan/notices';
import { type KeptCheck, type Standing } from '../plan/readiness';
import { type DrPlan } from '../plan/schema';
import { someOf } from '../plan/some-of';
import { type Said, oneLine, peopleTold, tell } from './run/notices';

/** Tells people of the states that began with this check, or are over, once each. */
export async function tellChanges({ name: plan, objectives }: DrPlan, check: KeptCheck): Promise<void> {
  const { begun = [], over = [] } = check.changes ?? {};
  for (const state of ['rpo-missed', 'not-ready', 'test-overdue'] as const) {
    const of = (standings: readonly Standing[]) => standings.filter((one) => one.state === state);
    const say = (standing: 'begun' | 'over', standings: readonly Standing[], said: Said): void => {
      if (standings.length === 0) return;
      const vms = standings.flatMap(({ vm }) => vm ?? []);
      tell(state, `${state}-${standing}`, {
        ...said,
        standing,
        ...(vms.length === 0 ? {} : { vms }),
        facts: { since: standings[0]?.since ?? '', ...said.facts },
      });
    };
    say('begun', of(begun), BEGUN[state](plan, check, objectives));
    say('over', of(over), { text: OVER[state](plan, of(over)) });
  }
  await peopleTold();
}

const objective = (seconds: number | undefined): NoticeFacts =>
  seconds === undefined ? {} : { objectiveSeconds: seconds };

type Says = (plan: string, check: KeptCheck, objectives: DrPlan['objectives']) => Said;

const BEGUN: Record<Standing['state'], Says> = {
  'rpo-missed': (plan, { findings, changes }, objectives) => {
    const late = new Set(changes?.begun.map(({ vm }) => vm));
    const found = findings.filter(({ code, vm }) => code === 'dr-copy-age' && late.has(vm));
    const [first] = found;
    const more = found.length - 1;
    return {
      text: `${first?.text ?? ''}${more > 0 ? ` So are those of ${more} more.` : ''}`,
      todo: `Look why replication does not come on: lifeboat status ${plan}.`,
      facts: objective(objectives?.rpo),
    };
  },
  'not-ready': (plan, { findings }) => {
    const impossible = findings.filter(({ severity }) => severity === 'impossible');
    const [first] = impossible;
    const more = impossible.length - 1;
    return {
      text: `A failover of ${plan} would not succeed: ${oneLine(first?.text ?? '')}${more > 0 ? ` And ${more} more.` : ''}`,
      todo: `See all of it, and what to do: lifeboat check ${plan}.`,
      facts: { impossible: impossible.length, codes: [...new Set(impossible.map(({ code }) => code))] },
    };
  },
  'test-overdue': (plan, { findings }, objectives) => ({
    text: findings.find(({ code }) => code === 'test-overdue')?.text ?? '',
    todo: `Test the plan: lifeboat failover ${plan} --test.`,
    facts: objective(objectives?.testEvery),
  }),
};

const OVER: Record<Standing['state'], (plan: string, over: readonly Standing[]) => string> = {
  'rpo-missed': (_, over) =>
    `The DR copies of ${someOf(over.flatMap(({ vm }) => vm ?? []))} are as new as they have to be again.`,
  'not-ready': (plan) =>
    `Nothing that the check asks for keeps a failover of ${plan} from succeeding any more.`,
  'test-overdue': (plan) => `A test failover of ${plan} has come to a good end.`,
};
