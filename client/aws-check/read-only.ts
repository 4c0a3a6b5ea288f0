import { DescribeKeyCommand } from '@aws-sdk/client-kms';
import { GetHostedZoneCommand, ListHostedZonesByNameCommand } from '@aws-sdk/client-route-53';
import { HeadBucketCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { GetServiceQuotaCommand } from '@aws-sdk/client-service-quotas';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { inspectDns } from '../../activities/aws-proxy/dns/inspect';
import { findTypes } from '../../activities/aws-proxy/readiness/instance-types';
import { regionFindings } from '../../activities/aws-proxy/readiness/preflight';
import { STANDARD_VCPUS } from '../../activities/aws-proxy/readiness/vcpu-quota';
import { vcpuFindings } from '../../activities/aws-proxy/readiness/vcpu-quotas';
import { hasCode } from '../../activities/failures';
import { type TriedPlace } from './place';
import { type Questions, texts } from './questions';
import { askEbs, askEc2, askNetwork } from './read-only-ec2';
import { type CheckedSite } from './site';

/** What the questions without a trace have found for those that follow. */
export interface LookedAt {
  /** Whether anybody answers to these credentials. */
  identified: boolean;
  /** Whether the bucket is there, so that objects can be tried in it. */
  bucket: boolean;
  /** undefined where no subnet is known */
  place: TriedPlace | undefined;
}

/** Asks all that can be asked without changing anything. */
export async function lookAround(
  questions: Questions,
  site: CheckedSite,
  { hostedZone, withTestResources = false }: { hostedZone?: string; withTestResources?: boolean },
): Promise<LookedAt> {
  const identified = await askIdentity(questions, site);
  if (!identified) return { identified, bucket: false, place: undefined };
  askRegion(questions, site);
  const bucket = await askBucket(questions, site);
  const place = await askNetwork(questions, site);
  await askEc2(questions, site, place);
  await askEbs(questions, site);
  await askDns(questions, site, hostedZone);
  await askKey(questions, site);
  await askQuotas(questions, site);
  if (!withTestResources) tellUntried(questions);
  return { identified, bucket, place };
}

/** What no look shows. */
function tellUntried(questions: Questions): void {
  for (const question of [
    { id: 's3.conditional', about: 'the bucket takes conditional writes', action: 's3:PutObject' },
    {
      id: 'ebs.write',
      about: 'EBS direct takes blocks, and gives them back',
      action: 'ebs:PutSnapshotBlock',
    },
    { id: 'ec2.may-launch', about: 'an image may be registered and launched', action: 'ec2:RunInstances' },
  ])
    questions.tell(question, 'not asked', 'Only a try shows it: --with-test-resources.');
}

async function askIdentity(questions: Questions, { clients }: CheckedSite): Promise<boolean> {
  await questions.find(
    { id: 'sts.identity', about: 'the credentials are somebody’s', action: 'sts:GetCallerIdentity' },
    async () => {
      const { Arn } = await clients.sts.send(new GetCallerIdentityCommand({}));
      return { wrong: [], detail: `They are ${Arn}.` };
    },
  );
  return questions.lines.at(-1)?.verdict === 'ok';
}

function askRegion(questions: Questions, { region, configuredRegion = region, plan }: CheckedSite): void {
  const question = { id: 'region', about: 'AWS_REGION is the plan’s Region' };
  if (plan === undefined)
    return questions.tell({ ...question, about: 'the Region' }, 'ok', `It is ${region}.`);
  const [wrong] = regionFindings(plan, configuredRegion);
  questions.tell(question, wrong === undefined ? 'ok' : 'differs', wrong?.text ?? `It is ${region}.`);
}

async function askBucket(
  questions: Questions,
  { clients, repository, region }: CheckedSite,
): Promise<boolean> {
  const question = { id: 's3.bucket', about: 'the bucket is there, in the Region', action: 's3:ListBucket' };
  if (repository === undefined) {
    questions.tell(question, 'not asked', 'No bucket is known: give a plan, or set LIFEBOAT_REPOSITORY.');
    return false;
  }
  const { bucket: Bucket, prefix: Prefix } = repository;
  await questions.find(question, async () => {
    await clients.s3.send(new ListObjectsV2Command({ Bucket, Prefix, MaxKeys: 1 }));
    const { BucketRegion = region } = await clients.s3.send(new HeadBucketCommand({ Bucket }));
    return {
      wrong:
        BucketRegion === region ? [] : [`The bucket ${Bucket} is in ${BucketRegion}, and not in ${region}.`],
    };
  });
  return questions.lines.at(-1)?.verdict === 'ok';
}

async function askDns(questions: Questions, { clients, plan }: CheckedSite, hostedZone: string | undefined) {
  const { route53 } = clients;
  const named = plan?.dns?.hostedZone ?? hostedZone;
  if (named === undefined)
    return questions.find(
      { id: 'route53.list', about: 'Route 53 answers', action: 'route53:ListHostedZonesByName' },
      async () => {
        await route53.send(new ListHostedZonesByNameCommand({ MaxItems: 1 }));
        return { wrong: [] };
      },
    );
  await questions.find(
    {
      id: 'route53.plan',
      about: `the hosted zone ${named} is there, and holds what the plan wants`,
      action: 'route53:GetHostedZone',
    },
    async () => {
      if (plan?.dns !== undefined) return { wrong: (await inspectDns({ route53 }, plan)).findings };
      await route53.send(new GetHostedZoneCommand({ Id: named }));
      return { wrong: [] };
    },
  );
}

async function askKey(questions: Questions, { clients, plan }: CheckedSite): Promise<void> {
  const planned = plan?.recoverySite.kmsKey;
  const about = planned === undefined ? 'KMS answers' : `the plan's key ${planned} can be used`;
  await questions.find({ id: 'kms.key', about, action: 'kms:DescribeKey' }, async () => {
    try {
      const { KeyMetadata } = await clients.kms.send(
        new DescribeKeyCommand({ KeyId: planned ?? 'alias/aws/ebs' }),
      );
      const state = KeyMetadata?.KeyState ?? 'of no known state';
      return { wrong: planned === undefined || state === 'Enabled' ? [] : [`The key is ${state}.`] };
    } catch (error) {
      if (!hasCode(error, 'NotFoundException')) throw error;
      // AWS makes its own key for EBS when it is first needed.
      return { wrong: planned === undefined ? [] : ['There is no such key.'] };
    }
  });
}

async function askQuotas(questions: Questions, { clients, plan }: CheckedSite): Promise<void> {
  const { ec2, serviceQuotas } = clients;
  const { code: QuotaCode, name } = STANDARD_VCPUS;
  await questions.find(
    { id: 'quotas.answer', about: 'Service Quotas answers', action: 'servicequotas:GetServiceQuota' },
    async () => {
      try {
        const { Quota } = await serviceQuotas.send(
          new GetServiceQuotaCommand({ ServiceCode: 'ec2', QuotaCode }),
        );
        return { wrong: [], detail: `${name}: ${Quota?.Value ?? 'no value'}.` };
      } catch (error) {
        if (!hasCode(error, 'NoSuchResourceException')) throw error;
        return { wrong: [], detail: `${name}: AWS's default.` };
      }
    },
  );
  if (plan === undefined || questions.lines.at(-1)?.verdict !== 'ok') return;
  await questions.find(
    { id: 'quotas.vcpus', about: 'the vCPUs suffice for the plan', action: 'servicequotas:GetServiceQuota' },
    async () => texts(await vcpuFindings(ec2, serviceQuotas, plan, await findTypes(ec2, plan, []))),
  );
}
