import { z } from 'zod';
import { dnsRecord } from './dns-record';
import { duration } from './duration';
import { hook } from './hooks';
import { INSTANCE_TYPE } from './instance-type';
import { planNamePattern } from './names';
import { notify } from './notify-schema';
import { readiness } from './probes';
import { replicationLimit } from './replication-limit';
import { awsId, recoverySubnet, vmRecoverySite } from './recovery-site/site-schema';
import { snapshotLock } from './snapshot-lock';

/**
 * The DR plan: which VMs are protected, in which order they come up, and where they run.
 *
 * Two forms exist. The file form is the YAML that a person writes ({@link planFileSchema}). The normalized
 * form ({@link DrPlan}) has every default filled in, durations in seconds, and boot scripts replaced by their
 * digest; it is what is stored in the repository bucket and what workflows carry.
 */

const name = z
  .string()
  .regex(planNamePattern, 'must be 1 to 40 lower-case letters, digits or "-", beginning with a letter');

const dnsName = z
  .string()
  .regex(
    /^(?=.{1,253}\.?$)([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.?$/i,
    'must be a DNS name',
  )
  .transform((value) => value.replace(/\.$/, '').toLowerCase());

/**
 * What the primary site knows a VM by. Longer than any path of VMware's that people have: a name has 80 characters, of
 * which each may be written as three.
 */
const primaryVm = z
  .string()
  .min(1)
  .max(1000)
  .regex(/^[^\p{Cc}\p{Cs}\u2028\u2029]*$/u, 'must not hold line breaks, tabs or other control characters')
  .refine(
    (text) => !text.includes('/') || /^(\/[^/]+)+$/.test(text),
    'must be an inventory path like /Datacenter/vm/Folder/NAME, an instance UUID or a name; a "/" within a name is written %2f',
  );

/** A script that runs once at the first boot on EC2: its path relative to the plan file, alone or with what it means to the run. */
const bootScript = z.union([
  z
    .object({
      file: z.string().min(1),
      /** Seconds from the VM's readiness until a script that has not ended counts as one whose exit status is not known. */
      timeout: duration.optional(),
      /** Whether the VM counts as up only when the script has ended with 0. */
      required: z.boolean().optional(),
    })
    .strict(),
  z
    .string()
    .min(1)
    .transform((file): { file: string; timeout?: number; required?: boolean } => ({ file })),
]);

/** Each takes a line of what a launch tells the guest, for which EC2 has 16 KiB; a cluster of more is found by other means. */
const MAXIMUM_PEERS = 50;

const vm = z
  .object({
    name,
    /** What the primary site knows it by, where that is not the name above. */
    primaryVm: primaryVm.optional(),
    /** What a backup's disks are as: after a power cut, or, where the guest can, after its programs had written. */
    consistency: z.enum(['crash', 'quiesced']).optional(),
    /** Keys of disks that are not backed up: the VM lacks them on EC2, and at home after a failback. */
    excludeDisks: z
      .array(z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'must be the key of a disk: letters, digits and "-"'))
      .max(60)
      .optional(),
    /** EC2 instance types in order of preference: the next is tried when AWS has no capacity for one. */
    instanceTypes: z.array(z.string().regex(INSTANCE_TYPE, 'must be like m6i.large')).min(1),
    /** An image whose licence AWS bills, such as Windows or RHEL: the instance is launched from it, and bills as it says. */
    licensedImage: awsId('ami').optional(),
    dependsOn: z.array(name).default([]),
    /** Host names by which the VMs that depend on this one know it; kept right in their /etc/hosts on EC2. */
    hostNames: z.array(dnsName).default([]),
    readiness,
    bootScript: bootScript.optional(),
    /** VMs whose host names this one finds although it does not depend on them: members of one cluster. Their addresses are fixed. */
    peers: z.array(name).max(MAXIMUM_PEERS).optional(),
    /** Private address in the production subnet; AWS chooses one where this is absent. */
    privateAddress: z.ipv4().optional(),
    /** Values of this VM's in the place of the recovery site's. */
    recoverySite: vmRecoverySite.optional(),
    /** Address at the primary site that the readiness probe asks after failback. */
    primaryAddress: z.ipv4(),
    /** Whether a person has to approve before it boots; what can be made before that is made. */
    approval: z.boolean().optional(),
    /** Whether the application can do without it: where it fails, the others go on, also those that depend on it. */
    optional: z.boolean().optional(),
  })
  .strict();

/** What of the run as a whole a person has to approve; VMs and DNS have an `approval` of their own. */
const approval = z
  .object({
    /** Tiers of the start order, the first being 1, none of whose VMs boots before somebody has approved it. */
    beforeTiers: z.array(z.number().int().min(1)).min(1).max(100).optional(),
    /** Of a failback: before the first instance is stopped. */
    cutOver: z.boolean().optional(),
  })
  .strict();

/** Backups that a rule of retention keeps; more than 10,000 of a VM nobody means. */
const backups = (minimum: number) => z.number().int().min(minimum).max(10_000);

/** Which backups of a VM stay in the repository; see repository/upkeep/retention.ts. */
const retention = z
  .object({
    keepLast: backups(1).default(30),
    /** Seconds before the newest backup within which all are kept. */
    keepWithin: duration.optional(),
    keepDaily: backups(0).default(14),
    keepWeekly: backups(0).default(8),
    keepMonthly: backups(0).default(0),
  })
  .strict();

/** What the business asks for; checks and tests are measured against it. */
const objectives = z
  .object({
    /** Recovery point objective: the oldest that a DR copy may be. */
    rpo: duration.optional(),
    /** Recovery time objective: the longest that a failover may take until the application serves. */
    rto: duration.optional(),
    /** The longest from one good test failover to the next. */
    testEvery: duration.optional(),
  })
  .strict();

export const planFileSchema = z
  .object({
    name,
    primarySite: z
      .object({
        hypervisor: z.enum(['local', 'vsphere']),
        /** Whether the VMs are powered off there while their successors serve; they are where it is not said. */
        fence: z.enum(['powerOff', 'none']).optional(),
      })
      .strict(),
    recoverySite: z
      .object({
        region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be like eu-central-1'),
        /** KMS key of the DR copy; a changed key begins a new full copy. */
        kmsKey: z.string().min(1).optional(),
        production: recoverySubnet,
        test: recoverySubnet,
      })
      .strict(),
    repository: z
      .object({
        bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be an S3 bucket name'),
        prefix: z
          .string()
          .regex(/^([A-Za-z0-9_-]+\/)*$/, 'must be empty or path parts that each end with "/"')
          .default(''),
        /** S3 endpoint of the recovery site: the interface endpoint of the VPC, where one is used. */
        endpoint: z.url().optional(),
        retention: retention.prefault({}),
      })
      .strict(),
    replication: z
      .object({
        frequency: duration.default(3600),
        /** How a DR copy is written: EBS direct APIs, or a volume attached to the AWS proxy. */
        copy: z.enum(['direct', 'volume']).default('direct'),
        limit: replicationLimit.optional(),
        /** Whether each restore also makes a launch copy: the guest adapted to EC2 beforehand, launched by one call. */
        launchCopy: z.boolean().optional(),
        /** DR copies that nobody can delete for a time; none where absent. */
        lock: snapshotLock.optional(),
      })
      .strict()
      .prefault({}),
    objectives: objectives.optional(),
    vms: z.array(vm).min(1),
    dns: z
      .object({
        hostedZone: z.string().regex(/^Z[A-Z0-9]{1,31}$/, 'must be a Route 53 hosted zone id'),
        records: z.array(dnsRecord(name)).min(1),
        /** Whether a person has to approve before the records move, in either direction. */
        approval: z.boolean().optional(),
      })
      .strict()
      .optional(),
    approval: approval.optional(),
    notify: notify.optional(),
    /** Steps of one's own in failovers, tests and failbacks, run by a proxy. */
    hooks: z.array(hook).min(1).max(100).optional(),
  })
  .strict();

/** A boot script by reference: its text lives in the repository bucket under its digest, never in histories. */
export interface BootScriptReference {
  /** File name, for people. */
  name: string;
  /** Lower-case hex SHA-256 of the script's bytes. */
  sha256: string;
}

/** A VM's boot script. What the plan's file does not say is absent, as in plans of releases that knew no more than the file. */
export interface PlannedBootScript extends BootScriptReference {
  /** Seconds; {@link BOOT_SCRIPT_TIMEOUT_SECONDS} where it is absent. */
  timeout?: number;
  required?: boolean;
}

/** A plan as its file has it: valid by the schema, boot scripts still paths. */
export type PlanFile = z.output<typeof planFileSchema>;

/** A protected VM of the normalized plan. Durations are in seconds. */
export type PlannedVm = Omit<PlanFile['vms'][number], 'bootScript'> & { bootScript?: PlannedBootScript };

/** The normalized DR plan. Durations are in seconds. */
export type DrPlan = Omit<PlanFile, 'vms'> & { vms: PlannedVm[] };

export type { ReadinessProbe } from './probes';
export type RecoverySubnet = DrPlan['recoverySite']['production'];
export type VmRecoverySite = NonNullable<PlannedVm['recoverySite']>;
export { type PlannedDnsRecord } from './dns-record';
export { type Hook, type HookPlace, type HookRun } from './hooks';
