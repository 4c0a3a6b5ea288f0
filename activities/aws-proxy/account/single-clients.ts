import { KMSClient } from '@aws-sdk/client-kms';
import { S3Client } from '@aws-sdk/client-s3';
import { SNSClient } from '@aws-sdk/client-sns';
import { STSClient } from '@aws-sdk/client-sts';
import { type ClientOptions, clientSettings, naming } from './client';

/*
 * Clients of one service each, for processes that do nothing with EC2, whose client alone takes 50 MiB (clients.ts).
 */

/** A client of keys, of the Region that they are in. */
export const kmsClient = (options: ClientOptions): KMSClient =>
  naming(new KMSClient(clientSettings(options)), 'kms');

/** A client of topics, of the Region that they are in. */
export const snsClient = (options: ClientOptions): SNSClient =>
  naming(new SNSClient(clientSettings(options)), 'sns');

/** A client that asks whom AWS takes us for. */
export const stsClient = (options: ClientOptions): STSClient =>
  naming(new STSClient(clientSettings(options)), 'sts');

/**
 * A client of the backup repository. An endpoint of its own (a VPC's interface endpoint, the sandbox) is asked in
 * path style, because names of buckets are no hosts there.
 */
export function s3Client(options: ClientOptions): S3Client {
  return naming(
    new S3Client({ ...clientSettings(options), forcePathStyle: options.endpoint !== undefined }),
    's3',
  );
}
