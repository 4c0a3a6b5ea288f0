import { fenceStanding } from '../../plan/fence';
import { type FenceOrder, type FencedVm } from '../../plan/fence-order';
import { type ObjectStore } from '../objects/object-store';
import { changePlanState, WrongPhaseError } from './plan-state';

/**
 * Gives the order to keep the plan's VMs off at home, or (`stopped`) ends it. Given again, it begins anew.
 * @throws WrongPhaseError where the plan has not failed over
 */
export async function orderFence(
  store: ObjectStore,
  plan: string,
  order: FenceOrder['order'],
): Promise<FenceOrder> {
  const changed = await changePlanState(store, plan, (state) => {
    if (state?.phase !== 'failed-over')
      throw new WrongPhaseError(plan, state?.phase ?? 'none', ['failed-over']);
    if (state.fence?.order === order) return state;
    const { vms } = state.fence ?? {};
    return {
      ...state,
      fence: { order, since: new Date().toISOString(), ...(vms === undefined ? {} : { vms }) },
    };
  });
  return changed?.fence ?? { order, since: new Date().toISOString() };
}

/**
 * Keeps that the order was carried out. Where the state has gone on meanwhile, there is nothing any more to be told of.
 * @param at ISO 8601, UTC: of the look; one that is kept already, or a later one, is not kept again
 * @param vms whose power was taken
 */
export async function recordFenced(
  store: ObjectStore,
  plan: string,
  { at, vms }: { at: string; vms: readonly string[] },
): Promise<FenceOrder | undefined> {
  const changed = await changePlanState(store, plan, (state) => {
    if (state?.fence === undefined || fenceStanding(state) === 'over') return state;
    const { fence } = state;
    const before = fence.vms ?? [];
    const news = vms.filter((vm) => !before.some((one) => one.vm === vm && one.lastAt >= at));
    if (news.length === 0 && fence.answeredAt !== undefined) return state;
    return {
      ...state,
      fence: {
        ...fence,
        answeredAt: fence.answeredAt ?? at,
        ...(news.length === 0 ? {} : { vms: counted(before, news, at) }),
      },
    };
  });
  return changed?.fence;
}

function counted(before: readonly FencedVm[], vms: readonly string[], at: string): FencedVm[] {
  const known = new Map(before.map((one) => [one.vm, one]));
  for (const vm of vms) known.set(vm, { vm, times: (known.get(vm)?.times ?? 0) + 1, lastAt: at });
  return [...known.values()];
}
