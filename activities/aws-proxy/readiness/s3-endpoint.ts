import { DescribeVpcEndpointsCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { type Finding } from '../../../plan/readiness';
import { type RepositoryAddress } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';
import { findInstance } from '../account/lookup';
import { asked } from './asked';

/**
 * Whether the AWS proxy reads the repository by an S3 endpoint. One that is named in the settings or in the plan is used, or nothing
 * could be read; of the others it is asked whether the proxy's VPC has one. That S3 answers at all is shown by the backups' manifests.
 */
export function endpointFindings(
  { ec2, region, instanceId }: { ec2: EC2Client; region: string; instanceId?: string },
  plan: Pick<DrPlan, 'repository'>,
  repository: RepositoryAddress,
): Promise<Finding[]> {
  if (instanceId === undefined || (repository.endpoint ?? plan.repository.endpoint) !== undefined)
    return Promise.resolve([]);
  return asked('the S3 endpoint', 'ec2:DescribeVpcEndpoints', async () => {
    const vpc = (await findInstance(ec2, instanceId))?.VpcId;
    // A proxy that is no instance of this account, such as a container elsewhere, has a way of its own.
    if (vpc === undefined) return [];
    return vpcEndpointFindings(ec2, region, vpc);
  });
}

/** Whether a network has an S3 endpoint. */
export async function vpcEndpointFindings(ec2: EC2Client, region: string, vpc: string): Promise<Finding[]> {
  const service = `com.amazonaws.${region}.s3`;
  const { VpcEndpoints = [] } = await ec2.send(
    new DescribeVpcEndpointsCommand({
      Filters: [
        { Name: 'vpc-id', Values: [vpc] },
        { Name: 'service-name', Values: [service] },
      ],
    }),
  );
  // The SDK's name of the state begins with a capital; EC2 answers without.
  if (VpcEndpoints.some(({ State }) => State?.toLowerCase() === 'available')) return [];
  return [
    {
      code: 's3-endpoint',
      severity: 'warning',
      text: `The AWS proxy's network ${vpc} has no S3 endpoint: what is read from the repository goes by NAT or the internet, and is billed.`,
      todo: `Make one for the route table of its subnet: aws ec2 create-vpc-endpoint --vpc-id ${vpc} --service-name ${service} --route-table-ids RTB.`,
    },
  ];
}
