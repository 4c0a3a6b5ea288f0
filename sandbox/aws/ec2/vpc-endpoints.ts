import {
  type DescribeVpcEndpointsRequest,
  type DescribeVpcEndpointsResult,
  type State,
} from '@aws-sdk/client-ec2';
import { type Account, ACCOUNT_ID } from '../account';
import { AwsError } from '../wire/errors';
import { filterItems } from './filters';
import { page } from './paging';
import { mainRouteTable } from './route-tables';

/** As EC2 answers it; the SDK's own list writes it with a capital. */
const AVAILABLE = 'available';

/** The account's VPC endpoints, which are told of and lead nowhere: S3 is this endpoint itself. */
export function vpcEndpointHandlers({ config }: Account) {
  const all = () => config.fixtures.vpcEndpoints ?? [];
  return {
    DescribeVpcEndpoints(input: DescribeVpcEndpointsRequest): DescribeVpcEndpointsResult {
      const ids = input.VpcEndpointIds ?? [];
      const missing = ids.find((wanted) => !all().some(({ id }) => id === wanted));
      if (missing !== undefined)
        throw new AwsError(
          'InvalidVpcEndpointId.NotFound',
          `The Vpc Endpoint Id '${missing}' does not exist`,
        );
      const found = filterItems(
        all().filter(({ id }) => ids.length === 0 || ids.includes(id)),
        input.Filters,
        {
          'vpc-endpoint-id': ({ id }) => [id],
          'vpc-id': ({ vpc }) => [vpc],
          'service-name': ({ service }) => [service],
          'vpc-endpoint-state': () => [AVAILABLE],
          'vpc-endpoint-type': () => ['Gateway'],
        },
      );
      const { items, NextToken } = page(
        found.map((endpoint) => ({ ...endpoint, createdAt: '1970-01-01T00:00:00.000Z' })),
        input,
      );
      return {
        VpcEndpoints: items.map(({ id, vpc, service, routeTables = [mainRouteTable(vpc)] }) => ({
          VpcEndpointId: id,
          VpcEndpointType: 'Gateway',
          VpcId: vpc,
          RouteTableIds: routeTables,
          ServiceName: service,
          State: AVAILABLE as State,
          OwnerId: ACCOUNT_ID,
          Tags: [],
        })),
        NextToken,
      };
    },
  };
}
