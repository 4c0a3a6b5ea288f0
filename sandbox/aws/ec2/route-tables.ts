import {
  type DescribeRouteTablesRequest,
  type DescribeRouteTablesResult,
  type RouteTable,
} from '@aws-sdk/client-ec2';
import { type Account, ACCOUNT_ID } from '../account';
import { type Fixtures } from '../config';
import { AwsError } from '../wire/errors';
import { filterItems } from './filters';
import { page } from './paging';

/** Id of the route table that a VPC has from its beginning. */
export const mainRouteTable = (vpc: string): string => vpc.replace(/^vpc-/, 'rtb-');

interface Table {
  id: string;
  vpc: string;
  main: boolean;
  subnets: string[];
}

function tablesOf({ vpcs, routeTables = [] }: Fixtures): Table[] {
  return [
    ...vpcs.map(({ id }) => ({ id: mainRouteTable(id), vpc: id, main: true, subnets: [] })),
    ...routeTables.map((table) => ({ ...table, main: false })),
  ];
}

/** The account's route tables, which are told of: segments go by what their subnets are. */
export function routeTableHandlers({ config }: Account) {
  return {
    DescribeRouteTables(input: DescribeRouteTablesRequest): DescribeRouteTablesResult {
      const all = tablesOf(config.fixtures);
      const ids = input.RouteTableIds ?? [];
      const missing = ids.find((wanted) => !all.some(({ id }) => id === wanted));
      if (missing !== undefined)
        throw new AwsError('InvalidRouteTableID.NotFound', `The routeTable ID '${missing}' does not exist`);
      const found = filterItems(
        all.filter(({ id }) => ids.length === 0 || ids.includes(id)),
        input.Filters,
        {
          'route-table-id': ({ id }) => [id],
          'vpc-id': ({ vpc }) => [vpc],
          'association.main': ({ main }) => [String(main)],
          'association.subnet-id': ({ subnets }) => subnets,
        },
      );
      const { items, NextToken } = page(
        found.map((table) => ({ ...table, createdAt: '1970-01-01T00:00:00.000Z' })),
        input,
      );
      return { RouteTables: items.map(view), NextToken };
    },
  };
}

const view = ({ id, vpc, main, subnets }: Table): RouteTable => ({
  RouteTableId: id,
  VpcId: vpc,
  OwnerId: ACCOUNT_ID,
  Associations: [
    ...(main ? [{ Main: true, RouteTableId: id, RouteTableAssociationId: `${id}-main` }] : []),
    ...subnets.map((subnet) => ({
      Main: false,
      RouteTableId: id,
      SubnetId: subnet,
      RouteTableAssociationId: `${id}-${subnet}`,
    })),
  ].map((association) => ({ ...association, AssociationState: { State: 'associated' as const } })),
  Routes: [],
  Tags: [],
});
