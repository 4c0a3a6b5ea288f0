import { type PlannedVm, type RecoverySubnet, type VmRecoverySite } from '../schema';

/** Where one VM runs at the recovery site: the plan's values, with the VM's own in their place. */
export interface VmSite extends Omit<RecoverySubnet, 'volumes'> {
  privateAddress?: string;
  /** Of the same network card. */
  secondaryAddresses?: string[];
}

type Overrides = NonNullable<VmRecoverySite['production']>;

/** The VM's own values for a failover, or for a test. */
export function overridesOf({ recoverySite }: Pick<PlannedVm, 'recoverySite'>, test: boolean): Overrides {
  return (test ? recoverySite?.test : recoverySite?.production) ?? {};
}

/** Field by field; tags key by key. */
export function vmSite(
  site: RecoverySubnet,
  vm: Pick<PlannedVm, 'recoverySite' | 'privateAddress'>,
  test: boolean,
): VmSite {
  const own = overridesOf(vm, test);
  const subnets =
    own.subnets === undefined && own.subnet === undefined
      ? { subnet: site.subnet, subnets: site.subnets }
      : { subnet: own.subnet, subnets: own.subnets };
  const tags = { ...site.tags, ...own.tags };
  // The VM's own `privateAddress` belongs to the production subnet; a test may run beside it.
  const privateAddress = own.privateAddress ?? (test ? undefined : vm.privateAddress);
  const instanceProfile = own.instanceProfile ?? site.instanceProfile;
  return {
    ...subnets,
    securityGroups: own.securityGroups ?? site.securityGroups,
    publicAddress: own.publicAddress ?? site.publicAddress,
    ...(instanceProfile === undefined ? {} : { instanceProfile }),
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
    ...(privateAddress === undefined ? {} : { privateAddress }),
    ...(own.secondaryAddresses === undefined ? {} : { secondaryAddresses: own.secondaryAddresses }),
  };
}

/** All addresses of the VM that are fixed there, the first of its card first. */
export function fixedAddresses({ privateAddress, secondaryAddresses = [] }: VmSite): string[] {
  return privateAddress === undefined ? secondaryAddresses : [privateAddress, ...secondaryAddresses];
}
