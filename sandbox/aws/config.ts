import { type Limits } from './limits';
import { type Etags } from './s3/buckets';
import { type Billing, type ImageRecord } from './state/records';

/** A sandbox's network as the sandbox's other parts know it; see machines/network/segment.ts. */
export interface NetworkReference {
  id: string;
  runDirectory: string;
}

/** How long things take, in seconds. Real times are longer; the order of the states is the same. */
export interface Times {
  /** pending → running, on top of what the machine takes to be started. */
  instanceStart: number;
  /** From a start until the status checks have been made; until then they are `initializing`. Minutes on EC2. */
  statusChecks: number;
  /** stopping → stopped and shutting-down → terminated, on top of what the machine takes to go off. */
  instanceStop: number;
  /** How long a plain stop waits for the guest to power itself off before the power is taken away. */
  powerDown: number;
  /** creating → available, on top of the copying. */
  volumeCreate: number;
  /** attaching → attached and detaching → available. */
  volumeAttach: number;
  /** pending → in-progress and in-progress → succeeded of a root volume's replacement, each. */
  rootReplace: number;
  /** pending → completed, on top of the copying. */
  snapshotComplete: number;
  /** A day of a snapshot's lock, whose time is counted in days; an hour of its cool-off is a 24th of it. */
  lockDay: number;
  /** PENDING → INSYNC of a DNS change. */
  dnsPropagation: number;
  /** Until a session of an assumed role ends at the latest, whatever was asked for. STS gives a quarter of an hour at least. */
  session: number;
  /** How long terminated instances, client tokens of deleted resources and ended sessions are remembered. */
  remember: number;
  /** How often the endpoint looks whether machines still run. */
  watch: number;
}

export const DEFAULT_TIMES: Times = {
  instanceStart: 0.5,
  statusChecks: 2,
  instanceStop: 0.5,
  powerDown: 60,
  volumeCreate: 0.3,
  volumeAttach: 0.3,
  rootReplace: 0.3,
  snapshotComplete: 0.5,
  lockDay: 86_400,
  dnsPropagation: 0.5,
  session: 43_200,
  remember: 3600,
  watch: 1,
};

export interface VpcFixture {
  id: string;
  cidr: string;
  tags?: Record<string, string>;
}

export interface SubnetFixture {
  id: string;
  vpc: string;
  cidr: string;
  availabilityZone: string;
  /** Network segment of the sandbox that the subnet is. */
  segment: string;
  /** Instances get a public address unless the request says otherwise. */
  mapPublicIpOnLaunch?: boolean;
  /** A block of 64 bits, of which each instance gets an address; none where it is absent. */
  ipv6Cidr?: string;
  tags?: Record<string, string>;
}

export interface SecurityGroupFixture {
  id: string;
  name: string;
  vpc: string;
  description?: string;
  /** TCP ports that may be reached, and from where. */
  ingress: { fromPort: number; toPort: number; cidr: string }[];
  tags?: Record<string, string>;
}

/**
 * An image that a vendor shares with every account, and that AWS bills for. Nothing is on its root: who needs one here puts
 * another in its place.
 */
export interface VendorImageFixture {
  id: string;
  name: string;
  vendor: NonNullable<ImageRecord['vendor']>;
  billing: Billing;
  bootMode?: ImageRecord['bootMode'];
  rootDeviceName: string;
  rootGiB: number;
}

/** What exists in the account when the endpoint starts for the first time. */
export interface Fixtures {
  vpcs: VpcFixture[];
  subnets: SubnetFixture[];
  securityGroups: SecurityGroupFixture[];
  hostedZones: { id: string; name: string }[];
  /** Names of IAM instance profiles; none where absent. */
  instanceProfiles?: string[];
  /** Names of SNS topics in the account and Region; none where absent. */
  topics?: string[];
  vendorImages?: VendorImageFixture[];
  /** States of KMS keys by their ARNs; none but the one that AWS manages where absent. EBS here takes any key. */
  kmsKeys?: Record<string, 'Enabled' | 'Disabled' | 'PendingDeletion'>;
  /** Snapshots that a rule has kept when they were deleted, at `createdAt`; none where absent. */
  recycleBin?: { id: string; description: string; createdAt: string }[];
  /** Gateway endpoints of services in the VPCs, by the route tables that lead to them: the VPC's main one where absent. None where absent. */
  vpcEndpoints?: { id: string; vpc: string; service: string; routeTables?: string[] }[];
  /** Route tables beside the main one that each VPC has, and the subnets that go by them instead. None where absent. */
  routeTables?: { id: string; vpc: string; subnets: string[] }[];
  /** Values that AWS has given this account of quotas, by code; AWS's defaults where absent. They are told, and launches not held to them. */
  quotas?: Record<string, number>;
  /** Whether the account encrypts what EBS makes, with the key that AWS manages. Off where absent, as in accounts. */
  encryptionByDefault?: boolean;
  buckets: string[];
  /** Running instances without a machine: hosts outside the sandbox's networks, such as the AWS proxy. */
  hostInstances: {
    id: string;
    subnet: string;
    instanceType: string;
    privateAddress: string;
    tags?: Record<string, string>;
  }[];
}

/** Settings of the AWS-compatible endpoint, as its config file has them. */
export interface AwsEndpointConfig {
  /** State, volumes, snapshots and objects. */
  directory: string;
  listen: { host: string; port: number };
  /** Where the hosted zones are answered for. */
  dns: { host: string; port: number };
  region: string;
  /** Of the account's root user. Others and their roles are in a file: see iam/identity-file.ts. */
  accessKeyId: string;
  secretAccessKey: string;
  network: NetworkReference;
  /** N of the public addresses 127.N.20.x. */
  loopbackOctet: number;
  /** Where volumes attached to a host instance appear, as `nvme-Amazon_Elastic_Block_Store_vol<hex>`. */
  deviceDirectory: string;
  /** Whether instances are QEMU machines, or change states only. */
  runner: 'qemu' | 'no-boot';
  /** Whether instances find their metadata on their segments; as the runner needs it, unless said so. */
  metadata?: boolean;
  times?: Partial<Times>;
  /** API limits that are enforced; none unless said so. */
  limits?: Limits;
  /** Whether what every call asks of policies is written down in the directory (`asked.jsonl`), whoever makes it. */
  recordAsked?: boolean;
  /** Milliseconds that every request takes on top of its work. */
  latencyMs?: number;
  /** What ETags of S3 objects are; their MD5 unless said so. */
  etags?: Etags;
  fixtures: Fixtures;
  /** The most memory that a machine gets, whatever its instance type has; MiB. */
  machineMemoryMiB?: number;
  /** The most CPUs that a machine gets. */
  machineCpus?: number;
}
