import {
  DeregisterImageCommand,
  type EC2Client,
  type Filter,
  type Image,
  paginateDescribeImages,
} from '@aws-sdk/client-ec2';
import { hasCode } from '../../failures';

/** Results a page: the most that DescribeImages gives without being asked for fewer. */
const PAGE_SIZE = 1000;

/** This account's own images. */
export async function listImages(ec2: EC2Client, filters: Filter[]): Promise<Image[]> {
  const found: Image[] = [];
  const pages = paginateDescribeImages(
    { client: ec2, pageSize: PAGE_SIZE },
    { Owners: ['self'], Filters: filters },
  );
  for await (const { Images } of pages) found.push(...(Images ?? []));
  return found;
}

/** DeregisterImage; one that is gone is no error. Its snapshots stay. */
export async function deregisterImage(ec2: EC2Client, ImageId: string): Promise<void> {
  try {
    await ec2.send(new DeregisterImageCommand({ ImageId }));
  } catch (error) {
    if (!hasCode(error, 'InvalidAMIID.NotFound', 'InvalidAMIID.Unavailable')) throw error;
  }
}
