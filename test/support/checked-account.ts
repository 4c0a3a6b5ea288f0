import { join } from 'node:path';
import { DescribeImagesCommand, DescribeSnapshotsCommand, DescribeVolumesCommand } from '@aws-sdk/client-ec2';
import { ListResourceRecordSetsCommand } from '@aws-sdk/client-route-53';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { stsClient } from '../../activities/aws-proxy/account/single-clients';
import { type AwsCheck, type AwsCheckOptions, checkAws } from '../../client/aws-check/check';
import { readExpected } from '../../client/aws-check/expected';
import { type ExpectedAnswers } from '../../client/aws-check/questions';
import { CHECK_RECORD, type CheckedSite } from '../../client/aws-check/site';
import { repositoryClient, repositoryOf } from '../../client/repository';
import { projectRoot } from '../../host/project-root';
import { loadPlanFile } from '../../plan/load';
import { SHOP_HOSTED_ZONE_ID } from '../../sandbox/aws/fixtures';
import { startTestAccount, type TestAccount } from '../contract/test-account';

/** The sandbox's account as `lifeboat aws check` looks at it, with the plan of the sample application. */
export interface CheckedAccount {
  account: TestAccount;
  site: CheckedSite;
  check(
    options?: { expected?: ExpectedAnswers; everything?: boolean } & Partial<AwsCheckOptions>,
  ): Promise<AwsCheck>;
  /** Ids, keys and names of what a check made and did not remove. */
  left(): Promise<string[]>;
  close(): Promise<void>;
}

export async function checkedAccount(
  intercept?: Parameters<typeof startTestAccount>[0],
): Promise<CheckedAccount> {
  const account = await startTestAccount(intercept);
  const { plan } = await loadPlanFile(join(projectRoot(), 'examples/shop/plan.yaml'));
  const { endpoint } = account.repository;
  const region = plan.recoverySite.region;
  const { bucket, prefix } = repositoryOf(plan);
  const s3 = repositoryClient({ region, endpoint });
  const site: CheckedSite = {
    clients: { ...account.clients, sts: stsClient({ region, endpoint }), s3 },
    region,
    plan,
    repository: { bucket, prefix },
  };
  return {
    account,
    site,
    check: ({ expected = readExpected(), everything = false, ...more } = {}) =>
      checkAws(site, {
        expected,
        signal: new AbortController().signal,
        pollSeconds: 0.02,
        ...(everything ? { withTestResources: true, withLock: true, hostedZone: SHOP_HOSTED_ZONE_ID } : {}),
        ...more,
      }),
    async left() {
      const { ec2, route53 } = account.clients;
      const { Images = [] } = await ec2.send(new DescribeImagesCommand({ Owners: ['self'] }));
      const { Volumes = [] } = await ec2.send(new DescribeVolumesCommand({}));
      const { Snapshots = [] } = await ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }));
      const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
      const { ResourceRecordSets = [] } = await route53.send(
        new ListResourceRecordSetsCommand({ HostedZoneId: SHOP_HOSTED_ZONE_ID }),
      );
      return [
        ...Images.map(({ ImageId }) => ImageId),
        ...Volumes.filter(({ State }) => State !== 'deleting').map(({ VolumeId }) => VolumeId),
        ...Snapshots.map(({ SnapshotId }) => SnapshotId),
        ...Contents.map(({ Key }) => Key),
        ...ResourceRecordSets.map(({ Name }) => Name).filter((name) => name?.startsWith(CHECK_RECORD)),
      ].flatMap((id) => id ?? []);
    },
    async close() {
      s3.destroy();
      site.clients.sts.destroy();
      await account.close();
    },
  };
}
