import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import { AwsHarness, eventually } from './aws-harness';

const run = promisify(execFile);

/** coldsnap shares no code with the SDK whose schemas the endpoint is driven by. */
const coldsnap = process.env.COLDSNAP_BIN ?? resolve(__dirname, '../../../shared/tools/coldsnap');
const test = existsSync(coldsnap) ? it : it.skip;

const GIB = 1024 ** 3;
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('coldsnap (skipped where COLDSNAP_BIN names no file)', () => {
  const aws = new AwsHarness();
  beforeAll(() => aws.start());
  afterAll(() => aws.stop());

  test('uploads a disk and downloads the same bytes', async () => {
    const disk = join(aws.directory, 'disk.raw');
    const file = await open(disk, 'w');
    // Data at both ends and in the middle; zeros between.
    for (const offset of [0, 300 * 1024 * 1024 + 512, GIB - 700_000])
      await file.write(randomBytes(700_000), 0, 700_000, offset);
    await file.close();
    const env = {
      PATH: process.env.PATH,
      HOME: aws.directory,
      AWS_ACCESS_KEY_ID: aws.config.accessKeyId,
      AWS_SECRET_ACCESS_KEY: aws.config.secretAccessKey,
    };
    const common = ['--region', aws.config.region, '--endpoint', aws.endpoint.endpoint];
    const { stdout } = await run(coldsnap, [...common, 'upload', '--no-progress', disk], { env });
    const snapshot = /snap-[0-9a-f]{17}/.exec(stdout)?.[0] ?? '';
    // Not its --wait: that looks every 15 s.
    const ec2 = aws.ec2();
    const [described] = await eventually(
      async () => (await ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [snapshot] }))).Snapshots ?? [],
      ([found]) => found?.State === 'completed',
    );
    ec2.destroy();
    expect(described?.VolumeSize).toBe(1);
    const copy = join(aws.directory, 'copy.raw');
    await run(coldsnap, [...common, 'download', '--no-progress', snapshot, copy], { env });
    expect(digest(await readFile(copy))).toBe(digest(await readFile(disk)));
  }, 120_000);
});
