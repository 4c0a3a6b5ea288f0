import { type TokenMark } from './tokens';

export type Tags = Record<string, string>;

interface Resource {
  id: string;
  tags: Tags;
  /** ISO 8601; also the order in which lists show the resource. */
  createdAt: string;
  tokenMark?: TokenMark;
  /** Set when the resource is gone for all but its client token. ISO 8601. */
  deletedAt?: string;
}

export interface Attachment {
  instanceId: string;
  device: string;
  state: 'attaching' | 'attached' | 'detaching';
  deleteOnTermination: boolean;
  attachedAt: string;
}

export interface VolumeRecord extends Resource {
  state: 'creating' | 'available' | 'in-use' | 'deleting' | 'error';
  sizeGiB: number;
  availabilityZone: string;
  snapshotId?: string;
  encrypted: boolean;
  kmsKeyId?: string;
  volumeType: string;
  iops?: number;
  throughput?: number;
  /** MiB/s that were asked for; here, a volume has all its blocks at once. */
  volumeInitializationRate?: number;
  attachment?: Attachment;
  /** Block map that the volume's bytes come from: only what differs from it goes into the next snapshot. */
  baseMap?: string;
  /** Snapshots with one lineage can be compared block by block. */
  lineage: string;
  /** Made by RunInstances for this instance; removed at start where that was never recorded. */
  madeFor?: string;
}

/** A lock on a snapshot. Times are ISO 8601. */
export interface SnapshotLockRecord {
  mode: 'governance' | 'compliance';
  createdAt: string;
  /** Absent where an expiration date was asked for. */
  days?: number;
  expiresAt?: string;
  /** Of compliance, where a cool-off was asked for. */
  coolOffHours?: number;
  coolOffUntil?: string;
}

export interface SnapshotRecord extends Resource {
  state: 'pending' | 'completed' | 'error';
  stateMessage?: string;
  volumeId: string;
  sizeGiB: number;
  description: string;
  encrypted: boolean;
  kmsKeyId?: string;
  startedAt: string;
  completedAt?: string;
  lineage: string;
  parentSnapshotId?: string;
  /** Block map of the parent, on which a pending snapshot's own blocks will lie. */
  parentMap?: string;
  /** The snapshot's block map; absent until it is sealed. */
  map?: string;
  /** Layer that the snapshot's own blocks go to. */
  layer: string;
  /** EBS direct: written block by block, until CompleteSnapshot. */
  direct?: { timeoutMinutes: number; completing: boolean };
  /** CreateSnapshot: frozen copy of the volume, and the map it is compared with. */
  copy?: { stagingFile: string; baseMap?: string };
  /** The last lock, also where it is over. */
  lock?: SnapshotLockRecord;
}

/** What AWS bills for what runs from an image, beside the instance; words of the API. */
export interface Billing {
  platformDetails: string;
  usageOperation: string;
  productCodes?: { id: string; type: 'devpay' | 'marketplace' }[];
}

export interface ImageRecord extends Resource {
  /** The account that shares it with all; absent on this account's own. */
  vendor?: { ownerId: string; alias: 'amazon' | 'aws-marketplace' };
  /** Absent: Linux without a licence. */
  billing?: Billing;
  name: string;
  description: string;
  architecture: string;
  rootDeviceName: string;
  bootMode?: 'legacy-bios' | 'uefi' | 'uefi-preferred';
  enaSupport: boolean;
  blockDevices: ImageDevice[];
}

export interface ImageDevice {
  deviceName: string;
  snapshotId?: string;
  sizeGiB?: number;
  volumeType: string;
  iops?: number;
  throughput?: number;
  /** Of launches only; no image has it. */
  volumeInitializationRate?: number;
  deleteOnTermination: boolean;
  encrypted: boolean;
}

export type InstanceState = 'pending' | 'running' | 'stopping' | 'stopped' | 'shutting-down' | 'terminated';

/** How an instance reaches its metadata; words of the API. */
export interface MetadataOptions {
  httpEndpoint: 'enabled' | 'disabled';
  httpTokens: 'required' | 'optional';
}

export interface InstanceRecord extends Resource {
  reservationId: string;
  launchIndex: number;
  state: InstanceState;
  stateReason?: { code: string; message: string };
  stateTransitionReason: string;
  /** How a stop or termination under way goes about it. */
  stopMode?: 'graceful' | 'forced';
  imageId: string;
  /** The image's, for as long as the instance is there, whatever is on its root. */
  billing?: Billing;
  instanceType: string;
  subnetId: string;
  securityGroups: string[];
  privateAddress: string;
  /** Further ones of its network interface. */
  secondaryAddresses?: string[];
  /** Whether the instance gets a public address whenever it starts. */
  wantsPublicAddress: boolean;
  publicAddress?: string;
  /** The one that it had last. */
  previousPublicAddress?: string;
  launchedAt: string;
  /** Whether it has been up since it was launched. */
  hasRun?: boolean;
  rootDeviceName: string;
  bootMode?: 'legacy-bios' | 'uefi' | 'uefi-preferred';
  architecture: string;
  keyName?: string;
  /** ARN. */
  instanceProfile?: string;
  /** In base64. */
  userData?: string;
  /** Absent: what EC2 takes where nothing is said. */
  metadataOptions?: MetadataOptions;
  sourceDestCheck: boolean;
  disableApiTermination: boolean;
  shutdownBehavior: 'stop' | 'terminate';
  /** ISO 8601; a terminated instance is still shown for a while. */
  terminatedAt?: string;
  /** A running instance without machine: this host. */
  host?: boolean;
}

/** What a root volume is replaced by, and how far that is. */
export interface RootReplacementRecord extends Resource {
  instanceId: string;
  volumeId: string;
  /** The root that was there before, once it is off. */
  replacedVolumeId?: string;
  deleteReplaced: boolean;
  state: RootReplacementState;
  startedAt: string;
  completedAt?: string;
}

/** EC2 API Reference, ReplaceRootVolumeTask. */
type RootReplacementState =
  'pending' | 'in-progress' | 'failing' | 'succeeded' | 'failed' | 'failed-detached';
