import { type S3Client } from '@aws-sdk/client-s3';
import { isThrottlingError } from '@smithy/core/retry';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { type SdkError } from '@smithy/types';
import { requestTally } from '../../../blocks/limits/request-tally';
import { withCallSpan } from '../../../host/traces/call-spans';
import { keepSessionSecret, withoutSecrets } from '../../../host/secrets';
import { hasCode, nameActionOf } from '../../failures';

/** How the clients reach AWS. Credentials come from the SDK's default chain. */
export interface ClientOptions {
  region: string;
  /**
   * Endpoint of every service, where it is not the Region's public one. The SDK heeds AWS_ENDPOINT_URL by itself;
   * this is for whoever has the endpoint from elsewhere.
   */
  endpoint?: string;
  /** For whoever asks as somebody else than the process. */
  credentials?: { accessKeyId: string; secretAccessKey: string };
  /** Tries of a call, by the SDK itself; for callers that no workflow stands behind. */
  maxAttempts?: number;
}

/** Seconds until a connection counts as impossible; across Regions a handshake takes well under one second. */
const CONNECTION_TIMEOUT_SECONDS = 5;
/** Seconds until a control call counts as lost. EC2 and Route 53 answer within a few, RunInstances within twenty. */
const REQUEST_TIMEOUT_SECONDS = 60;

/** What all clients of AWS are made with. */
export function clientSettings({ region, endpoint, credentials, maxAttempts = 1 }: ClientOptions) {
  return {
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
    // One layer retries, and that is Temporal: its retries are seen, and survive the worker. Throttling: see `paced`.
    maxAttempts,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: CONNECTION_TIMEOUT_SECONDS * 1000,
      requestTimeout: REQUEST_TIMEOUT_SECONDS * 1000,
      // A body that stops half-way would hang for ever otherwise: the request's own timeout ends with the headers.
      socketTimeout: REQUEST_TIMEOUT_SECONDS * 1000,
      throwOnRequestTimeout: true,
    }),
  };
}

/** Whether AWS refuses a call as one too many. */
export const isThrottling = (error: unknown): boolean =>
  error instanceof Error && isThrottlingError(error as SdkError);

/** `RunInstances` of the SDK's `RunInstancesCommand`. */
export const actionOf = (commandName: string | undefined): string =>
  (commandName ?? '').replace(/Command$/, '');

/** Services that blocks are moved by: a disk's spans would be thousands. */
const UNSPANNED: ReadonlySet<string> = new Set(['ebs', 's3']);

/** A client whose requests are counted, each try of a call. */
function counted<Client extends { middlewareStack: object }>(client: Client, service: string): Client {
  const stack = client.middlewareStack as S3Client['middlewareStack'];
  stack.add(
    (next, context) => async (input) => {
      const note = (throttled: boolean): void =>
        requestTally.note(service, actionOf(context.commandName), throttled);
      try {
        const action = actionOf(context.commandName);
        const output = await (UNSPANNED.has(service)
          ? next(input)
          : withCallSpan(`${service}.${action}`, { 'rpc.system': 'aws-api' }, () => next(input)));
        note(false);
        return output;
      } catch (error) {
        note(isThrottling(error));
        throw error;
      }
    },
    // Inside of what tries again.
    { step: 'finalizeRequest', priority: 'low', name: 'lifeboatCount' },
  );
  return client;
}

/**
 * A client whose errors carry the IAM action that was asked for, which AWS does not always say, and no secret: what answers in AWS's
 * place, a proxy for one, may quote the request with its signature and session.
 */
export function naming<Client extends { middlewareStack: object; config: object }>(
  client: Client,
  service: string,
): Client {
  // The stacks differ in the types of input and output only, which this middleware passes on untouched.
  counted(client, service);
  const stack = client.middlewareStack as S3Client['middlewareStack'];
  stack.add(
    (next, context) => async (input) => {
      try {
        return await next(input);
      } catch (error) {
        nameActionOf(error, `${service}:${actionOf(context.commandName)}`);
        // Where there are none, nothing was signed that could be quoted, and to look for them again would take as long.
        if (!hasCode(error, 'CredentialsProviderError'))
          await keepCredentials(client.config as S3Client['config']);
        if (error instanceof Error) error.message = withoutSecrets(error.message);
        throw error;
      }
    },
    { step: 'initialize', priority: 'high', name: 'lifeboatNameAction' },
  );
  return client;
}

/** Those of a role are in no variable of the environment. */
async function keepCredentials({ credentials }: S3Client['config']): Promise<void> {
  try {
    const { secretAccessKey, sessionToken } = await credentials();
    keepSessionSecret(secretAccessKey, sessionToken);
  } catch {
    // There are none to keep; the call's own error says so.
  }
}
