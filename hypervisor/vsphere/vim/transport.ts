import { Agent, request } from 'undici';
import { VimAnswerError, VimConnectionError } from './errors';
import { type Trust, trustingConnector, VimTrustError } from './trust';

/** The version of vim25 that is spoken; the schema has no field that came later. vCenter 7.0 and all later ones know it. */
const SOAP_ACTION = '"urn:vim25/7.0.0.0"';
/**
 * Bytes of an answer. A page of a hundred VMs with their devices is about 2 MB; a second of this process goes into reading
 * some 10 MB.
 */
const LONGEST_ANSWER = 32 * 1024 * 1024;

export interface PostOptions {
  cookie?: string;
  /** Until the answer begins, and between two pieces of it. */
  timeoutSeconds: number;
  signal?: AbortSignal;
}

export interface Answer {
  status: number;
  text: string;
  /** The session's cookie, where the answer sets one. */
  cookie?: string;
}

/** Requests to one server's SOAP endpoint. */
export class Transport {
  readonly #url: URL;
  readonly #agent: Agent;

  /** @throws Error for an address or a trust that cannot work */
  constructor(url: string, trust: Trust) {
    this.#url = soapUrl(url);
    this.#agent = new Agent({ connect: trustingConnector(trust) });
  }

  get host(): string {
    return this.#url.host;
  }

  /**
   * @throws VimTrustError where the server is another one
   * @throws VimConnectionError where no whole answer came
   * @throws VimAnswerError where it is too long
   */
  async post(body: string, { cookie, timeoutSeconds, signal }: PostOptions): Promise<Answer> {
    try {
      const response = await request(this.#url, {
        method: 'POST',
        body,
        dispatcher: this.#agent,
        headersTimeout: timeoutSeconds * 1000,
        bodyTimeout: timeoutSeconds * 1000,
        signal,
        headers: {
          'content-type': 'text/xml; charset=utf-8',
          soapaction: SOAP_ACTION,
          ...(cookie === undefined ? {} : { cookie }),
        },
      });
      const chunks: Buffer[] = [];
      let length = 0;
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        length += chunk.length;
        if (length > LONGEST_ANSWER)
          throw new VimAnswerError(`${this.host} sent an answer of more than ${LONGEST_ANSWER} bytes.`);
        chunks.push(chunk);
      }
      return {
        status: response.statusCode,
        text: Buffer.concat(chunks).toString('utf8'),
        cookie: sessionCookie(response.headers['set-cookie']),
      };
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      if (error instanceof VimAnswerError || error instanceof VimTrustError) throw error;
      throw connectionError(this.host, error as Error & { code?: string });
    }
  }

  /**
   * The end of a file that the server hands out beside its SOAP endpoint.
   * @param path with its query
   * @returns undefined where the server does not hand it out
   * @throws as {@link post} does
   */
  async fileEnd(
    path: string,
    bytes: number,
    { cookie, timeoutSeconds }: PostOptions,
  ): Promise<Buffer | undefined> {
    try {
      const response = await request(new URL(path, this.#url), {
        dispatcher: this.#agent,
        headersTimeout: timeoutSeconds * 1000,
        bodyTimeout: timeoutSeconds * 1000,
        headers: { range: `bytes=-${bytes}`, ...(cookie === undefined ? {} : { cookie }) },
      });
      if (response.statusCode !== 200 && response.statusCode !== 206) {
        await response.body.dump();
        return undefined;
      }
      // A server that knows no ranges sends all of it.
      let end = Buffer.alloc(0);
      for await (const chunk of response.body as AsyncIterable<Buffer>)
        end = Buffer.concat([end, chunk]).subarray(-bytes);
      return end;
    } catch (error) {
      if (error instanceof VimTrustError) throw error;
      throw connectionError(this.host, error as Error & { code?: string });
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

function soapUrl(text: string): URL {
  const url = new URL(text);
  if (url.protocol !== 'https:')
    throw new Error(`vCenter is reached by https: only, not by "${url.protocol}".`);
  if (url.username !== '' || url.password !== '')
    throw new Error("vCenter's address has no user and password in it; they come from a file.");
  if (url.pathname === '/' || url.pathname === '') url.pathname = '/sdk';
  return url;
}

function sessionCookie(header: string | string[] | undefined): string | undefined {
  const all = header === undefined ? [] : [header].flat();
  return all.map((one) => one.split(';')[0] ?? '').find((one) => one.startsWith('vmware_soap_session='));
}

/** Codes of Node's for a chain or a name that is not right. */
const UNTRUSTED = /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|HOSTNAME_MISMATCH)/;

function connectionError(host: string, error: Error & { code?: string }): Error {
  if (error.code !== undefined && UNTRUSTED.test(error.code))
    return new VimTrustError(
      `${host} has a certificate that is not trusted: ${error.message} (${error.code}). Set vCenter's CA certificate, or its thumbprint.`,
    );
  return new VimConnectionError(
    `${host} gave no answer: ${error.message}${error.code ? ` (${error.code})` : ''}`,
    {
      cause: error,
    },
  );
}
