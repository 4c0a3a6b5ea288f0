import { fenceStanding, wantsFence } from '../../plan/fence';
import { type PlanPhase } from '../../plan/run';
import { GOOD_PLAN, planOf } from './plan-file';

const withFence = (value: string): string =>
  GOOD_PLAN.replace('  hypervisor: local\n', `  hypervisor: local\n  fence: ${value}\n`);

describe('the fence in a plan', () => {
  it('is wanted where the plan does not say, which leaves the plan as it was', async () => {
    const { plan } = await planOf();
    expect(plan.primarySite).toEqual({ hypervisor: 'local' });
    expect(wantsFence(plan)).toBe(true);
    expect(wantsFence((await planOf(withFence('powerOff'))).plan)).toBe(true);
    expect(wantsFence((await planOf(withFence('none'))).plan)).toBe(false);
  });

  it('is one of two words', async () => {
    await expect(planOf(withFence('shutDown'))).rejects.toThrow(
      /plan\.yaml:4:10 primarySite\.fence: must be "powerOff" or "none"/,
    );
  });

  it.each<[PlanPhase, string]>([
    ['protected', 'over'],
    ['failing-over', 'paused'],
    ['failed-over', 'open'],
    ['failing-back', 'paused'],
    ['failed-back', 'paused'],
  ])('holds while the plan is %s: %s', (phase, standing) => {
    const since = '2026-11-30T12:00:00.000Z';
    expect(fenceStanding({ phase, fence: { order: 'open', since } })).toBe(standing);
    expect(fenceStanding({ phase, fence: { order: 'stopped', since } })).toBe('over');
    expect(fenceStanding({ phase })).toBe('over');
  });
});
