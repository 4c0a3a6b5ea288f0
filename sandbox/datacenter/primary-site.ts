import { type Hypervisor } from '../../hypervisor/port';
import { type ImportedVm } from './datacenter';

/** What is in the primary site, half a VM's files included. */
export interface ListedVm {
  name: string;
  disks: string[];
  /** Whatever belongs to a disk, an overlay or an open way to one and is not the disk itself. */
  besides: string[];
}

/** The sandbox's data centre, whichever hypervisor runs its VMs. */
export interface PrimarySite {
  /** As the backup proxy sees it. */
  readonly hypervisor: Hypervisor;
  /** Makes it, or finds the one that is there, with its network up. VMs are not started. */
  open(): Promise<void>;
  /** Waits until whatever runs its VMs answers. @throws where it does not */
  untilServing(): Promise<void>;
  /** Puts a VM in, powered off. It appears with all its disks or not at all. @throws VmExistsError */
  importVm(vm: ImportedVm): Promise<void>;
  /** The disaster: every VM loses its power, and its disks are gone. */
  destroy(): Promise<void>;
  /** What is left of its VMs after {@link destroy}. */
  survivors(): Promise<string[]>;
  /** Ends all VMs and disks handed out, without removing anything; as when the sandbox goes down. */
  stop(): Promise<void>;
  list(): Promise<ListedVm[]>;
  /** Where on this host the bytes are of a disk that was made by its hypervisor, for whoever looks behind its back. */
  rawFile(vm: string, diskKey: string): string;
}
