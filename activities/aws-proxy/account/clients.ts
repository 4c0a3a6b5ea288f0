import { EBSClient } from '@aws-sdk/client-ebs';
import { EC2Client } from '@aws-sdk/client-ec2';
import { Route53Client } from '@aws-sdk/client-route-53';
import { S3Client } from '@aws-sdk/client-s3';
import { isThrottlingError } from '@smithy/core/retry';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { type SdkError } from '@smithy/types';
import { type Backoff, withBackoff } from '../../../blocks/backoff';
import { nameActionOf } from '../../failures';

/** How the clients reach AWS. Credentials come from the SDK's default chain. */
export interface AwsClientOptions {
  region: string;
  /**
   * Endpoint of every service, where it is not the Region's public one. The SDK heeds AWS_ENDPOINT_URL by itself;
   * this is for whoever has the endpoint from elsewhere.
   */
  endpoint?: string;
  /** Tries of a call, by the SDK itself; for callers that no workflow stands behind. */
  maxAttempts?: number;
}

export interface AwsClients {
  ec2: EC2Client;
  ebs: EBSClient;
  route53: Route53Client;
}

/** Seconds until a connection counts as impossible; across Regions a handshake takes well under one second. */
const CONNECTION_TIMEOUT_SECONDS = 5;
/** Seconds until a control call counts as lost. EC2 and Route 53 answer within a few, RunInstances within twenty. */
const REQUEST_TIMEOUT_SECONDS = 60;

function settings({ region, endpoint, maxAttempts = 1 }: AwsClientOptions) {
  return {
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    // One layer retries, and that is Temporal: its retries are seen, and survive the worker. Throttling: see below.
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

/**
 * Of a call that was refused because calls come too fast, some 12 s at most. An activity makes many calls, all of which
 * share the account's buckets with everything else in the account: begun anew at every refusal, it would ask for more than
 * before, and get nowhere. Any other error is the activity's, and Temporal's to try again.
 */
const THROTTLED: Backoff = { attempts: 9, baseMs: 250, capMs: 4000 };
const never = new AbortController().signal;

/** A client that waits out throttling, and nothing else. */
function patient<Client extends { middlewareStack: object }>(client: Client): Client {
  const stack = client.middlewareStack as S3Client['middlewareStack'];
  stack.add(
    (next) => (input) =>
      withBackoff(
        THROTTLED,
        never,
        (error) => error instanceof Error && isThrottlingError(error as SdkError),
        () => next(input),
      ),
    { step: 'finalizeRequest', priority: 'high', name: 'lifeboatWaitOutThrottling' },
  );
  return client;
}

/** A client whose errors carry the IAM action that was asked for, which AWS does not always say. */
function naming<Client extends { middlewareStack: object }>(client: Client, service: string): Client {
  // The stacks differ in the types of input and output only, which this middleware passes on untouched.
  const stack = client.middlewareStack as S3Client['middlewareStack'];
  stack.add(
    (next, context) => async (input) => {
      try {
        return await next(input);
      } catch (error) {
        nameActionOf(error, `${service}:${(context.commandName ?? '').replace(/Command$/, '')}`);
        throw error;
      }
    },
    { step: 'initialize', priority: 'high', name: 'lifeboatNameAction' },
  );
  return client;
}

/** The control-plane clients of the recovery site. */
export function awsClients(options: AwsClientOptions): AwsClients {
  return {
    ec2: naming(patient(new EC2Client(settings(options))), 'ec2'),
    ebs: naming(new EBSClient(settings(options)), 'ebs'),
    route53: naming(patient(new Route53Client(settings(options))), 'route53'),
  };
}

/**
 * A client of the backup repository. An endpoint of its own (a VPC's interface endpoint, the sandbox) is asked in
 * path style, because names of buckets are no hosts there.
 */
export function s3Client(options: AwsClientOptions): S3Client {
  return naming(new S3Client({ ...settings(options), forcePathStyle: options.endpoint !== undefined }), 's3');
}
