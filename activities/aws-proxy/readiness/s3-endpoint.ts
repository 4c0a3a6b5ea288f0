import {
  DescribeRouteTablesCommand,
  DescribeVpcEndpointsCommand,
  type EC2Client,
  type RouteTable,
  type VpcEndpoint,
} from '@aws-sdk/client-ec2';
import { type Finding } from '../../../plan/readiness';
import { type RepositoryAddress } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';
import { findInstance } from '../account/lookup';
import { asked } from './asked';

/**
 * Whether the AWS proxy reads the repository by an S3 endpoint. One that is named in the settings or in the plan is used, or nothing
 * could be read; of the others it is asked whether the proxy's VPC has one, and whether the proxy's subnet is led to it. That S3 answers at all is shown by the backups' manifests.
 */
export function endpointFindings(
  { ec2, region, instanceId }: { ec2: EC2Client; region: string; instanceId?: string },
  plan: Pick<DrPlan, 'repository'>,
  repository: RepositoryAddress,
): Promise<Finding[]> {
  if (instanceId === undefined || (repository.endpoint ?? plan.repository.endpoint) !== undefined)
    return Promise.resolve([]);
  return asked('the S3 endpoint', 'ec2:DescribeVpcEndpoints', async () => {
    const { VpcId: vpc, SubnetId: subnet } = (await findInstance(ec2, instanceId)) ?? {};
    // A proxy that is no instance of this account, such as a container elsewhere, has a way of its own.
    if (vpc === undefined) return [];
    return vpcEndpointFindings(ec2, region, { vpc, subnet });
  });
}

/** Whether a network has an S3 endpoint, and the subnet a route to it. */
export async function vpcEndpointFindings(
  ec2: EC2Client,
  region: string,
  { vpc, subnet }: { vpc: string; subnet: string | undefined },
): Promise<Finding[]> {
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
  const available = VpcEndpoints.filter(({ State }) => State?.toLowerCase() === 'available');
  if (available.some(takesAllOfTheNetwork)) return [];
  if (available.length > 0) return subnet === undefined ? [] : routeFindings(ec2, available, { vpc, subnet });
  return [
    {
      code: 's3-endpoint',
      severity: 'warning',
      text: `The AWS proxy's network ${vpc} has no S3 endpoint: what is read from the repository goes by NAT or the internet, and is billed.`,
      todo: `Make one for the route table of its subnet: aws ec2 create-vpc-endpoint --vpc-id ${vpc} --service-name ${service} --route-table-ids RTB.`,
    },
  ];
}

/** An interface endpoint answers to S3's own names, where it does, in all of the network. A gateway is a route. */
const takesAllOfTheNetwork = ({ VpcEndpointType, PrivateDnsEnabled }: VpcEndpoint): boolean =>
  VpcEndpointType === 'Interface' && PrivateDnsEnabled === true;

/** A gateway endpoint is used by the subnets whose route table leads to it. */
function routeFindings(
  ec2: EC2Client,
  endpoints: VpcEndpoint[],
  { vpc, subnet }: { vpc: string; subnet: string },
): Promise<Finding[]> {
  return asked('the route tables', 'ec2:DescribeRouteTables', async () => {
    const table = await routeTableOf(ec2, vpc, subnet);
    if (endpoints.some(({ RouteTableIds = [] }) => RouteTableIds.includes(table ?? ''))) return [];
    const [first] = endpoints.filter(({ VpcEndpointType }) => VpcEndpointType !== 'Interface');
    const endpoint = first?.VpcEndpointId ?? endpoints[0]?.VpcEndpointId ?? '';
    return [
      {
        code: 's3-endpoint',
        severity: 'warning',
        text: `The route table ${table ?? ''} of the AWS proxy's subnet ${subnet} does not lead to the S3 endpoint ${endpoint}: what is read from the repository goes by NAT or the internet, and is billed.`,
        todo:
          first === undefined
            ? `Switch private DNS names on for ${endpoint}, or name it in LIFEBOAT_S3_ENDPOINT.`
            : `Add it: aws ec2 modify-vpc-endpoint --vpc-endpoint-id ${endpoint} --add-route-table-ids ${table ?? 'RTB'}.`,
      },
    ];
  });
}

/** The one that the subnet is associated with; the VPC's main one where it is with none ("Subnet route tables", Amazon VPC User Guide). */
async function routeTableOf(ec2: EC2Client, vpc: string, subnet: string): Promise<string | undefined> {
  const tables = async (filter: { Name: string; Values: string[] }): Promise<RouteTable | undefined> => {
    const { RouteTables } = await ec2.send(
      new DescribeRouteTablesCommand({ Filters: [{ Name: 'vpc-id', Values: [vpc] }, filter] }),
    );
    return RouteTables?.[0];
  };
  const own = await tables({ Name: 'association.subnet-id', Values: [subnet] });
  return (own ?? (await tables({ Name: 'association.main', Values: ['true'] })))?.RouteTableId;
}
