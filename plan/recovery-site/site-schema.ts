import { z } from 'zod';
import { VOLUME_TYPE_NAMES } from './volume-types';

/** The values of a recovery site, production or test, and those that a VM may have in their place. */

/** An id of AWS, such as `subnet-…`. */
export const awsId = (prefix: string) =>
  z
    .string()
    .regex(new RegExp(`^${prefix}-[0-9a-f]{8,17}$`), `must be an id like ${prefix}-0123456789abcdef0`);

/** Zones of a Region are six at most; a company gives each one subnet. */
const MAXIMUM_SUBNETS = 6;

/**
 * Tags that a plan may set on one resource: EC2 takes 50 ("Tag restrictions", Amazon EC2 User Guide), of which a volume needs a
 * dozen for Lifeboat's own, and an account's rules may add others.
 */
export const MAXIMUM_TAGS = 30;

/** Addresses of one network card: the largest instance types take 50 ("IP addresses per network interface", Amazon EC2 User Guide). */
const MAXIMUM_SECONDARY_ADDRESSES = 49;

/** By "Tag restrictions": at most 128 characters, and none of AWS's own. Nor any of Lifeboat's, by which it knows what it may remove. */
const tagKey = z
  .string()
  .regex(
    /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u,
    'must have 1 to 128 letters, digits, spaces or _ . : / = + - @',
  )
  .refine(
    (key) => !/^aws:/i.test(key),
    'is a name that AWS keeps for itself; choose one that does not begin with "aws:"',
  )
  .refine(
    (key) => !/^lifeboat[:-]/i.test(key),
    'is a name that Lifeboat goes by; choose one that begins with neither "lifeboat:" nor "lifeboat-"',
  );

const tags = z
  .record(
    tagKey,
    z
      .string()
      .regex(
        /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u,
        'must have at most 256 letters, digits, spaces or _ . : / = + - @',
      ),
  )
  .refine((all) => Object.keys(all).length <= MAXIMUM_TAGS, `must have at most ${MAXIMUM_TAGS} tags`);

/** Name or ARN; IAM's own pattern of names (API Reference, InstanceProfile). */
const instanceProfile = z
  .string()
  .regex(
    /^([\w+=,.@-]{1,128}|arn:aws[a-z-]*:iam::\d{12}:instance-profile\/([\x21-\x7e]{1,500}\/)?[\w+=,.@-]{1,128})$/,
    'must be the name of an instance profile, or its ARN (arn:aws:iam::111122223333:instance-profile/NAME)',
  );

/** How EBS volumes are made; which combinations EC2 takes is in volume-types.ts. */
const volumeSettings = z
  .object({
    volumeType: z.enum(VOLUME_TYPE_NAMES).optional(),
    iops: z.number().int().optional(),
    /** MiB/s. */
    throughput: z.number().int().optional(),
    /** MiB/s at which EC2 loads the snapshot's blocks; as it comes where absent. */
    volumeInitializationRate: z.number().int().optional(),
  })
  .strict();

const siteFields = {
  subnet: awsId('subnet').optional(),
  /** Several, one a zone, in order of preference: where AWS has no capacity in one zone, the next is tried. */
  subnets: z.array(awsId('subnet')).min(1).max(MAXIMUM_SUBNETS).optional(),
  securityGroups: z.array(awsId('sg')).min(1),
  publicAddress: z.boolean().default(false),
  /** What the instances may do in the account; nothing where absent. */
  instanceProfile: instanceProfile.optional(),
  /** On instances, their volumes and network cards, beside Lifeboat's own. */
  tags: tags.optional(),
  /** gp3 as EC2 makes it where nothing is said. */
  volumes: volumeSettings.optional(),
};

export const recoverySubnet = z
  .object(siteFields)
  .strict()
  .refine(
    (where) => (where.subnet === undefined) !== (where.subnets === undefined),
    'needs exactly one of subnet and subnets',
  );

const vmRecoverySubnet = z
  .object({
    ...siteFields,
    securityGroups: siteFields.securityGroups.optional(),
    publicAddress: z.boolean().optional(),
    volumes: volumeSettings
      .extend({
        /** By the disk's key, in the place of what is said of the VM's others. */
        disks: z
          .record(
            z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'must be the key of a disk: letters, digits and "-"'),
            volumeSettings,
          )
          .optional(),
      })
      .strict()
      .optional(),
    /** AWS chooses one where this is absent. */
    privateAddress: z.ipv4().optional(),
    /** Further addresses of the same card. The guest has to ask for them by itself. */
    secondaryAddresses: z.array(z.ipv4()).min(1).max(MAXIMUM_SECONDARY_ADDRESSES).optional(),
  })
  .strict()
  .refine(
    (where) => where.subnet === undefined || where.subnets === undefined,
    'takes one of subnet and subnets, not both',
  );

export const vmRecoverySite = z
  .object({ production: vmRecoverySubnet.optional(), test: vmRecoverySubnet.optional() })
  .strict();
