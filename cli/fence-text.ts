import { type FenceStanding } from '../plan/fence';
import { type FenceOrder } from '../plan/fence-order';

/** The order to keep a plan's VMs off at home, and what came of it, in a line; VMs whose power was taken in a line each. */
export function fenceText(fence: FenceOrder, standing: FenceStanding): string {
  const vms = fence.vms ?? [];
  return (
    `fence: ${standingText(fence, standing)}\n` +
    vms
      .map(
        ({ vm, times, lastAt }) =>
          `  ${vm} powered off at the primary site at ${lastAt}${times === 1 ? '' : `, ${times} times in all`}\n`,
      )
      .join('')
  );
}

function standingText({ order, since, answeredAt }: FenceOrder, standing: FenceStanding): string {
  if (order === 'stopped') return `stopped at ${since}; VMs that are started at the primary site stay on`;
  switch (standing) {
    case 'open':
      return answeredAt === undefined
        ? `ordered at ${since}, waiting for the data centre`
        : `the VMs are kept off at the primary site; it answered at ${answeredAt}`;
    case 'paused':
      return 'paused while the plan is brought home, or until that is committed';
    case 'over':
      return 'over';
  }
}
