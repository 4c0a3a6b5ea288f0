import { type Fixtures, type VendorImageFixture } from './config';

export const REGION = 'eu-central-1';
/** The AWS proxy of the sandbox: an instance that is this host. */
export const PROXY_INSTANCE_ID = 'i-0a11fe00000000001';
/** It, and what stands for the hosts of further AWS proxies, where there are several. */
export const PROXY_INSTANCE_IDS = [PROXY_INSTANCE_ID, 'i-0a11fe00000000002', 'i-0a11fe00000000003'];
export const PROXY_AVAILABILITY_ZONE = `${REGION}a`;
export const PRODUCTION_SUBNET_ID = 'subnet-0a11fe00000000001';
export const TEST_SUBNET_ID = 'subnet-0a11fe00000000002';
/** The production network's in another zone, where no AWS proxy is. */
export const SECOND_ZONE_SUBNET_ID = 'subnet-0a11fe00000000003';
export const SECOND_AVAILABILITY_ZONE = `${REGION}b`;
export const PRODUCTION_SECURITY_GROUP_ID = 'sg-0a11fe00000000001';
export const TEST_SECURITY_GROUP_ID = 'sg-0a11fe00000000002';
/** Images of a licence that AWS bills, for guests of either firmware. */
export const LICENSED_BIOS_IMAGE_ID = 'ami-0a11fe00000000001';
export const LICENSED_UEFI_IMAGE_ID = 'ami-0a11fe00000000002';
export const SHOP_HOSTED_ZONE_ID = 'ZLIFEBOATSHOP';
export const SHOP_BUCKET = 'lifeboat-shop';
/** For instances that a plan gives one. */
export const SHOP_INSTANCE_PROFILE = 'shop-vm';
/** Where people are told of the shop's plan. */
export const SHOP_TOPIC = 'lifeboat-shop';

const HTTP_PORT = 80;
const REDIS_PORT = 6379;

/**
 * The account of the sample application: a production VPC with subnets in two zones and a test VPC that cannot reach each
 * other, the hosted zone, the repository bucket and the AWS proxy. HTTP is open to all, the database only to its VPC.
 * @param proxies how many AWS proxies there are
 */
export function shopFixtures(proxies = 1): Fixtures {
  const site = (
    name: string,
    digit: number,
    { cidr, vpcCidr = cidr }: { cidr: string; vpcCidr?: string },
    subnetId: string,
    groupId: string,
  ) => {
    const vpc = `vpc-0a11fe0000000000${digit}`;
    return {
      vpc: { id: vpc, cidr: vpcCidr, tags: { Name: `shop-${name}` } },
      subnet: {
        id: subnetId,
        vpc,
        cidr,
        availabilityZone: PROXY_AVAILABILITY_ZONE,
        segment: name,
        tags: { Name: `shop-${name}` },
      },
      securityGroup: {
        id: groupId,
        name: `shop-${name}`,
        vpc,
        description: `The shop in the ${name} subnet`,
        ingress: [
          { fromPort: HTTP_PORT, toPort: HTTP_PORT, cidr: '0.0.0.0/0' },
          { fromPort: REDIS_PORT, toPort: REDIS_PORT, cidr: vpcCidr },
        ],
        tags: { Name: `shop-${name}` },
      },
    };
  };
  const productionCidrs = { cidr: '10.0.1.0/24', vpcCidr: '10.0.0.0/16' };
  const production = site('prod', 1, productionCidrs, PRODUCTION_SUBNET_ID, PRODUCTION_SECURITY_GROUP_ID);
  const secondZone = {
    ...production.subnet,
    id: SECOND_ZONE_SUBNET_ID,
    cidr: '10.0.3.0/24',
    availabilityZone: SECOND_AVAILABILITY_ZONE,
    segment: 'prodb',
    tags: { Name: 'shop-prodb' },
  };
  const test = site('test', 2, { cidr: '10.0.2.0/24' }, TEST_SUBNET_ID, TEST_SECURITY_GROUP_ID);
  return {
    vpcs: [production.vpc, test.vpc],
    subnets: [production.subnet, secondZone, test.subnet],
    securityGroups: [production.securityGroup, test.securityGroup],
    hostedZones: [{ id: SHOP_HOSTED_ZONE_ID, name: 'shop.example' }],
    instanceProfiles: [SHOP_INSTANCE_PROFILE],
    topics: [SHOP_TOPIC],
    vendorImages: [windowsImage(LICENSED_BIOS_IMAGE_ID), windowsImage(LICENSED_UEFI_IMAGE_ID, 'uefi')],
    // As an account has it that is meant for a whole data centre: a failover heeds it.
    quotas: { 'L-1216C47A': 5000 },
    vpcEndpoints: [
      { id: 'vpce-0a11fe00000000001', vpc: production.vpc.id, service: `com.amazonaws.${REGION}.s3` },
    ],
    buckets: [SHOP_BUCKET],
    hostInstances: PROXY_INSTANCE_IDS.slice(0, proxies).map((id, n) => ({
      id,
      subnet: PRODUCTION_SUBNET_ID,
      instanceType: 'm6i.large',
      privateAddress: `10.0.1.${4 + n}`,
      // The AWS proxy's policy lets it attach volumes to such instances only.
      tags: { Name: 'lifeboat-aws-proxy', 'lifeboat-proxy': 'true' },
    })),
  };
}

/** Codes as in "Understand AMI billing information" (Amazon EC2 User Guide). */
function windowsImage(id: string, bootMode?: 'uefi'): VendorImageFixture {
  return {
    id,
    name: `Windows_Server-2025-English-Full-Base${bootMode === undefined ? '' : '-UEFI'}-2026.11.11`,
    vendor: { ownerId: '801119661308', alias: 'amazon' },
    billing: { platformDetails: 'Windows', usageOperation: 'RunInstances:0002' },
    bootMode,
    rootDeviceName: '/dev/sda1',
    rootGiB: 1,
  };
}
