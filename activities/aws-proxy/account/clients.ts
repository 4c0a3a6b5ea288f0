import { EBSClient } from '@aws-sdk/client-ebs';
import { EC2Client } from '@aws-sdk/client-ec2';
import { IAMClient } from '@aws-sdk/client-iam';
import { KMSClient } from '@aws-sdk/client-kms';
import { Route53Client } from '@aws-sdk/client-route-53';
import { S3Client } from '@aws-sdk/client-s3';
import { ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { SNSClient } from '@aws-sdk/client-sns';
import { STSClient } from '@aws-sdk/client-sts';
import { isThrottlingError, StandardRetryStrategy } from '@smithy/core/retry';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { type RetryErrorInfo, type SdkError, type StandardRetryToken } from '@smithy/types';
import { requestTally } from '../../../blocks/limits/request-tally';
import { withCallSpan } from '../../../host/traces/call-spans';
import { keepSessionSecret, withoutSecrets } from '../../../host/secrets';
import { hasCode, nameActionOf } from '../../failures';
import { cancellation } from './cancellation';
import { type BudgetedService, RequestBudgets } from './request-quotas';

/** How the clients reach AWS. Credentials come from the SDK's default chain. */
export interface AwsClientOptions {
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
  /** What this process may ask of EC2 and Route 53; AWS's own quotas unless said so. */
  budgets?: RequestBudgets;
}

export interface AwsClients {
  ec2: EC2Client;
  ebs: EBSClient;
  route53: Route53Client;
  /** One service for all Regions: nothing that a failover needs may depend on it. */
  iam: IAMClient;
  /** What the account may have. Only checks ask it: nothing that a failover needs may depend on it. */
  serviceQuotas: ServiceQuotasClient;
  /** Which keys can be used. Only checks ask it themselves: EBS does all that is done with keys. */
  kms: KMSClient;
}

/** Seconds until a connection counts as impossible; across Regions a handshake takes well under one second. */
const CONNECTION_TIMEOUT_SECONDS = 5;
/** Seconds until a control call counts as lost. EC2 and Route 53 answer within a few, RunInstances within twenty. */
const REQUEST_TIMEOUT_SECONDS = 60;

function settings({ region, endpoint, credentials, maxAttempts = 1 }: AwsClientOptions) {
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

/** The SDK's retries of anything but throttling, which is the budgets'. */
class RetryUnlessThrottled extends StandardRetryStrategy {
  override refreshRetryTokenForRetry(
    token: StandardRetryToken,
    error: RetryErrorInfo,
  ): Promise<StandardRetryToken> {
    if (error.errorType === 'THROTTLING') throw new Error('The budget has it made again.');
    return super.refreshRetryTokenForRetry(token, error);
  }
}

const isThrottling = (error: unknown): boolean =>
  error instanceof Error && isThrottlingError(error as SdkError);

/**
 * A client whose calls wait for their turn, all that the process makes, and are made again where AWS refuses them all the same.
 * The wait is over when the activity is cancelled.
 *
 * An activity makes many calls, all of which share the account's buckets with everything else in the account: begun anew at
 * every refusal, it would ask for more than before, and get nowhere. Any other error is the activity's, and Temporal's
 * to try again.
 */
function paced<Client extends { middlewareStack: object }>(
  client: Client,
  service: BudgetedService,
  budgets: RequestBudgets,
): Client {
  const stack = client.middlewareStack as S3Client['middlewareStack'];
  stack.add(
    (next, context) => (args) =>
      budgets
        .of(service, actionOf(context.commandName), args.input)
        .run(() => next(args), isThrottling, cancellation()),
    // Before the request is made and signed: a signature is good for some minutes only.
    { step: 'initialize', priority: 'low', name: 'lifeboatPace' },
  );
  return client;
}

/** `RunInstances` of the SDK's `RunInstancesCommand`. */
const actionOf = (commandName: string | undefined): string => (commandName ?? '').replace(/Command$/, '');

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
function naming<Client extends { middlewareStack: object; config: object }>(
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

/** The control-plane clients of the recovery site; to be made once in a process, as they share what it may ask. */
export function awsClients(options: AwsClientOptions): AwsClients {
  const { maxAttempts = 1, budgets = new RequestBudgets() } = options;
  const pacedSettings = { ...settings(options), retryStrategy: new RetryUnlessThrottled(maxAttempts) };
  return {
    ec2: naming(paced(new EC2Client(pacedSettings), 'ec2', budgets), 'ec2'),
    ebs: naming(new EBSClient(settings(options)), 'ebs'),
    route53: naming(paced(new Route53Client(pacedSettings), 'route53', budgets), 'route53'),
    iam: naming(new IAMClient(settings(options)), 'iam'),
    serviceQuotas: naming(new ServiceQuotasClient(settings(options)), 'servicequotas'),
    kms: naming(new KMSClient(settings(options)), 'kms'),
  };
}

/** A client of keys, of the Region that they are in. */
export const kmsClient = (options: AwsClientOptions): KMSClient =>
  naming(new KMSClient(settings(options)), 'kms');

/** A client of topics, of the Region that they are in. */
export const snsClient = (options: AwsClientOptions): SNSClient =>
  naming(new SNSClient(settings(options)), 'sns');

/** A client that asks whom AWS takes us for. */
export const stsClient = (options: AwsClientOptions): STSClient =>
  naming(new STSClient(settings(options)), 'sts');

/**
 * A client of the backup repository. An endpoint of its own (a VPC's interface endpoint, the sandbox) is asked in
 * path style, because names of buckets are no hosts there.
 */
export function s3Client(options: AwsClientOptions): S3Client {
  return naming(new S3Client({ ...settings(options), forcePathStyle: options.endpoint !== undefined }), 's3');
}
