import { type EC2Client, type Instance } from '@aws-sdk/client-ec2';
import { type ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { type Finding } from '../../../plan/readiness';
import { type DrPlan } from '../../../plan/schema';
import { listInstances } from '../account/lookup';
import { readTags } from '../account/tags';
import { type SiteTypes } from './instance-types';
import { notAsked, quotaLimit } from './service-quota';
import { type VcpuQuota, vcpuQuotaOf } from './vcpu-quota';

/** vCPUs by the code of the quota that they count against. */
type Vcpus = Map<string, { quota: VcpuQuota; vcpus: number }>;

/**
 * Quotas of vCPUs that the account has too little of for all of the plan's VMs beside what runs. It is counted by each VM's first
 * instance type: what comes after that is for when AWS has no capacity.
 */
export async function vcpuFindings(
  ec2: EC2Client,
  serviceQuotas: ServiceQuotasClient,
  plan: DrPlan,
  { types }: Pick<SiteTypes, 'types'>,
): Promise<Finding[]> {
  const needed = neededVcpus(types, plan);
  if (needed.size === 0) return [];
  const running = await runningVcpus(ec2, plan.name);
  const findings = await Promise.all(
    [...needed].map(async ([code, { quota, vcpus: need }]) => {
      const limit = await quotaLimit(serviceQuotas, 'ec2', code);
      const used = running.get(code)?.vcpus ?? 0;
      if (typeof limit === 'string') return [notAsked(quota, limit)];
      return used + need > limit ? [tooSmall(quota, { need, used, limit })] : [];
    }),
  );
  return findings.flat();
}

function tooSmall(
  { code, name }: VcpuQuota,
  { need, used, limit }: { need: number; used: number; limit: number },
): Finding {
  return {
    code: 'vcpu-quota',
    severity: 'impossible',
    text: `The plan's VMs need ${need} vCPUs of the quota "${name}" (${code}), which is ${limit}; ${used} are in use beside them.`,
    todo: `Ask for ${used + need} or more: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code ${code} --desired-value ${used + need}. AWS takes hours to days to grant it.`,
    about: code,
  };
}

function neededVcpus(types: SiteTypes['types'], { vms }: DrPlan): Vcpus {
  const needed: Vcpus = new Map();
  for (const [first] of vms.map(({ instanceTypes }) => instanceTypes))
    // A type that does not exist is another finding.
    if (first !== undefined) add(needed, first, types.get(first)?.VCpuInfo?.DefaultVCpus ?? 0);
  return needed;
}

/** On-Demand instances that run, but for those of a failover of this plan, which the next one replaces. */
async function runningVcpus(ec2: EC2Client, plan: string): Promise<Vcpus> {
  const running: Vcpus = new Map();
  const states = [{ Name: 'instance-state-name', Values: ['pending', 'running'] }];
  for (const instance of await listInstances(ec2, states)) {
    const { InstanceType = '', InstanceLifecycle, Placement, Tags } = instance;
    // Spot instances and dedicated hosts have quotas of their own.
    if (InstanceLifecycle !== undefined || Placement?.Tenancy === 'host') continue;
    const tags = readTags(Tags, ['plan', 'run', 'role']);
    if (tags?.plan === plan && tags.role === 'recovery') continue;
    add(running, InstanceType, vcpusOf(instance));
  }
  return running;
}

const vcpusOf = ({ CpuOptions }: Instance): number =>
  (CpuOptions?.CoreCount ?? 0) * (CpuOptions?.ThreadsPerCore ?? 1);

function add(to: Vcpus, instanceType: string, vcpus: number): void {
  const quota = vcpuQuotaOf(instanceType);
  if (quota === undefined) return;
  to.set(quota.code, { quota, vcpus: (to.get(quota.code)?.vcpus ?? 0) + vcpus });
}
