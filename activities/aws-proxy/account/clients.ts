import { EBSClient } from '@aws-sdk/client-ebs';
import { EC2Client } from '@aws-sdk/client-ec2';
import { IAMClient } from '@aws-sdk/client-iam';
import { KMSClient } from '@aws-sdk/client-kms';
import { Route53Client } from '@aws-sdk/client-route-53';
import { type S3Client } from '@aws-sdk/client-s3';
import { ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { StandardRetryStrategy } from '@smithy/core/retry';
import { type RetryErrorInfo, type StandardRetryToken } from '@smithy/types';
import { cancellation } from './cancellation';
import { actionOf, type ClientOptions, clientSettings, isThrottling, naming } from './client';
import { type BudgetedService, RequestBudgets } from './request-quotas';

/** How the clients reach AWS, and what they may ask of it. */
export interface AwsClientOptions extends ClientOptions {
  /** What this process may ask of EC2, Route 53 and EBS direct; AWS's own quotas unless said so. */
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

/** The control-plane clients of the recovery site; to be made once in a process, as they share what it may ask. */
export function awsClients(options: AwsClientOptions): AwsClients {
  const { maxAttempts = 1, budgets = new RequestBudgets() } = options;
  const pacedSettings = { ...clientSettings(options), retryStrategy: new RetryUnlessThrottled(maxAttempts) };
  return {
    ec2: naming(paced(new EC2Client(pacedSettings), 'ec2', budgets), 'ec2'),
    ebs: naming(paced(new EBSClient(pacedSettings), 'ebs', budgets), 'ebs'),
    route53: naming(paced(new Route53Client(pacedSettings), 'route53', budgets), 'route53'),
    iam: naming(new IAMClient(clientSettings(options)), 'iam'),
    serviceQuotas: naming(new ServiceQuotasClient(clientSettings(options)), 'servicequotas'),
    kms: naming(new KMSClient(clientSettings(options)), 'kms'),
  };
}
