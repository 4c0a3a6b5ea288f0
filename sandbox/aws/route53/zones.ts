import { randomBytes } from 'node:crypto';
import { type DnsZone } from '../../dns/zone';
import { type Background } from '../state/background';
import { type Collection } from '../state/collection';
import { AwsError } from '../wire/errors';
import { dnsRecordSet, plainName, type RecordSet, wireName } from './record-set';

export interface ChangeRecord {
  id: string;
  status: 'PENDING' | 'INSYNC';
  submittedAt: string;
  comment?: string;
  /** The zone's record sets with this change; absent once it is in sync. */
  after?: RecordSet[];
}

/** A hosted zone, its record sets and its changes: one file, so that a batch is made as a whole or not at all. */
export interface ZoneRecord {
  id: string;
  name: string;
  callerReference: string;
  comment?: string;
  createdAt: string;
  recordSets: RecordSet[];
  /** What the name servers answer: the record sets as of the last change in sync. */
  served: RecordSet[];
  changes: ChangeRecord[];
  /** Absent where it was never asked for. */
  acceleratedRecovery?: 'ENABLING' | 'ENABLED' | 'DISABLED';
}

/** Name servers of every zone. They exist under no name: the DNS server's address is a setting. */
export const NAME_SERVERS = ['ns-1.sandbox.invalid', 'ns-2.sandbox.invalid'];

/** Changes that a zone remembers. */
const MOST_CHANGES = 200;

/** TTLs that Route 53 gives the records of a new zone. */
const NS_TTL = 172_800;
const SOA_TTL = 900;

export const newChangeId = (): string => `C${randomBytes(10).toString('hex').toUpperCase().slice(0, 19)}`;
export const newZoneId = (): string => `Z${randomBytes(10).toString('hex').toUpperCase().slice(0, 19)}`;

export function newZone(id: string, name: string, callerReference: string, comment?: string): ZoneRecord {
  const zone = wireName(name);
  const recordSets: RecordSet[] = [
    { name: zone, type: 'NS', ttl: NS_TTL, values: NAME_SERVERS.map((server) => `${server}.`) },
    {
      name: zone,
      type: 'SOA',
      ttl: SOA_TTL,
      values: [`${NAME_SERVERS[0]}. hostmaster.${zone} 1 7200 900 1209600 60`],
    },
  ];
  const createdAt = new Date().toISOString();
  return { id, name: zone, callerReference, comment, createdAt, recordSets, served: recordSets, changes: [] };
}

/** The hosted zones, and the way of changes to the name servers. */
export class HostedZones {
  constructor(
    readonly zones: Collection<ZoneRecord>,
    private readonly background: Background,
    private readonly propagationSeconds: number,
  ) {
    for (const zone of zones.all()) this.propagate(zone.id);
  }

  /** @throws AwsError NoSuchHostedZone */
  get(id: string | undefined): ZoneRecord {
    const zone = this.zones.get((id ?? '').replace(/^\/?hostedzone\//, ''));
    if (zone === undefined)
      throw new AwsError('NoSuchHostedZone', `No hosted zone found with ID: ${id}`, 404);
    return zone;
  }

  /** Stores a zone's new record sets and lets the name servers have them after a while. */
  submit(zone: ZoneRecord, recordSets: RecordSet[], comment: string | undefined): ChangeRecord {
    const change: ChangeRecord = {
      id: newChangeId(),
      status: 'PENDING',
      submittedAt: new Date().toISOString(),
      comment,
      after: recordSets,
    };
    this.zones.put({ ...zone, recordSets, changes: [...zone.changes, change].slice(-MOST_CHANGES) });
    this.propagate(zone.id);
    return change;
  }

  /** Accelerated recovery on, after a while, or off. */
  setAcceleratedRecovery(zone: ZoneRecord, enable: boolean): ZoneRecord {
    if (!enable) return this.zones.put({ ...zone, acceleratedRecovery: 'DISABLED' });
    void this.background.run(`zone ${zone.id} recovery`, async () => {
      await this.background.wait(this.propagationSeconds);
      if (this.zones.get(zone.id)?.acceleratedRecovery === 'ENABLING')
        this.zones.update(zone.id, { acceleratedRecovery: 'ENABLED' });
    });
    return this.zones.put({ ...zone, acceleratedRecovery: 'ENABLING' });
  }

  findChange(id: string): ChangeRecord | undefined {
    for (const { changes } of this.zones.all()) {
      const change = changes.find((candidate) => candidate.id === id);
      if (change !== undefined) return change;
    }
    return undefined;
  }

  /** What the DNS server answers from. */
  served(): DnsZone[] {
    return this.zones.all().map(({ name, served }) => ({
      name: plainName(name),
      recordSets: served.map(dnsRecordSet),
    }));
  }

  /** PENDING → INSYNC, in the order of submission. */
  private propagate(zoneId: string): void {
    void this.background.run(`zone ${zoneId}`, async () => {
      for (;;) {
        const pending = this.zones.get(zoneId)?.changes.find(({ status }) => status === 'PENDING');
        if (pending === undefined) return;
        await this.background.wait(this.propagationSeconds);
        const zone = this.zones.get(zoneId);
        if (zone === undefined) return;
        this.zones.put({
          ...zone,
          served: pending.after ?? zone.served,
          changes: zone.changes.map((change) =>
            change.id === pending.id ? { ...change, status: 'INSYNC', after: undefined } : change,
          ),
        });
      }
    });
  }
}
