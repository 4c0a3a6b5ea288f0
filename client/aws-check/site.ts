import { type Tag } from '@aws-sdk/client-ec2';
import { type S3Client } from '@aws-sdk/client-s3';
import { type STSClient } from '@aws-sdk/client-sts';
import { type AwsClients } from '../../activities/aws-proxy/account/clients';
import { TAG_PREFIX } from '../../activities/aws-proxy/account/tags';
import { type RepositoryAddress } from '../../plan/run';
import { type DrPlan } from '../../plan/schema';

/** What the check asks, and about what. */
export interface CheckedSite {
  clients: AwsClients & { sts: STSClient; s3: S3Client };
  region: string;
  /** AWS_REGION, with which workers would be started from here; absent where it is not set. */
  configuredRegion?: string;
  /** Where it is known: of the plan, or of the settings. */
  repository?: Pick<RepositoryAddress, 'bucket' | 'prefix'>;
  plan?: DrPlan;
}

/**
 * On everything that the check makes: its run. It has no plan's tag, so that no run of Lifeboat and no sweep ever takes it for its own;
 * what carries it is removed by the next check.
 */
export const CHECK_TAG = `${TAG_PREFIX}aws-check`;

/** Description of every snapshot that the check makes. */
export const CHECK_DESCRIPTION = 'lifeboat aws check';

/** What the names of its images begin with. */
export const IMAGE_NAME = 'lifeboat-aws-check-';

/** @param id of the check's run */
export const checkTags = (id: string): (Tag & { Key: string; Value: string })[] => [
  { Key: 'Name', Value: CHECK_DESCRIPTION },
  { Key: CHECK_TAG, Value: id },
];

/** Filter of all that any check has made. */
export const CHECK_FILTER = [{ Name: 'tag-key', Values: [CHECK_TAG] }];

/** Ids of runs: told from anything that a plan, a VM or a backup is called. */
export const CHECK_ID = /^c-[0-9a-f]{12}$/;

/** Where the check's objects are in the repository. */
export const checkPrefix = (prefix: string): string => `${prefix}aws-check/`;

/** The one record that the check makes in a hosted zone, below the zone's own name. */
export const CHECK_RECORD = '_lifeboat-aws-check';
