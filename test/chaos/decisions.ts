import { setTimeout as sleep } from 'node:timers/promises';
import { type LifeboatClient } from '../../client/client';
import { NotWaitingError } from '../../client/errors';
import { look } from '../../client/progress';
import { type LifeboatRun } from '../../client/run';
import { updateRun } from '../../client/run-updates';
import { type DrPlan } from '../../plan/schema';
import { type Journey } from './journeys';
import { type SeededRandom } from './random';

/** Share of the plans that want some of what their runs do approved. */
const ASKING_SHARE = 0.4;
/** For how long an administrator holds a run. */
const HELD_MS = 1000;

/** Decides what of a plan people have to approve. What is drawn here comes from a generator of its own, as in licensed-images.ts. */
export function drawDecisions(journey: Journey, random: SeededRandom): Journey {
  if (!random.chance(ASKING_SHARE)) return journey;
  const asks = {
    vms: journey.vms.map(({ name }) => name).filter(() => random.chance(0.5)),
    beforeTiers: [1, ...(journey.vms.some(({ dependsOn }) => dependsOn.length > 0) ? [2] : [])].filter(() =>
      random.chance(0.4),
    ),
    dns: random.chance(0.6),
    cutOver: random.chance(0.5),
  };
  return { ...journey, asks };
}

/** Writes it into the plan. */
export function askInPlan(plan: DrPlan, { asks }: Journey): void {
  if (asks === undefined) return;
  for (const vm of plan.vms) if (asks.vms.includes(vm.name)) vm.approval = true;
  if (asks.dns && plan.dns !== undefined) plan.dns.approval = true;
  plan.approval = {
    cutOver: asks.cutOver,
    ...(asks.beforeTiers.length === 0 ? {} : { beforeTiers: asks.beforeTiers }),
  };
}

/** Approves what waits for that, as an administrator who looks now and then; holds the run for a moment before, where it lets that. */
export async function decideWhereAwaited(client: LifeboatClient, run: LifeboatRun): Promise<void> {
  const { snapshot } = await look(client.temporal, run);
  const { awaited = [], paused } = snapshot.status ?? {};
  const who = { by: 'chaos', why: 'it was drawn' };
  const send = async (name: string, more: object = {}): Promise<void> => {
    try {
      await updateRun(client.temporal, run, name, { ...who, ...more });
    } catch (error) {
      // It has ended, or goes on, since it was looked at; or it cannot be held there.
      if (!(error instanceof NotWaitingError)) throw error;
    }
  };
  // One whose answer was lost, before.
  if (paused !== undefined) return send('resume');
  if (awaited.length === 0) return;
  await send('pause');
  for (const { answer } of awaited) await send('approve', answer);
  await sleep(HELD_MS);
  await send('resume');
}
