import { VimTimeoutError } from './errors';
import { type MethodName } from './layout';
import { getProperties, listObjects, type Listed, type PropertiesOf } from './properties';
import { type ManagedObject, type Methods, type ServiceContent } from './schema';
import { type CallArguments, type Credentials, Sessions } from './session';
import { endOfTask, type RunOptions } from './tasks';
import { Transport } from './transport';
import { type Trust } from './trust';
import { watch } from './updates';

export interface VimSettings {
  /** `https://vcenter`, with a port and `/sdk` where wanted. */
  url: string;
  /** Asked for at every login, so that a changed password is taken up. */
  credentials: Credentials;
  trust: Trust;
}

/** Methods that answer with a task. */
export type TaskMethod = {
  [M in MethodName]: Methods[M]['ends'] extends never ? never : M;
}[MethodName];

/** A task's arguments; none where the method needs none. */
export type TaskArguments<M extends TaskMethod> =
  Record<string, never> extends Methods[M]['args']
    ? [args?: Methods[M]['args'], options?: RunOptions]
    : [args: Methods[M]['args'], options?: RunOptions];

/** A client of vCenter's vim25 interface. Logs in when it is first asked something. */
export class VimClient {
  readonly #transport: Transport;
  readonly #sessions: Sessions;

  /** @throws Error for an address or a trust that cannot work */
  constructor(settings: VimSettings) {
    this.#transport = new Transport(settings.url, settings.trust);
    this.#sessions = new Sessions(this.#transport, settings.credentials);
  }

  /** The server's root objects, and what it is. */
  content(): Promise<ServiceContent> {
    return this.#sessions.within((session) => Promise.resolve(session.content));
  }

  /**
   * Calls a method. Where the session has ended, it is called once more in a new one.
   * @throws VimFault
   * @throws VimConnectionError, VimAnswerError: it may have been done all the same
   * @throws VimTrustError, VimRequestError: nothing was sent
   */
  call<M extends MethodName>(
    method: M,
    self: ManagedObject,
    ...rest: CallArguments<M>
  ): Promise<Methods[M]['result']> {
    return this.#sessions.within((session) => session.call(method, self, ...rest));
  }

  /**
   * Calls a method that is a task, and waits for its end.
   * @throws as {@link call} does
   * @throws VimFault also what the task ended with
   * @throws TaskOutcomeUnknownError where that cannot be told
   */
  async run<M extends TaskMethod>(
    method: M,
    self: ManagedObject,
    ...[args, options]: TaskArguments<M>
  ): Promise<Methods[M]['ends']> {
    options?.signal?.throwIfAborted();
    // Not with the signal: once it is sent, what it started has to be known.
    const task = await this.#sessions.within((session) =>
      session.call(method, self, ...([args] as CallArguments<M>)),
    );
    return (await endOfTask(
      this.#sessions,
      method,
      task as ManagedObject<'Task'>,
      options,
    )) as Methods[M]['ends'];
  }

  /**
   * Waits for the end of a task that somebody has begun.
   * @throws as {@link run} does once its task goes on
   */
  async whenEnded(method: string, task: ManagedObject<'Task'>): Promise<void> {
    await endOfTask(this.#sessions, method, task);
  }

  /** Properties of an object by their paths; what is unset is absent. @throws VimFault also where one cannot be read */
  get<T extends string, P extends string>(
    object: ManagedObject<T>,
    ...paths: P[]
  ): Promise<PropertiesOf<T, P>> {
    return this.#sessions.within((session) => getProperties(session, object, paths));
  }

  /** All objects of a type below a container (everything, where it is left out), with so many of their properties. */
  list<T extends string, P extends string>(
    type: T,
    paths: readonly P[],
    container?: ManagedObject,
  ): Promise<Listed<T, P>[]> {
    return this.#sessions.within((session) => listObjects(session, type, paths, container));
  }

  /**
   * Waits until `until` makes something of an object's properties, which it is given first as they are and then after changes.
   * @throws VimTimeoutError when it has not within the time
   */
  async waitFor<T extends string, P extends string, R>(
    object: ManagedObject<T>,
    paths: readonly P[],
    until: (properties: PropertiesOf<T, P>) => R | undefined,
    timeoutSeconds: number,
    signal?: AbortSignal,
  ): Promise<R> {
    const found = await watch(this.#sessions, object, paths, until, {
      until: Date.now() + timeoutSeconds * 1000,
      signal,
    });
    if (found === undefined)
      throw new VimTimeoutError(
        `${object.$ref} ${object.value}: ${paths.join(', ')} did not come to what was waited for within ${timeoutSeconds} s.`,
      );
    return found;
  }

  /**
   * The end of a file on a datastore, as its web access hands it out.
   * @returns undefined where it does not: no such file, no privilege (Datastore.Browse), or one that is locked by a host
   */
  fileEnd(path: string, bytes: number): Promise<Buffer | undefined> {
    return this.#sessions.within((session) => session.fileEnd(path, bytes));
  }

  /** Logs out, and ends all connections. */
  async close(): Promise<void> {
    try {
      await this.#sessions.end();
    } finally {
      await this.#transport.close();
    }
  }
}
