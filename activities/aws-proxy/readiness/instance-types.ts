import {
  type EC2Client,
  type InstanceTypeInfo,
  paginateDescribeInstanceTypeOfferings,
  paginateDescribeInstanceTypes,
} from '@aws-sdk/client-ec2';
import { type Firmware } from '../../../hypervisor/port';
import { type DrPlan } from '../../../plan/schema';
import { type DrCopy } from '../account/contract';
import { bootModes } from '../account/images';
import { FILTER_VALUES } from '../account/lookup';

/** The most that DescribeInstanceTypes gives a page. EC2 API Reference, MaxResults. */
const PAGE_SIZE = 100;

/** What an instance type of a VM has to be good for. */
export interface TypePlace {
  /** In which it may run, in order of preference. */
  zones: string[];
  /** Private addresses of its network card. */
  addresses: number;
}

/** The instance types that a plan names, as EC2 has them. */
export interface SiteTypes {
  /** By name; what does not exist is absent. */
  types: ReadonlyMap<string, InstanceTypeInfo>;
  /** Names by the zone that offers them. */
  offered: ReadonlyMap<string, ReadonlySet<string>>;
}

/** By filters, which find what there is; of names, one that does not exist would be an error. @param zones in which they may be wanted */
export async function findTypes(ec2: EC2Client, plan: DrPlan, zones: readonly string[]): Promise<SiteTypes> {
  const names = [...new Set(plan.vms.flatMap((vm) => vm.instanceTypes))];
  const types = new Map<string, InstanceTypeInfo>();
  const offered = new Map<string, Set<string>>(zones.map((zone) => [zone, new Set()]));
  for (let at = 0; at < names.length; at += FILTER_VALUES) {
    const wanted = { Name: 'instance-type', Values: names.slice(at, at + FILTER_VALUES) };
    const pages = paginateDescribeInstanceTypes({ client: ec2, pageSize: PAGE_SIZE }, { Filters: [wanted] });
    for await (const { InstanceTypes } of pages)
      for (const type of InstanceTypes ?? []) types.set(type.InstanceType ?? '', type);
    if (zones.length === 0) continue;
    const offerings = paginateDescribeInstanceTypeOfferings(
      { client: ec2, pageSize: PAGE_SIZE },
      {
        LocationType: 'availability-zone',
        Filters: [wanted, { Name: 'location', Values: [...zones] }],
      },
    );
    for await (const { InstanceTypeOfferings } of offerings)
      for (const { InstanceType, Location } of InstanceTypeOfferings ?? [])
        offered.get(Location ?? '')?.add(InstanceType ?? '');
  }
  return { types, offered };
}

/** What is wrong with the instance types of the plan. @param places by VM */
export function typeFindings(
  { types, offered }: SiteTypes,
  plan: DrPlan,
  drCopies: DrCopy[],
  places: ReadonlyMap<string, TypePlace>,
): string[] {
  const byCopy = new Set(drCopies.flatMap(({ vm, launchCopy }) => (launchCopy === undefined ? [] : [vm])));
  /** Volumes are made in the VM's first zone; a launch copy goes to any of its zones. */
  const offerFindings = (vm: string, type: string): string[] => {
    const all = places.get(vm)?.zones ?? [];
    const possible = byCopy.has(vm) ? all : all.slice(0, 1);
    return possible.length === 0 || possible.some((zone) => offered.get(zone)?.has(type))
      ? []
      : [`The instance type ${type} of ${vm} is not offered in ${possible.join(' or ')}.`];
  };
  const firmwareOf = new Map(drCopies.map(({ vm, configuration }) => [vm, configuration.firmware]));
  return plan.vms.flatMap((vm) =>
    vm.instanceTypes.flatMap((name) => {
      const type = types.get(name);
      if (type === undefined)
        return [`The instance type ${name} of ${vm.name} does not exist in this Region.`];
      const firmware = firmwareOf.get(vm.name);
      return [
        ...hardwareFindings(type, firmware, places.get(vm.name)?.addresses).map(
          (finding) => `The instance type ${name} of ${vm.name} ${finding}.`,
        ),
        ...offerFindings(vm.name, name),
      ];
    }),
  );
}

/** Why a guest from a data centre would not boot on the type. What EC2 does not say is not held against it. */
export function hardwareFindings(
  type: InstanceTypeInfo,
  firmware: Firmware | undefined,
  addresses = 1,
): string[] {
  const most = type.NetworkInfo?.Ipv4AddressesPerInterface ?? Infinity;
  const architectures: string[] = type.ProcessorInfo?.SupportedArchitectures ?? [];
  const modes: string[] | undefined = type.SupportedBootModes;
  return [
    ...(architectures.includes('x86_64')
      ? []
      : [`is ${architectures.join(', ') || 'of no known architecture'}, not x86_64`]),
    ...(firmware === undefined || modes === undefined || modes.includes(bootModes[firmware])
      ? []
      : [`does not boot in ${bootModes[firmware]} mode, which the VM's firmware needs`]),
    // Older types offer Xen disks and cards, for which no driver is injected.
    ...(type.EbsInfo?.NvmeSupport === 'unsupported' ? ['has no NVMe disks'] : []),
    ...(type.NetworkInfo?.EnaSupport === 'unsupported' ? ['has no ENA network card'] : []),
    ...(addresses > most ? [`takes ${most} addresses on its network card, not ${addresses}`] : []),
  ];
}
