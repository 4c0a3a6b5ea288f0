import {
  Client,
  type ClientInterceptors,
  Connection,
  isGrpcServiceError,
  ServiceError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { dataConverterFor } from '../wire/data-converter';
import { temporalSettings } from '../wire/temporal-settings';
import { whyUnreachable } from '../wire/why-unreachable';
import { CannotConnectError } from './errors';
import { whoAmI } from './who-am-i';

/** Seconds until a server that does not answer counts as unreachable: a person waits at the terminal. */
const CONNECT_TIMEOUT_SECONDS = 5;

export interface ConnectOptions {
  /** Namespace, where it is not the one of the environment (TEMPORAL_NAMESPACE, or Temporal's configuration file). */
  namespace?: string;
  /** Heed the environment only, and not Temporal's configuration file of this user. */
  ignoreConfigurationFile?: boolean;
  /** Of all calls, such as those of traces. */
  interceptors?: ClientInterceptors;
  /** Seconds until a server that does not answer counts as unreachable, instead of the usual ones. */
  connectSeconds?: number;
}

/**
 * Connects as Temporal's own tools do: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_… and
 * the profile of Temporal's configuration file. Payloads are encrypted where LIFEBOAT_CODEC_KEYS names a file of keys.
 * @throws CannotConnectError
 * @throws WireError where a setting, a certificate or the file of keys is wrong
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const settings = temporalSettings({ ignoreConfigurationFile: options.ignoreConfigurationFile });
  const namespace = options.namespace ?? settings.namespace;
  const dataConverter = dataConverterFor(namespace);
  try {
    const connection = await Connection.connect({
      ...settings.connectionOptions,
      connectTimeout: (options.connectSeconds ?? CONNECT_TIMEOUT_SECONDS) * 1000,
    });
    // What the server keeps with each start, update and cancel. It is a name that we give ourselves; nobody checks it.
    const identity = `lifeboat ${whoAmI()}`;
    return new Client({
      connection,
      identity,
      namespace,
      dataConverter,
      ...(options.interceptors === undefined ? {} : { interceptors: options.interceptors }),
    });
  } catch (cause) {
    throw new CannotConnectError(await whyUnreachable(settings, cause), { cause });
  }
}

/** gRPC status codes that tell of the way to the server, not of the call: UNAVAILABLE, and its time running out. */
const UNREACHABLE_CODES = new Set([14, 4]);

/** Whether a call failed because the server was not there, so that calling again later makes sense. */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return true;
  const cause = error instanceof ServiceError ? error.cause : error;
  return isGrpcServiceError(cause) && UNREACHABLE_CODES.has(cause.code);
}
