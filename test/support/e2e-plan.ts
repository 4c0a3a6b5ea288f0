import { type DrPlan } from '../../plan/schema';
import {
  PRODUCTION_SECURITY_GROUP_ID,
  PRODUCTION_SUBNET_ID,
  REGION,
  SHOP_BUCKET,
  TEST_SECURITY_GROUP_ID,
  TEST_SUBNET_ID,
} from '../../sandbox/aws/fixtures';

/** A plan for VMs without an operating system: for everything but booting them. */
export function plainPlan(name: string, vms: string[], changes: Partial<DrPlan> = {}): DrPlan {
  return {
    name,
    primarySite: { hypervisor: 'local' },
    recoverySite: {
      region: REGION,
      production: {
        subnet: PRODUCTION_SUBNET_ID,
        securityGroups: [PRODUCTION_SECURITY_GROUP_ID],
        publicAddress: false,
      },
      test: { subnet: TEST_SUBNET_ID, securityGroups: [TEST_SECURITY_GROUP_ID], publicAddress: false },
    },
    repository: {
      bucket: SHOP_BUCKET,
      prefix: 'dr/',
      retention: { keepLast: 30, keepDaily: 14, keepWeekly: 8, keepMonthly: 0 },
    },
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
