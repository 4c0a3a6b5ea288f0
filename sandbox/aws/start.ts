import { join, resolve } from 'node:path';
import { type AddressInfo } from 'node:net';
import * as ebs from '@aws-sdk/client-ebs';
import * as ec2 from '@aws-sdk/client-ec2';
import * as iam from '@aws-sdk/client-iam';
import * as kms from '@aws-sdk/client-kms';
import * as route53 from '@aws-sdk/client-route-53';
import * as s3 from '@aws-sdk/client-s3';
import * as quotas from '@aws-sdk/client-service-quotas';
import * as sns from '@aws-sdk/client-sns';
import * as sts from '@aws-sdk/client-sts';
import { startDnsServer } from '../dns/server';
import { ACCOUNT_ID, forgetDeleted, openAccount } from './account';
import { type AwsEndpointConfig } from './config';
import { readingHandlers } from './ebs/reading';
import { tokenSigner } from './ebs/read-tokens';
import { expireSnapshots, type LastWrites } from './ebs/snapshot-states';
import { writingHandlers } from './ebs/writing';
import { ec2Handlers } from './ec2/handlers';
import { injecting } from './faults/injecting';
import { askedLog } from './iam/asked-log';
import { authorizing, mayAssume } from './iam/authorizing';
import { CALLS } from './iam/calls/calls';
import { iamHandlers } from './iam/handlers';
import { IdentityStore } from './iam/identities';
import { IdentityFile } from './iam/identity-file';
import { journalled, openJournal } from './journal';
import { kmsHandlers } from './kms/handlers';
import { watchInstances } from './ec2/instances/instance-states';
import { limiting } from './limits';
import { startMetadataService } from './metadata/service';
import { requestCounting } from './request-counts';
import { createFixtures, resumeAccount } from './resume';
import { route53Handlers } from './route53/handlers';
import { HealthChecks } from './route53/health-checks';
import { HostedZones, newZone } from './route53/zones';
import { noBootRunner } from './runner/no-boot';
import { qemuRunner } from './runner/qemu';
import { bucketHandlers } from './s3/bucket-handlers';
import { BucketStore } from './s3/buckets';
import { multipartHandlers } from './s3/multipart-handlers';
import { objectHandlers } from './s3/object-handlers';
import { quotaHandlers } from './quotas/handlers';
import { Collection } from './state/collection';
import { snsHandlers } from './sns/handlers';
import { judgingAssumedRoles } from './sts/assuming';
import { stsHandlers } from './sts/handlers';
import { createEndpoint, type EndpointOptions } from './wire/endpoint';
import { describeService } from './wire/service';
import { SignatureVerifier } from './wire/signature/verify';

export interface RunningAwsEndpoint {
  /** URL for AWS_ENDPOINT_URL. */
  endpoint: string;
  /** `host:port` of the DNS server. */
  dns: string;
  /** Ends the endpoint; machines run on, and a later start finds them again. */
  close(): Promise<void>;
}

/** Seconds between looks at timeouts. */
const HOUSEKEEPING = 5;

/** Starts the AWS-compatible endpoint on the state in its directory. Port 0 chooses a free one. */
export async function startAwsEndpoint(
  settings: AwsEndpointConfig,
  options: Pick<EndpointOptions, 'intercept'> = {},
): Promise<RunningAwsEndpoint> {
  // Machines outlive this process and its working directory.
  const config = { ...settings, directory: resolve(settings.directory) };
  const log = (message: string, error: unknown): void => console.error(`aws: ${message}:`, error);
  const runner = config.runner === 'qemu' ? qemuRunner(config, log) : noBootRunner(config);
  const account = openAccount(config, runner, log);
  const lastWrites: LastWrites = new Map();
  createFixtures(account, config.fixtures);
  const buckets = new BucketStore(join(config.directory, 's3'), config.etags);
  for (const name of config.fixtures.buckets) if (!buckets.has(name)) buckets.create(name);
  const hosted = new HostedZones(
    new Collection(join(config.directory, 'route53')),
    account.background,
    account.times.dnsPropagation,
  );
  for (const { id, name } of config.fixtures.hostedZones)
    if (!hosted.zones.has(id)) hosted.zones.put(newZone(id, name, `fixture ${id}`));
  await resumeAccount(account, lastWrites);

  const identityFile = new IdentityFile(config.directory, log);
  const identities = new IdentityStore(
    ACCOUNT_ID,
    config,
    () => identityFile.current(),
    new Collection(join(config.directory, 'sessions')),
  );
  const journal = openJournal(config.directory);
  const counting = requestCounting(config.directory, log);
  const judgePolicies = authorizing(
    { account, buckets },
    config.recordAsked === true ? askedLog(config.directory) : undefined,
  );
  const judgeAssumedRoles = judgingAssumedRoles(identities, mayAssume);
  // Only their schemas and settings are read; these clients never send anything.
  const client = { region: config.region, credentials: { accessKeyId: '-', secretAccessKey: '-' } };
  const server = createEndpoint({
    intercept: [
      counting.intercept,
      options.intercept,
      injecting(config.directory, log),
      limiting(config.limits, config.latencyMs),
    ].reduce(nested),
    signatures: new SignatureVerifier({ find: identities.find, region: config.region }),
    onUnverified: ({ service, accessKeyId, error }) => journal.unverified(service, accessKeyId, error),
    isJudged: (service, operation) => CALLS[service]?.[operation] !== undefined,
    authorize: journalled(journal, (call) => {
      judgePolicies(call);
      judgeAssumedRoles(call);
    }),
    log,
    services: [
      { service: describeService({ ...ec2 }, new ec2.EC2Client(client)), handlers: ec2Handlers(account) },
      {
        service: describeService({ ...ebs }, new ebs.EBSClient(client)),
        handlers: {
          ...writingHandlers(account, lastWrites),
          ...readingHandlers(account, tokenSigner(config.secretAccessKey)),
        },
      },
      {
        service: describeService({ ...s3 }, new s3.S3Client(client)),
        handlers: {
          ...bucketHandlers(buckets, config.region),
          ...objectHandlers(buckets),
          ...multipartHandlers(buckets),
        },
      },
      {
        service: describeService({ ...route53 }, new route53.Route53Client(client)),
        handlers: route53Handlers(
          hosted,
          new HealthChecks(new Collection(join(config.directory, 'route53-health-checks'))),
        ),
      },
      { service: describeService({ ...iam }, new iam.IAMClient(client)), handlers: iamHandlers(account) },
      { service: describeService({ ...kms }, new kms.KMSClient(client)), handlers: kmsHandlers(account) },
      {
        service: describeService({ ...quotas }, new quotas.ServiceQuotasClient(client)),
        handlers: quotaHandlers(account),
      },
      { service: describeService({ ...sns }, new sns.SNSClient(client)), handlers: snsHandlers(account) },
      {
        service: describeService({ ...sts }, new sts.STSClient(client)),
        handlers: stsHandlers(identities, account.times.session),
      },
    ],
  });
  const dns = await startDnsServer(config.dns, () => hosted.served(), log);
  await new Promise<void>((listening, reject) => {
    server.once('error', reject);
    server.listen(config.listen.port, config.listen.host, listening);
  });
  const { port } = server.address() as AddressInfo;
  // After the port is had: a second endpoint, started by mistake, must not take the sockets of the first.
  const metadata =
    (config.metadata ?? config.runner === 'qemu') ? await startMetadataService(account) : undefined;

  const repeat = (seconds: number, what: string, work: () => Promise<void> | void): NodeJS.Timeout =>
    setInterval(() => {
      // A look that takes longer than the interval is not begun twice.
      if (!account.background.isRunning(what)) void account.background.run(what, async () => work());
    }, seconds * 1000);
  const timers = [
    repeat(account.times.watch, 'watching machines', () => watchInstances(account)),
    repeat(HOUSEKEEPING, 'housekeeping', () => {
      expireSnapshots(account, lastWrites);
      forgetDeleted(account);
      identities.forget(Date.now() - account.times.remember * 1000);
    }),
  ];

  return {
    endpoint: `http://${config.listen.host}:${port}`,
    dns: `${dns.host}:${dns.port}`,
    async close() {
      timers.forEach(clearInterval);
      const closed = new Promise<void>((ended) => server.close(() => ended()));
      server.closeAllConnections();
      await closed;
      counting.close();
      journal.close();
      await dns.close();
      await metadata?.close();
      await account.background.close();
      await runner.close();
      await account.layers.close();
    },
  };
}

type Intercept = EndpointOptions['intercept'];

/** Two interceptions as one, the first outside the second. */
function nested(outer: Intercept, inner: Intercept): Intercept {
  if (outer === undefined || inner === undefined) return outer ?? inner;
  return (call, handle) => outer(call, () => inner(call, handle));
}
