import { z } from 'zod';
import { canonicalRecordName, isRecordName } from './record-name';

/** Longest identifier of a record set. Route 53 API Reference, ResourceRecordSet. */
const LONGEST_IDENTIFIER = 128;
/** Addresses of one record; more make an answer that no datagram holds. */
const MAXIMUM_VMS = 50;

const recordName = z
  .string()
  .refine(
    isRecordName,
    'must be a DNS name like www.shop.example or *.apps.shop.example; what is no letter, digit, "-" or "_" is written like \\057',
  )
  .transform(canonicalRecordName);

/** A record that leads to the primary site, and to the recovery site while the plan is away. */
export const dnsRecord = (vmName: z.ZodString) =>
  z
    .object({
      name: recordName,
      /** Whose instance's address the record gets; or `vms` for the addresses of several; or `target`. */
      vm: vmName.optional(),
      vms: z.array(vmName).min(1).max(MAXIMUM_VMS).optional(),
      /** Name that a CNAME record leads to while the plan is away. */
      target: recordName.optional(),
      /** Which of the instance's addresses the record gets. */
      address: z.enum(['public', 'private']).default('private'),
      /** TTL in seconds of the record during failover; Route 53 recommends 60 or less for records that move. */
      ttl: z.number().int().min(1).max(86_400).default(60),
      /**
       * What the record is while the plan is away. Said explicitly, it replaces whatever leads somewhere at the name, a CNAME or an
       * alias among them; where it is absent, it is an A record in the place of a simple A record.
       */
      type: z.enum(['A', 'CNAME']).optional(),
      /** Which record set of a name with a routing policy is changed; the others, and its policy, stay as they are. */
      setIdentifier: z
        .string()
        .min(1)
        .max(LONGEST_IDENTIFIER)
        .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not hold control characters')
        .optional(),
      /** What an AAAA record at the name does meanwhile: go to the instance's IPv6 address where it has one (`move`), or go. */
      ipv6: z.enum(['move', 'remove']).optional(),
    })
    .strict();

export type PlannedDnsRecord = z.output<ReturnType<typeof dnsRecord>>;
