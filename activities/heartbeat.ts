import { heartbeat } from '@temporalio/activity';

/** Seconds between beats; a fraction of the shortest heartbeat timeout that activities run under. */
const BEAT_SECONDS = 5;

/** Beats while the work lasts, so that a host that dies is noticed and a cancellation arrives. */
export async function whileBeating<T>(work: () => Promise<T>): Promise<T> {
  heartbeat();
  const timer = setInterval(() => heartbeat(), BEAT_SECONDS * 1000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** Activities that beat by themselves for as long as they run. */
export function beating<Activities extends object>(activities: Activities): Activities {
  const wrapped = Object.entries(activities).map(([name, activity]) => {
    if (typeof activity !== 'function') throw new TypeError(`${name} is no activity.`);
    return [
      name,
      (...input: unknown[]): Promise<unknown> =>
        whileBeating(async () => (await Reflect.apply(activity, activities, input)) as unknown),
    ] as const;
  });
  return Object.fromEntries(wrapped) as Activities;
}
