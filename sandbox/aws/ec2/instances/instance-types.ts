import {
  type _InstanceType,
  type DescribeInstanceTypeOfferingsRequest,
  type DescribeInstanceTypeOfferingsResult,
  type DescribeInstanceTypesRequest,
  type DescribeInstanceTypesResult,
} from '@aws-sdk/client-ec2';
import { type Account } from '../../account';
import { AwsError } from '../../wire/errors';
import { filterItems } from '../filters';
import { INSTANCE_TYPES, type InstanceTypeEntry } from './instance-type-table';
import { page } from '../paging';
import { availabilityZones } from '../places';

/** @throws AwsError InvalidInstanceType */
export function findInstanceType(name: string | undefined): InstanceTypeEntry {
  const entry = INSTANCE_TYPES.get(name ?? '');
  if (entry === undefined) throw invalidTypes([name ?? '']);
  return entry;
}

function invalidTypes(names: string[]): AwsError {
  return new AwsError(
    'InvalidInstanceType',
    `The following supplied instance types do not exist: [${names.join(', ')}]`,
  );
}

const listed = <T extends object>(item: T, id: string) => ({
  ...item,
  id,
  createdAt: '1970-01-01T00:00:00.000Z',
});

export function instanceTypeHandlers(account: Account) {
  return {
    DescribeInstanceTypes(input: DescribeInstanceTypesRequest): DescribeInstanceTypesResult {
      const unknown = (input.InstanceTypes ?? []).filter((name) => !INSTANCE_TYPES.has(name));
      if (unknown.length > 0) throw invalidTypes(unknown);
      const wanted = input.InstanceTypes?.length
        ? input.InstanceTypes.map((name) => findInstanceType(name))
        : [...INSTANCE_TYPES.values()];
      const found = filterItems(wanted, input.Filters, {
        'instance-type': ({ name }) => [name],
        'vcpu-info.default-vcpus': ({ vcpus }) => [vcpus],
        'memory-info.size-in-mib': ({ memoryMiB }) => [memoryMiB],
        'processor-info.supported-architecture': () => ['x86_64'],
        'supported-boot-mode': ({ bootModes }) => bootModes,
        'burstable-performance-supported': ({ burstable }) => [burstable],
        'current-generation': () => [true],
        hypervisor: () => ['nitro'],
      });
      const { items, NextToken } = page(
        found.map((entry) => listed(entry, entry.name)),
        input,
      );
      return {
        InstanceTypes: items.map((entry) => ({
          InstanceType: entry.name as _InstanceType,
          CurrentGeneration: true,
          FreeTierEligible: entry.name === 't3.micro',
          SupportedUsageClasses: ['on-demand', 'spot'],
          SupportedRootDeviceTypes: ['ebs'],
          SupportedVirtualizationTypes: ['hvm'],
          BareMetal: false,
          Hypervisor: 'nitro',
          ProcessorInfo: { SupportedArchitectures: ['x86_64'] },
          VCpuInfo: { DefaultVCpus: entry.vcpus, DefaultCores: entry.vcpus / 2, DefaultThreadsPerCore: 2 },
          MemoryInfo: { SizeInMiB: entry.memoryMiB },
          InstanceStorageSupported: false,
          EbsInfo: {
            EbsOptimizedSupport: 'default',
            EncryptionSupport: 'supported',
            NvmeSupport: 'required',
          },
          NetworkInfo: {
            EnaSupport: 'required',
            MaximumNetworkInterfaces: 2,
            Ipv4AddressesPerInterface: entry.addressesPerCard,
          },
          BurstablePerformanceSupported: entry.burstable,
          SupportedBootModes: entry.bootModes,
        })),
        NextToken,
      };
    },

    DescribeInstanceTypeOfferings(
      input: DescribeInstanceTypeOfferingsRequest,
    ): DescribeInstanceTypeOfferingsResult {
      const kind = input.LocationType ?? 'region';
      const zones = availabilityZones(account.config.region);
      const locations =
        kind === 'region'
          ? [account.config.region]
          : kind === 'availability-zone'
            ? zones.map((zone) => zone.name)
            : kind === 'availability-zone-id'
              ? zones.map((zone) => zone.id)
              : [];
      const offers = locations.flatMap((location) =>
        [...INSTANCE_TYPES.keys()].map((type) => listed({ location, type }, `${location}/${type}`)),
      );
      const found = filterItems(offers, input.Filters, {
        'instance-type': ({ type }) => [type],
        location: ({ location }) => [location],
      });
      const { items, NextToken } = page(found, input);
      return {
        InstanceTypeOfferings: items.map(({ type, location }) => ({
          InstanceType: type as _InstanceType,
          LocationType: kind,
          Location: location,
        })),
        NextToken,
      };
    },
  };
}
