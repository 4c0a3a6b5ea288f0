import { type EC2Client } from '@aws-sdk/client-ec2';
import { type ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { type Finding } from '../../../plan/readiness';
import { mergedVolumeSettings, volumeLayers } from '../../../plan/recovery-site/volume-settings';
import { DEFAULT_VOLUME_TYPE, type VolumeTypeName } from '../../../plan/recovery-site/volume-types';
import { type DrPlan } from '../../../plan/schema';
import { type DrCopy } from '../account/contract';
import { listVolumes } from '../account/lookup';
import { readTags } from '../account/tags';
import { notAsked, quotaLimit } from './service-quota';

/** Quotas of storage, in TiB. "Quotas for Amazon EBS", Amazon EBS User Guide; codes as `aws service-quotas list-service-quotas --service-code ebs` tells them. */
const STORAGE_QUOTAS: Record<VolumeTypeName, { code: string; name: string }> = {
  gp3: { code: 'L-7A658B76', name: 'Storage for General Purpose SSD (gp3) volumes, in TiB' },
  gp2: { code: 'L-D18FCD1D', name: 'Storage for General Purpose SSD (gp2) volumes, in TiB' },
  io1: { code: 'L-FD252861', name: 'Storage for Provisioned IOPS SSD (io1) volumes, in TiB' },
  io2: { code: 'L-09BD8365', name: 'Storage for Provisioned IOPS SSD (io2) volumes, in TiB' },
  st1: { code: 'L-82ACEF56', name: 'Storage for Throughput Optimized HDD (st1) volumes, in TiB' },
  sc1: { code: 'L-17AF77E8', name: 'Storage for Cold HDD (sc1) volumes, in TiB' },
};

const GIB_PER_TIB = 1024;

/**
 * Quotas of EBS storage that are too small for the volumes of all DR copies beside those that there are. The volumes of a failover of
 * this plan do not count: the next one replaces them.
 */
export async function ebsQuotaFindings(
  ec2: EC2Client,
  serviceQuotas: ServiceQuotasClient,
  plan: DrPlan,
  drCopies: readonly DrCopy[],
): Promise<Finding[]> {
  const needed = neededGiB(plan, drCopies);
  if (needed.size === 0) return [];
  const used = await usedGiB(ec2, plan.name, [...needed.keys()]);
  const findings = await Promise.all(
    [...needed].map(async ([type, need]) => {
      const quota = STORAGE_QUOTAS[type];
      const limit = await quotaLimit(serviceQuotas, 'ebs', quota.code);
      if (typeof limit === 'string') return [notAsked(quota, limit)];
      const there = used.get(type) ?? 0;
      return there + need > limit * GIB_PER_TIB ? [tooSmall(quota, { need, there, limit })] : [];
    }),
  );
  return findings.flat();
}

function tooSmall(
  { code, name }: { code: string; name: string },
  { need, there, limit }: { need: number; there: number; limit: number },
): Finding {
  const wanted = Math.ceil((there + need) / GIB_PER_TIB);
  return {
    code: 'ebs-quota',
    severity: 'impossible',
    text: `The volumes of the plan's VMs need ${need} GiB of the quota "${name}" (${code}), which is ${limit} TiB; ${there} GiB are in use beside them.`,
    todo: `Ask for ${wanted} or more: aws service-quotas request-service-quota-increase --service-code ebs --quota-code ${code} --desired-value ${wanted}. AWS takes hours to days to grant it.`,
    about: code,
  };
}

/** GiB by the type of volume that the plan wants for each disk of production. */
function neededGiB(plan: DrPlan, drCopies: readonly DrCopy[]): Map<VolumeTypeName, number> {
  const needed = new Map<VolumeTypeName, number>();
  for (const vm of plan.vms)
    for (const disk of drCopies.find((copy) => copy.vm === vm.name)?.disks ?? []) {
      const { volumeType = DEFAULT_VOLUME_TYPE } = mergedVolumeSettings(
        volumeLayers(plan, vm, false, disk.key),
      );
      needed.set(volumeType, (needed.get(volumeType) ?? 0) + disk.volumeGiB);
    }
  return needed;
}

/** GiB of the account's volumes of these types, but for those that a failover of this plan has made. */
async function usedGiB(ec2: EC2Client, plan: string, types: VolumeTypeName[]): Promise<Map<string, number>> {
  const used = new Map<string, number>();
  for (const { VolumeType = '', Size = 0, Tags } of await listVolumes(ec2, [
    { Name: 'volume-type', Values: types },
  ])) {
    const tags = readTags(Tags, ['plan', 'run', 'role']);
    if (tags?.plan === plan && tags.role === 'recovery') continue;
    used.set(VolumeType, (used.get(VolumeType) ?? 0) + Size);
  }
  return used;
}
