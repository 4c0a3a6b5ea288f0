import type { VmConfiguration } from '../../hypervisor/port';

/** A sample VM, ready to be given to the sandbox's data centre. */
export interface SampleGuest {
  name: string;
  configuration: VmConfiguration;
  /** Per disk of the configuration a raw image. It belongs to the cache: copy it, do not write to it. */
  rawDisks: { key: string; path: string; wwn?: string }[];
  /** What the firmware of a UEFI VM has in its memory: a boot entry. Belongs to the cache, too. */
  uefiVariables?: string;
}
