/** A record set as DNS sees it. Names are lower case, without a dot at the end. */
export interface DnsRecordSet {
  name: string;
  type: string;
  /** Seconds. */
  ttl: number;
  /** In the presentation format of zone files, as Route 53 takes them. */
  values: string[];
  /** Whose values it answers with instead: those of this name, of the same type. */
  aliasOf?: string;
  /** How it is chosen among others of its name and type; absent where there are none. */
  routing?: {
    identifier: string;
    weight?: number;
    failover?: 'PRIMARY' | 'SECONDARY';
    multiValue?: boolean;
  };
}
