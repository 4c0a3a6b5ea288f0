import { writeFileSync } from 'node:fs';
import { loadPlanFile, PlanError } from '../../plan/load';
import { normalizedPlanSchema } from '../../plan/normalized';
import { lockPeriod } from '../../plan/snapshot-lock';
import { GOOD_PLAN, planFolder } from './plan-file';

let folder: ReturnType<typeof planFolder>;
beforeEach(() => (folder = planFolder()));
afterEach(() => folder.remove());

/** The good plan with this lock. */
async function load(lock: string) {
  const text = GOOD_PLAN.replace('frequency: 15m', `frequency: 15m\n  lock: ${lock}`);
  if (text === GOOD_PLAN) throw new Error('the good plan has no frequency');
  writeFileSync(folder.file, text);
  return (await loadPlanFile(folder.file)).plan;
}
const problemOf = async (lock: string): Promise<string> => {
  const error: unknown = await load(lock).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof PlanError)) throw new Error(`no PlanError, but ${String(error)}`);
  return error.message;
};

describe('a plan that locks DR copies', () => {
  it.each([
    ['{}', { every: 86_400, keep: 604_800, mode: 'governance' }],
    ['{ every: 12h, keep: 30d, mode: governance }', { every: 43_200, keep: 2_592_000, mode: 'governance' }],
    [
      '{ mode: compliance, coolOff: 24h }',
      { every: 86_400, keep: 604_800, mode: 'compliance', coolOff: 86_400 },
    ],
    [
      '{ mode: compliance, coolOff: none }',
      { every: 86_400, keep: 604_800, mode: 'compliance', coolOff: 'none' },
    ],
  ])('may say %s', async (written, normalized) => {
    const plan = await load(written);
    expect(plan.replication.lock).toEqual(normalized);
    expect(normalizedPlanSchema.parse(plan)).toEqual(plan);
  });

  it.each([
    ['{ keep: 36h }', /replication\.lock\.keep: must be whole days, like 7d$/],
    ['{ keep: 12h }', /replication\.lock\.keep: must be whole days/],
    ['{ keep: 4000d }', /replication\.lock\.keep: must be at most 366d$/],
    ['{ every: 8d }', /replication\.lock\.keep: must be at least "every"/],
    ['{ every: 15m }', /replication\.lock\.every: must be at least 1h/],
    ['{ every: daily }', /replication\.lock\.every: must be like 30s, 15m, 4h or 1d, not "daily"$/],
    ['{ mode: forever }', /replication\.lock\.mode: must be "governance" or "compliance", not "forever"$/],
    [
      '{ mode: compliance }',
      /replication\.lock\.coolOff: is missing.* nobody can unlock.* or take "mode: governance"$/,
    ],
    ['{ coolOff: 24h }', /replication\.lock\.coolOff: is of "mode: compliance" only/],
    [
      '{ mode: compliance, coolOff: 96h }',
      /replication\.lock\.coolOff: must be whole hours from 1h to 72h, or "none"$/,
    ],
    ['{ mode: compliance, coolOff: 90m }', /replication\.lock\.coolOff: must be whole hours/],
    ['{ mode: compliance, coolOff: soon }', /replication\.lock\.coolOff: must be/],
    ['{ mod: governance }', /replication\.lock\.mod: is not known here; did you mean "?mode"?\?/],
    ['true', /replication\.lock: must be a group of fields, not true$/],
  ])('may not say %s', async (written, problem) => {
    expect(await problemOf(written)).toMatch(problem);
  });

  it('has one lock a UTC day, also where rounds come a second earlier each day', () => {
    const lock = { every: 86_400 };
    const at = (text: string): number => lockPeriod(lock, new Date(text));
    expect(at('2026-11-30T02:00:05Z') - at('2026-11-29T02:00:06Z')).toBe(1);
    expect(at('2026-11-30T23:59:59Z')).toBe(at('2026-11-30T00:00:00Z'));
  });
});
