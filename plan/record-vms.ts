import { type PlannedDnsRecord } from './dns-record';

/** VMs whose addresses a record gets; none where it leads to a name. */
export function vmsOf({ vm, vms }: Pick<PlannedDnsRecord, 'vm' | 'vms'>): string[] {
  return vms ?? (vm === undefined ? [] : [vm]);
}
