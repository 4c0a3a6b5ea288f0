import { Context } from '@temporalio/activity';

/** Seconds between beats; a fraction of the shortest heartbeat timeout that activities run under. */
const BEAT_SECONDS = 5;

/** Heartbeat details of an activity that has launched something: what each call gave, such as an id. */
interface LaunchHeartbeat {
  launched: Record<string, string>;
}

/** By activity. What earlier tries have launched is among it. */
const launches = new WeakMap<Context, Map<string, string>>();

/** Beats while the work lasts, so that a host that dies is noticed and a cancellation arrives. */
export async function whileBeating<T>(work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  beat(context);
  const timer = setInterval(() => beat(context), BEAT_SECONDS * 1000);
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

/**
 * Makes a call that launches something, once for all tries of the activity: a later one gets what the call gave, and goes
 * on from there instead of spending another of the account's few requests.
 *
 * The heartbeats carry it. The SDK thins them out, but sends the last one of an activity that fails; what a worker that
 * is killed had not sent yet is lost with it. So the call itself has to be harmless to repeat: by its client token, or
 * because AWS refuses it then.
 * Not for activities whose heartbeats tell something else, as a copy's do.
 * @param call name of the API operation, and of what it is about where the activity makes it several times
 * @param launch gives what is needed to go on
 */
export async function launchOnce(call: string, launch: () => Promise<string>): Promise<string> {
  const context = Context.current();
  const before = launchesOf(context).get(call);
  if (before !== undefined) return before;
  const launched = await launch();
  launchesOf(context).set(call, launched);
  beat(context);
  return launched;
}

/** Each beat has all of the details: the server keeps those of the last one only, over the tries as well. */
function beat(context: Context): void {
  const launched = launchesOf(context);
  const details: LaunchHeartbeat | undefined =
    launched.size === 0 ? undefined : { launched: Object.fromEntries(launched) };
  context.heartbeat(details);
}

function launchesOf(context: Context): Map<string, string> {
  let launched = launches.get(context);
  if (launched === undefined) {
    launched = new Map(readLaunched(context.info.heartbeatDetails));
    launches.set(context, launched);
  }
  return launched;
}

/** What a worker of another release wrote may be anything; the client tokens stand behind it. */
function readLaunched(details: unknown): [call: string, launched: string][] {
  const { launched } = (details ?? {}) as Partial<Record<keyof LaunchHeartbeat, unknown>>;
  if (typeof launched !== 'object' || launched === null) return [];
  return Object.entries(launched).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
}
