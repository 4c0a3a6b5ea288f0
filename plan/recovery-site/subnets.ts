import { type RecoverySubnet } from '../schema';

/** The subnets of a site, in order of preference. */
export function subnetsOf({ subnet, subnets }: Pick<RecoverySubnet, 'subnet' | 'subnets'>): string[] {
  return subnets ?? (subnet === undefined ? [] : [subnet]);
}
