import { type DrPlan } from '../plan/schema';
import {
  PRODUCTION_SECURITY_GROUP_ID,
  PRODUCTION_SUBNET_ID,
  REGION,
  SHOP_BUCKET,
  TEST_SECURITY_GROUP_ID,
  TEST_SUBNET_ID,
} from './aws/fixtures';

/** Sites and repository of a plan in the sandbox's account, without public addresses; to be changed as the caller likes. */
export function shopSites(): Pick<DrPlan, 'primarySite' | 'recoverySite' | 'repository'> {
  return {
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
  };
}
