import { randomBytes } from 'node:crypto';
import { readIfExists } from '../../../host/if-exists';
import { writeFileAtomically } from '../../../host/atomic-file';
import { type DiskArea } from '../../../hypervisor/port';

/** A disk as vCenter tells of it. */
export interface DiskOf {
  /** VMware's, and recycled: the file says which disk it is. */
  key: number;
  unit: number;
  /** Type of the controller, such as `ParaVirtualSCSIController`. */
  controller: string;
  bus: number;
  uuid: string;
  capacity: number;
  /** Path of the descriptor. */
  file: string;
  mode: string;
}

/** A VM as vCenter tells of it with each deed that it asks for. */
export interface MachineOf {
  /** Managed object id. */
  vm: string;
  name: string;
  instanceUuid: string;
  cpus: number;
  memoryMiB: number;
  firmware: string;
  nics: { mac: string; network: string }[];
  disks: DiskOf[];
  /** What its serial port writes to; empty without one. */
  serialFile: string;
  /** It stands for the machine that this process runs on. */
  thisHost: boolean;
  /** Whether the guest is told its disks' UUIDs. */
  showsIds: boolean;
}

/** A file of a disk: the flat one at the bottom, and one more for each snapshot. */
export interface Layer {
  /** Path of the descriptor; the name by which vCenter knows it. */
  file: string;
  /** Path of the bytes. */
  data: string;
  format: 'raw' | 'qcow2';
  /** Of its node in the running QEMU. */
  node: string;
  /** Intervals of change tracking whose writes may be in it. None for the bottom, which a bitmap watches. */
  intervals: number[];
}

export interface Disk extends DiskOf {
  /** From the bottom to the one that is written to. */
  chain: Layer[];
  /** Position on the controller of the machine that QEMU makes. */
  slot: number;
  tracking: Tracking;
}

/** Which parts of a disk were written between snapshots: interval n begins at the n-th snapshot of its life. */
export interface Tracking {
  /** First half of the change ids, new when what was tracked is lost. */
  uuid: string;
  interval: number;
  /** Areas of intervals that no bitmap and no layer has any more. */
  saved: Record<string, DiskArea[]>;
}

export interface Machine {
  vm: string;
  name: string;
  instanceUuid: string;
  disks: Disk[];
  snapshots: Record<string, SnapshotRecord>;
  /** Number of the newest layer. */
  serial: number;
  running: boolean;
}

/** By the disk's bottom file. */
export type SnapshotRecord = Record<
  string,
  { key: number; frozen: string; interval: number; changeId?: string }
>;

/** A disk that is attached to the machine that this process runs on. */
export interface Attachment {
  vm: string;
  file: string;
  /** What stands for the device; absent where it shows none. */
  path?: string;
  /** Of the daemon that shows it. */
  pidFile?: string;
}

export interface HostState {
  machines: Record<string, Machine>;
  attachments: Attachment[];
}

export async function readState(path: string): Promise<HostState> {
  const text = await readIfExists(path);
  return text === undefined ? { machines: {}, attachments: [] } : (JSON.parse(text) as HostState);
}

export async function writeState(path: string, state: HostState): Promise<void> {
  await writeFileAtomically(path, JSON.stringify(state));
}

export function newTracking(): Tracking {
  const bytes = ['52', ...[...randomBytes(15)].map((byte) => byte.toString(16).padStart(2, '0'))];
  // As VMware writes UUIDs of change tracking: 52 de c0 d9 b9 43 9d 10-61 35 1b 3c 8e 0f 7b aa
  return { uuid: `${bytes.slice(0, 8).join(' ')}-${bytes.slice(8).join(' ')}`, interval: 0, saved: {} };
}

export function topOf({ chain }: Disk): Layer {
  return chain.at(-1) as Layer;
}

export function bottomOf({ chain }: Disk): Layer {
  return chain[0] as Layer;
}

/** Of the descriptor's extent; snapshots' files are a descriptor and bytes in one. */
export function flatFile(descriptor: string): string {
  return descriptor.replace(/\.vmdk$/, '-flat.vmdk');
}
