import { CompleteSnapshotCommand, StartSnapshotCommand } from '@aws-sdk/client-ebs';
import {
  CreateVolumeCommand,
  DescribeSnapshotsCommand,
  GetEbsEncryptionByDefaultCommand,
} from '@aws-sdk/client-ec2';
import {
  GetAWSDefaultServiceQuotaCommand,
  GetServiceQuotaCommand,
  paginateListServiceQuotas,
  RequestServiceQuotaIncreaseCommand,
  ServiceQuotasClient,
} from '@aws-sdk/client-service-quotas';
import { AwsHarness, eventually, failure } from './aws-harness';

const STANDARD = { ServiceCode: 'ec2', QuotaCode: 'L-1216C47A' };

describe('quotas and encryption by default, at the endpoint', () => {
  const aws = new AwsHarness();
  let quotas: ServiceQuotasClient;
  beforeAll(async () => {
    await aws.start();
    quotas = new ServiceQuotasClient(aws.clientSettings());
  });
  afterAll(async () => {
    quotas.destroy();
    await aws.stop();
  });

  it("tells the account's own values, and AWS's defaults", async () => {
    aws.config.fixtures.quotas = { 'L-1216C47A': 32 };
    expect((await quotas.send(new GetServiceQuotaCommand(STANDARD))).Quota).toMatchObject({
      ...STANDARD,
      Value: 32,
      QuotaName: 'Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances',
    });
    expect((await quotas.send(new GetAWSDefaultServiceQuotaCommand(STANDARD))).Quota).toMatchObject({
      Value: 5,
    });
    const listed = new Map<string | undefined, number | undefined>();
    const pages = paginateListServiceQuotas({ client: quotas, pageSize: 3 }, { ServiceCode: 'ec2' });
    for await (const { Quotas } of pages)
      for (const { QuotaCode, Value } of Quotas ?? []) listed.set(QuotaCode, Value);
    expect(listed.size).toBe(10);
    expect(listed.get('L-1216C47A')).toBe(32);
  });

  it('refuses what it does not know or cannot do', async () => {
    const unknown = new GetServiceQuotaCommand({ ServiceCode: 'ec2', QuotaCode: 'L-00000000' });
    expect(await failure(quotas.send(unknown))).toMatchObject({ name: 'NoSuchResourceException' });
    const increase = new RequestServiceQuotaIncreaseCommand({ ...STANDARD, DesiredValue: 64 });
    expect(await failure(quotas.send(increase))).toMatchObject({ name: 'UnknownOperationException' });
  });

  it('makes nothing plain, and no child of what is, in an account that encrypts by default', async () => {
    const [ec2, ebs] = [aws.ec2(), aws.ebs()];
    const snapshot = async (ParentSnapshotId?: string): Promise<string> => {
      const { SnapshotId = '' } = await ebs.send(
        new StartSnapshotCommand({ VolumeSize: 1, ParentSnapshotId }),
      );
      await ebs.send(new CompleteSnapshotCommand({ SnapshotId, ChangedBlocksCount: 0 }));
      const look = () => ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [SnapshotId] }));
      await eventually(look, ({ Snapshots }) => Snapshots?.[0]?.State === 'completed');
      return SnapshotId;
    };
    const byDefault = async () =>
      (await ec2.send(new GetEbsEncryptionByDefaultCommand({}))).EbsEncryptionByDefault;
    const volumeOf = (SnapshotId: string) =>
      ec2.send(new CreateVolumeCommand({ AvailabilityZone: 'eu-central-1a', SnapshotId }));
    expect(await byDefault()).toBe(false);
    const plain = await snapshot();
    await snapshot(plain);
    expect(await volumeOf(plain)).toMatchObject({ Encrypted: false });

    aws.config.fixtures.encryptionByDefault = true;
    expect(await byDefault()).toBe(true);
    expect(await failure(snapshot(plain))).toMatchObject({ name: 'ValidationException' });
    expect(await volumeOf(plain)).toMatchObject({
      Encrypted: true,
      KmsKeyId: expect.stringContaining('arn:aws:kms:') as string,
    });
    await snapshot(await snapshot());
  });
});
