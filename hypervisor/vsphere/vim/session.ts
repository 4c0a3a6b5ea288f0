import { keepSecret, keepSessionSecret } from '../../../host/secrets';
import { readAnswer, requestEnvelope } from './envelope';
import { VimConnectionError } from './errors';
import { isFault, type VimFault } from './faults';
import { managed } from './codec';
import { type MethodName } from './layout';
import { type ManagedObject, type Methods, type ServiceContent } from './schema';
import { type Transport } from './transport';

/** Seconds until an answer begins. vCenter's slowest calls that are no tasks (changed areas of a large disk) take minutes. */
const ANSWER_TIMEOUT_SECONDS = 300;
/** Seconds until the content of a file begins. */
const FILE_TIMEOUT_SECONDS = 30;
/**
 * Seconds for which a name and password that were refused are not tried again. By default, vCenter locks an account for five
 * minutes after five refusals within three minutes.
 */
const REFUSED_FOR_SECONDS = 60;

export type Credentials = () => Promise<{ user: string; password: string }>;

export interface CallOptions {
  timeoutSeconds?: number;
  signal?: AbortSignal;
}

type Args<M extends MethodName> = Methods[M]['args'];
/** A call's arguments; none where the method needs none. */
export type CallArguments<M extends MethodName> =
  Record<string, never> extends Args<M>
    ? [args?: Args<M>, options?: CallOptions]
    : [args: Args<M>, options?: CallOptions];

/** One login. What is made in it (views, collectors) lives as long as it does. */
export interface Session {
  readonly content: ServiceContent;
  call<M extends MethodName>(
    method: M,
    self: ManagedObject,
    ...rest: CallArguments<M>
  ): Promise<Methods[M]['result']>;
  /** The end of a file that the server hands out; undefined where it does not. */
  fileEnd(path: string, bytes: number): Promise<Buffer | undefined>;
}

/** Logs in where needed, once for all who ask at a time. */
export class Sessions {
  readonly #transport: Transport;
  readonly #credentials: Credentials;
  #current: Promise<Session> | undefined;
  #refused: { user: string; password: string; at: number; fault: VimFault } | undefined;

  constructor(transport: Transport, credentials: Credentials) {
    this.#transport = transport;
    this.#credentials = credentials;
  }

  /**
   * Does something in a session that can be done again as a whole: where the session turns out to have ended, once more in a
   * new one. A call that was refused for want of a session has done nothing.
   */
  async within<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const current = this.#open();
    try {
      return await work(await current);
    } catch (error) {
      if (!isFault(error, 'NotAuthenticated')) throw error;
      if (this.#current === current) this.#current = undefined;
      return work(await this.#open());
    }
  }

  /** Logs out, where anybody was logged in. */
  async end(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    const session = await current?.catch(() => undefined);
    if (session === undefined) return;
    try {
      await session.call(
        'Logout',
        session.content.sessionManager as ManagedObject,
        {},
        { timeoutSeconds: 10 },
      );
    } catch (error) {
      // It has ended already, or cannot be reached: vCenter ends it by itself after half an hour without a call.
      if (!isFault(error, 'NotAuthenticated') && !(error instanceof VimConnectionError)) throw error;
    }
  }

  #open(): Promise<Session> {
    if (this.#current === undefined) {
      const opening = this.#logIn();
      this.#current = opening;
      opening.catch(() => {
        if (this.#current === opening) this.#current = undefined;
      });
    }
    return this.#current;
  }

  async #logIn(): Promise<Session> {
    const { user, password } = await this.#credentials();
    keepSecret(password);
    const refused = this.#refused;
    if (refused?.user === user && refused.password === password) {
      if (Date.now() - refused.at < REFUSED_FOR_SECONDS * 1000) throw refused.fault;
      this.#refused = undefined;
    }
    let cookie: string | undefined;
    const call: Session['call'] = async (method, self, ...[args, options]) => {
      const answer = await this.#transport.post(requestEnvelope(method, self, args ?? {}), {
        cookie,
        timeoutSeconds: options?.timeoutSeconds ?? ANSWER_TIMEOUT_SECONDS,
        signal: options?.signal,
      });
      if (answer.cookie !== undefined) {
        cookie = answer.cookie;
        // `vmware_soap_session="…"`; the value is all that it takes to be this session.
        keepSessionSecret(cookie.slice(cookie.indexOf('=') + 1).replaceAll('"', ''));
      }
      return readAnswer(method, answer.status, answer.text) as never;
    };
    const content = await call('RetrieveServiceContent', managed('ServiceInstance', 'ServiceInstance'));
    try {
      await call('Login', content.sessionManager as ManagedObject, { userName: user, password });
    } catch (error) {
      if (isFault(error, 'InvalidLogin')) this.#refused = { user, password, at: Date.now(), fault: error };
      throw error;
    }
    const fileEnd: Session['fileEnd'] = (path, bytes) =>
      this.#transport.fileEnd(path, bytes, { cookie, timeoutSeconds: FILE_TIMEOUT_SECONDS });
    return { content, call, fileEnd };
  }
}
