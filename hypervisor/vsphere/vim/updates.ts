import { isFault } from './faults';
import { getProperties, type PropertiesOf } from './properties';
import { type ManagedObject } from './schema';
import { type Session, type Sessions } from './session';

/** Seconds that the server holds a question for updates back, while there are none. */
const HELD_SECONDS = 30;
/** Seconds beyond that until the answer counts as lost. */
const MARGIN_SECONDS = 60;

export interface Watch {
  /** End of the wait, as `Date.now()` tells time; none where it is left out. */
  until?: number;
  signal?: AbortSignal;
}

/**
 * Asks for properties of an object, and again after every change of them, until `seen` makes something of them.
 * By a collector of its own, so that many may wait in one session. Where the session ends meanwhile, the watch goes on in a new
 * one.
 * @returns undefined where the time is over
 */
export async function watch<T extends string, P extends string, R>(
  sessions: Sessions,
  object: ManagedObject<T>,
  paths: readonly P[],
  seen: (properties: PropertiesOf<T, P>) => R | undefined,
  { until, signal }: Watch = {},
): Promise<R | undefined> {
  for (;;) {
    // Each round has to have heard of the server: a session that ends at once is not opened again and again.
    let heard = false;
    try {
      return await sessions.within((session) =>
        watchInSession(session, object, paths, seen, { until, signal, heard: () => void (heard = true) }),
      );
    } catch (error) {
      if (!(heard && isFault(error, 'NotAuthenticated'))) throw error;
    }
  }
}

async function watchInSession<T extends string, P extends string, R>(
  session: Session,
  object: ManagedObject<T>,
  paths: readonly P[],
  seen: (properties: PropertiesOf<T, P>) => R | undefined,
  { until = Infinity, signal, heard }: Watch & { heard: () => void },
): Promise<R | undefined> {
  signal?.throwIfAborted();
  const collector = await session.call('CreatePropertyCollector', session.content.propertyCollector);
  try {
    await session.call('CreateFilter', collector, {
      spec: { propSet: [{ type: object.$ref, pathSet: [...paths] }], objectSet: [{ obj: object }] },
      partialUpdates: false,
    });
    let version = '';
    for (;;) {
      const left = Math.ceil((until - Date.now()) / 1000);
      const held = Math.max(0, Math.min(HELD_SECONDS, left));
      const update = await session.call(
        'WaitForUpdatesEx',
        collector,
        { version, options: { maxWaitSeconds: held } },
        { timeoutSeconds: held + MARGIN_SECONDS, signal },
      );
      heard();
      if (update !== undefined) {
        version = update.version;
        // Updates tell what changed, and of lists only parts; what it has become is asked for.
        const found = seen(await getProperties(session, object, paths));
        if (found !== undefined) return found;
      }
      if (left <= 0) return undefined;
    }
  } finally {
    // It would end with the session in any case; an error here would hide how the wait ended.
    await session
      .call('DestroyPropertyCollector', collector, {}, { timeoutSeconds: 10 })
      .catch(() => undefined);
  }
}
