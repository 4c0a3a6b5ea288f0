import {
  type DescribeAvailabilityZonesRequest,
  type DescribeAvailabilityZonesResult,
  type DescribeRegionsRequest,
  type DescribeRegionsResult,
  type DescribeSecurityGroupsRequest,
  type DescribeSecurityGroupsResult,
  type DescribeSubnetsRequest,
  type DescribeSubnetsResult,
  type DescribeVpcsRequest,
  type DescribeVpcsResult,
} from '@aws-sdk/client-ec2';
import { type Account, ACCOUNT_ID } from '../account';
import { type SecurityGroupFixture, type SubnetFixture, type VpcFixture } from '../config';
import { type Tags } from '../state/records';
import { AwsError } from '../wire/errors';
import { addressCount, usedAddresses } from './addresses';
import { filterItems } from './filters';
import { page } from './paging';
import { tagList } from './tags';

/** The Region's Availability Zones: three, as most Regions have. */
export function availabilityZones(region: string): { name: string; id: string }[] {
  const short = region
    .split('-')
    .map((part) => part.slice(0, part.length > 2 ? 1 : 2))
    .join('');
  return ['a', 'b', 'c'].map((letter, index) => ({ name: region + letter, id: `${short}-az${index + 1}` }));
}

/** @throws AwsError InvalidZone.NotFound */
export function checkZone(account: Account, zone: string | undefined): string {
  const found = availabilityZones(account.config.region).find(({ name }) => name === zone);
  if (found === undefined)
    throw new AwsError('InvalidZone.NotFound', `The zone '${zone ?? ''}' does not exist.`);
  return found.name;
}

const listed = <T extends { id: string }>(item: T) => ({ ...item, createdAt: '1970-01-01T00:00:00.000Z' });

function selectFixtures<T extends { id: string }>(
  all: T[],
  ids: string[] | undefined,
  code: string,
  what: string,
): T[] {
  if (ids === undefined || ids.length === 0) return all;
  return ids.map((id) => {
    const found = all.find((item) => item.id === id);
    if (found === undefined) throw new AwsError(code, `The ${what} '${id}' does not exist`);
    return found;
  });
}

export function placeHandlers(account: Account) {
  const { region, fixtures } = account.config;
  const tagsOf = (item: { id: string }): Tags => account.fixtureTags.get(item.id)?.tags ?? {};

  return {
    DescribeRegions(input: DescribeRegionsRequest): DescribeRegionsResult {
      const regions = [{ name: region, endpoint: `ec2.${region}.amazonaws.com` }];
      const unknown = (input.RegionNames ?? []).filter((name) => name !== region);
      if (unknown.length > 0)
        throw new AwsError('InvalidParameterValue', `Invalid region provided: [${unknown.join(', ')}]`);
      const found = filterItems(regions, input.Filters, {
        'region-name': ({ name }) => [name],
        endpoint: ({ endpoint }) => [endpoint],
        'opt-in-status': () => ['opt-in-not-required'],
      });
      return {
        Regions: found.map(({ name, endpoint }) => ({
          RegionName: name,
          Endpoint: endpoint,
          OptInStatus: 'opt-in-not-required',
        })),
      };
    },

    DescribeAvailabilityZones(input: DescribeAvailabilityZonesRequest): DescribeAvailabilityZonesResult {
      for (const name of input.ZoneNames ?? []) checkZone(account, name);
      const zones = availabilityZones(region).filter(
        ({ name, id }) =>
          (!input.ZoneNames?.length || input.ZoneNames.includes(name)) &&
          (!input.ZoneIds?.length || input.ZoneIds.includes(id)),
      );
      const found = filterItems(zones, input.Filters, {
        'zone-name': ({ name }) => [name],
        'zone-id': ({ id }) => [id],
        'zone-type': () => ['availability-zone'],
        'region-name': () => [region],
        state: () => ['available'],
        'opt-in-status': () => ['opt-in-not-required'],
      });
      return {
        AvailabilityZones: found.map(({ name, id }) => ({
          State: 'available',
          OptInStatus: 'opt-in-not-required',
          Messages: [],
          RegionName: region,
          ZoneName: name,
          ZoneId: id,
          GroupName: region,
          NetworkBorderGroup: region,
          ZoneType: 'availability-zone',
        })),
      };
    },

    DescribeVpcs(input: DescribeVpcsRequest): DescribeVpcsResult {
      const vpcs = selectFixtures(fixtures.vpcs, input.VpcIds, 'InvalidVpcID.NotFound', 'vpc ID');
      const found = filterItems<VpcFixture>(
        vpcs,
        input.Filters,
        {
          'vpc-id': ({ id }) => [id],
          cidr: ({ cidr }) => [cidr],
          state: () => ['available'],
          'is-default': () => [false],
        },
        tagsOf,
      );
      const { items, NextToken } = page(found.map(listed), input);
      return {
        Vpcs: items.map((vpc) => ({
          VpcId: vpc.id,
          CidrBlock: vpc.cidr,
          State: 'available',
          OwnerId: ACCOUNT_ID,
          IsDefault: false,
          InstanceTenancy: 'default',
          Tags: tagList(tagsOf(vpc)),
        })),
        NextToken,
      };
    },

    DescribeSubnets(input: DescribeSubnetsRequest): DescribeSubnetsResult {
      const subnets = selectFixtures(
        fixtures.subnets,
        input.SubnetIds,
        'InvalidSubnetID.NotFound',
        'subnet ID',
      );
      const found = filterItems<SubnetFixture>(
        subnets,
        input.Filters,
        {
          'subnet-id': ({ id }) => [id],
          'vpc-id': ({ vpc }) => [vpc],
          'availability-zone': ({ availabilityZone }) => [availabilityZone],
          'cidr-block': ({ cidr }) => [cidr],
          state: () => ['available'],
        },
        tagsOf,
      );
      const { items, NextToken } = page(found.map(listed), input);
      return {
        Subnets: items.map((subnet) => ({
          SubnetId: subnet.id,
          SubnetArn: `arn:aws:ec2:${region}:${ACCOUNT_ID}:subnet/${subnet.id}`,
          VpcId: subnet.vpc,
          CidrBlock: subnet.cidr,
          AvailabilityZone: subnet.availabilityZone,
          AvailabilityZoneId: availabilityZones(region).find(({ name }) => name === subnet.availabilityZone)
            ?.id,
          AvailableIpAddressCount: addressCount(subnet.cidr) - usedAddresses(account, subnet.id).size,
          State: 'available',
          OwnerId: ACCOUNT_ID,
          DefaultForAz: false,
          MapPublicIpOnLaunch: subnet.mapPublicIpOnLaunch ?? false,
          AssignIpv6AddressOnCreation: subnet.ipv6Cidr !== undefined,
          Ipv6CidrBlockAssociationSet:
            subnet.ipv6Cidr === undefined
              ? []
              : [{ Ipv6CidrBlock: subnet.ipv6Cidr, Ipv6CidrBlockState: { State: 'associated' } }],
          Tags: tagList(tagsOf(subnet)),
        })),
        NextToken,
      };
    },

    DescribeSecurityGroups(input: DescribeSecurityGroupsRequest): DescribeSecurityGroupsResult {
      const groups = selectFixtures(
        fixtures.securityGroups,
        input.GroupIds,
        'InvalidGroup.NotFound',
        'security group',
      );
      const named = groups.filter(({ name }) => !input.GroupNames?.length || input.GroupNames.includes(name));
      const found = filterItems<SecurityGroupFixture>(
        named,
        input.Filters,
        { 'group-id': ({ id }) => [id], 'group-name': ({ name }) => [name], 'vpc-id': ({ vpc }) => [vpc] },
        tagsOf,
      );
      const { items, NextToken } = page(found.map(listed), input);
      return {
        SecurityGroups: items.map((group) => ({
          GroupId: group.id,
          GroupName: group.name,
          Description: group.description ?? group.name,
          VpcId: group.vpc,
          OwnerId: ACCOUNT_ID,
          IpPermissions: group.ingress.map((rule) => ({
            IpProtocol: 'tcp',
            FromPort: rule.fromPort,
            ToPort: rule.toPort,
            IpRanges: [{ CidrIp: rule.cidr }],
          })),
          IpPermissionsEgress: [{ IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] }],
          Tags: tagList(tagsOf(group)),
        })),
        NextToken,
      };
    },
  };
}
