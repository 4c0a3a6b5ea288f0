import { z } from 'zod';

/**
 * A Route 53 record set, every field of it as Route 53 listed it: what comes back from here is sent as it is, so that a record of
 * any kind gets back exactly what it had.
 */
const text = z.string().max(1024);
const recordSet = z.strictObject({
  Name: z.string().min(1).max(1024),
  /** What leads somewhere; nothing else of a name is ever changed. */
  Type: z.enum(['A', 'AAAA', 'CNAME', 'HTTPS', 'SVCB']),
  TTL: z.int().min(0).max(2_147_483_647).optional(),
  ResourceRecords: z
    .array(z.strictObject({ Value: z.string().min(1).max(4000) }))
    .min(1)
    .max(400)
    .optional(),
  AliasTarget: z
    .strictObject({ HostedZoneId: text, DNSName: text, EvaluateTargetHealth: z.boolean() })
    .optional(),
  SetIdentifier: z.string().min(1).max(128).optional(),
  Weight: z.int().min(0).max(255).optional(),
  Region: text.optional(),
  GeoLocation: z
    .strictObject({
      ContinentCode: text.optional(),
      CountryCode: text.optional(),
      SubdivisionCode: text.optional(),
    })
    .optional(),
  GeoProximityLocation: z
    .strictObject({
      AWSRegion: text.optional(),
      LocalZoneGroup: text.optional(),
      Coordinates: z.strictObject({ Latitude: text, Longitude: text }).optional(),
      Bias: z.int().optional(),
    })
    .optional(),
  Failover: z.enum(['PRIMARY', 'SECONDARY']).optional(),
  MultiValueAnswer: z.boolean().optional(),
  HealthCheckId: text.optional(),
  CidrRoutingConfig: z.strictObject({ CollectionId: text, LocationName: text }).optional(),
});

export type StoredRecordSet = z.output<typeof recordSet>;

/** What a name had before Lifeboat changed it, and what Lifeboat gave it instead. */
export interface StoredName {
  /** In the plan's spelling (plan/record-name.ts). */
  name: string;
  /** The record sets that were taken away or replaced; none where there was none. */
  before: StoredRecordSet[];
  ours: StoredRecordSet[];
}

export const storedName: z.ZodType<StoredName> = z.strictObject({
  name: z.string().min(1).max(1024),
  before: z.array(recordSet).max(1000),
  ours: z.array(recordSet).max(1000),
});
