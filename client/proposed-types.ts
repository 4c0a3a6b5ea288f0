import { type EC2Client, paginateDescribeInstanceTypes } from '@aws-sdk/client-ec2';
import { bootModes } from '../activities/aws-proxy/account/images';
import { mapAhead } from '../blocks/pipeline';
import { type Firmware } from '../hypervisor/port';
import { type OfferedType, proposeTypes, type VmSize } from '../plan/propose-types';
import { type DrPlan } from '../plan/schema';
import { MANIFESTS_AT_ONCE, newestManifest } from '../repository/backups/backups';
import { type ObjectStore } from '../repository/objects/object-store';

/** Instance types for a VM, by its newest backup. */
export interface ProposedTypes {
  vm: string;
  /** What it has at home; absent where it was never backed up. */
  size?: VmSize;
  /** The plan's own, and whether each is as large as the VM; `unknown` where the Region has none of that name. */
  planned: { type: string; fits: boolean | 'unknown' }[];
  /** In order of their likely price; empty where none is large enough, or nothing is known of the VM. */
  proposed: string[];
}

/** The most that DescribeInstanceTypes gives a page. EC2 API Reference, MaxResults. */
const PAGE_SIZE = 100;

interface RegionType extends OfferedType {
  bootModes: string[] | undefined;
}

/** Reads the VMs' newest backups and the Region's instance types. Changes nothing. */
export async function proposedTypes(
  { vms }: Pick<DrPlan, 'vms'>,
  { ec2, store }: { ec2: EC2Client; store: ObjectStore },
): Promise<ProposedTypes[]> {
  const types = await typesOfRegion(ec2);
  const byName = new Map(types.map((type) => [type.name, type]));
  const read = async ({ name: vm, instanceTypes }: DrPlan['vms'][number]): Promise<ProposedTypes> => {
    const configuration = (await newestManifest(store, vm))?.configuration;
    if (configuration === undefined)
      return { vm, planned: instanceTypes.map((type) => ({ type, fits: 'unknown' })), proposed: [] };
    const { cpus, memoryMiB, firmware } = configuration;
    const fits = (type: string): boolean | 'unknown' => {
      const known = byName.get(type);
      return known === undefined ? 'unknown' : known.vcpus >= cpus && known.memoryMiB >= memoryMiB;
    };
    return {
      vm,
      size: { cpus, memoryMiB },
      planned: instanceTypes.map((type) => ({ type, fits: fits(type) })),
      proposed: proposeTypes(
        { cpus, memoryMiB },
        types.filter((type) => boots(type, firmware)),
      ),
    };
  };
  const found: ProposedTypes[] = [];
  for await (const proposal of mapAhead(vms, MANIFESTS_AT_ONCE, read)) found.push(proposal);
  return found;
}

const boots = (type: RegionType, firmware: Firmware): boolean =>
  type.bootModes?.includes(bootModes[firmware]) !== false;

/** Those of today that a guest of a data centre runs on: x86_64, with the disks and cards that drivers are put in for. */
async function typesOfRegion(ec2: EC2Client): Promise<RegionType[]> {
  const found: RegionType[] = [];
  const Filters = [
    { Name: 'current-generation', Values: ['true'] },
    { Name: 'hypervisor', Values: ['nitro'] },
    { Name: 'processor-info.supported-architecture', Values: ['x86_64'] },
  ];
  const pages = paginateDescribeInstanceTypes({ client: ec2, pageSize: PAGE_SIZE }, { Filters });
  for await (const { InstanceTypes } of pages)
    for (const { InstanceType: name = '', VCpuInfo, MemoryInfo, SupportedBootModes } of InstanceTypes ?? [])
      found.push({
        name,
        vcpus: VCpuInfo?.DefaultVCpus ?? 0,
        memoryMiB: MemoryInfo?.SizeInMiB ?? 0,
        bootModes: SupportedBootModes,
      });
  return found;
}
