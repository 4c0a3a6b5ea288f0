import { type DrPlan } from '../../plan/schema';
import { shopSites } from '../../sandbox/shop-sites';

/** A plan for VMs without an operating system: for everything but booting them. */
export function plainPlan(name: string, vms: string[], changes: Partial<DrPlan> = {}): DrPlan {
  return {
    name,
    ...shopSites(),
    replication: { frequency: 3600, copy: 'direct' },
    vms: vms.map((vm, index) => ({
      name: vm,
      instanceTypes: ['m6i.large'],
      dependsOn: [],
      hostNames: [],
      readiness: { tcp: 80, timeout: 60 },
      primaryAddress: `192.168.10.${100 + index}`,
    })),
    ...changes,
  };
}
