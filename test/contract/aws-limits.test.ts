import { createHash } from 'node:crypto';
import {
  PutSnapshotBlockCommand,
  GetSnapshotBlockCommand,
  RequestThrottledException,
  StartSnapshotCommand,
} from '@aws-sdk/client-ebs';
import { AwsHarness, failure } from './aws-harness';

const block = Buffer.alloc(512 * 1024, 'limits');
const Checksum = createHash('sha256').update(block).digest('base64');

describe('limits of the EBS direct APIs', () => {
  const aws = new AwsHarness();
  beforeAll(() => {
    // The burst is a tenth of a second's tokens, one at least; the next one comes after 20 and 100 seconds.
    aws.config.limits = { ebsDirect: { putPerSecond: 0.05, getPerSecondAndSnapshot: 0.01 } };
    return aws.start();
  });
  afterAll(() => aws.stop());

  async function start(): Promise<string> {
    const { SnapshotId = '' } = await aws.ebs().send(new StartSnapshotCommand({ VolumeSize: 1 }));
    return SnapshotId;
  }
  const put = (SnapshotId: string, BlockIndex: number) =>
    aws.ebs().send(
      new PutSnapshotBlockCommand({
        SnapshotId,
        BlockIndex,
        BlockData: block,
        DataLength: block.length,
        Checksum,
        ChecksumAlgorithm: 'SHA256',
      }),
    );
  const get = (SnapshotId: string) =>
    aws.ebs().send(new GetSnapshotBlockCommand({ SnapshotId, BlockIndex: 0, BlockToken: 'x' }));

  it('refuses puts beyond the rate of the account, whatever the snapshot', async () => {
    const [one, other] = [await start(), await start()];
    await put(one, 0);
    const refused = await put(other, 0).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RequestThrottledException);
    expect(refused).toMatchObject({ Reason: 'ACCOUNT_THROTTLED', $metadata: { httpStatusCode: 400 } });
  });

  it('refuses gets beyond the rate of a snapshot, and leaves others alone', async () => {
    expect(await failure(get('snap-0000000000000000a'))).toMatchObject({ name: 'ResourceNotFoundException' });
    await expect(get('snap-0000000000000000a')).rejects.toMatchObject({
      name: 'RequestThrottledException',
      Reason: 'RESOURCE_LEVEL_THROTTLE',
    });
    expect(await failure(get('snap-0000000000000000b'))).toMatchObject({ name: 'ResourceNotFoundException' });
  });
});
