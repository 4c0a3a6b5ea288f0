import { type DrCopy } from '../activities/aws-proxy/contract';
import { type HostEntry } from '../guest/port';
import { type RunContext } from '../plan/run';
import { type PlannedVm, type RecoverySubnet } from '../plan/schema';
import { type OnFailure } from './run/attention';

/** One VM of a failover: what it is made from, where, and what it finds there. */
export interface FailoverVmRequest {
  run: RunContext;
  vm: PlannedVm;
  site: RecoverySubnet;
  test: boolean;
  availabilityZone: string;
  drCopy: DrCopy;
  /** Where this VM finds the VMs that it depends on. */
  hosts: HostEntry[];
  onFailure: OnFailure;
}
