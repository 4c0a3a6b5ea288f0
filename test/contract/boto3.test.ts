import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AwsHarness } from './aws-harness';

/** A python that has boto3, whose models and codecs are not those of the SDK that drives the endpoint. */
const python = process.env.LIFEBOAT_PYTHON;
const test = python === undefined ? it.skip : it;

describe('boto3 (skipped without LIFEBOAT_PYTHON)', () => {
  const aws = new AwsHarness();
  beforeAll(() => aws.start());
  afterAll(() => aws.stop());

  test('finds what it expects of EC2, EBS direct, IAM, Route 53, S3 and STS', async () => {
    const { stdout } = await promisify(execFile)(
      python ?? '',
      [join(__dirname, 'boto3_check.py'), aws.endpoint.endpoint],
      {
        env: {
          PATH: process.env.PATH,
          HOME: aws.directory,
          AWS_ACCESS_KEY_ID: aws.config.accessKeyId,
          AWS_SECRET_ACCESS_KEY: aws.config.secretAccessKey,
          AWS_DEFAULT_REGION: aws.config.region,
        },
      },
    );
    expect(stdout.trim().split('\n').sort()).toEqual([
      'ebs ok',
      'ec2 ok',
      'errors ok',
      'iam ok',
      'route53 ok',
      's3 ok',
      'sts ok',
    ]);
  }, 120_000);
});
