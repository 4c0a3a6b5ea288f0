import { type ResourceRecordSet } from '@aws-sdk/client-route-53';
import { type PlannedDnsRecord } from '../../plan/dns-record';

/** A plan's name in DNS as companies have it: what it has at home, and what while the plan is away. */
export interface DnsKind {
  name: string;
  /** What the plan says of it, besides the VM. */
  record: Pick<PlannedDnsRecord, 'type' | 'setIdentifier'>;
  home: ResourceRecordSet[];
  /** @param address the instance's */
  away(address: string): ResourceRecordSet[];
}

const TTL = 60;

/** Plans have them in turn, so that what a seed draws besides does not depend on them. */
export function dnsKind(plan: string, number: number, home: string): DnsKind {
  const label = `${plan}.shop.example`;
  const set = (
    name: string,
    Type: 'A' | 'AAAA' | 'CNAME',
    Value: string,
    more: Partial<ResourceRecordSet> = {},
  ): ResourceRecordSet => ({
    Name: `${name.replace('*', '\\052')}.`,
    Type,
    TTL,
    ResourceRecords: [{ Value }],
    ...more,
  });
  const beside = `2001:db8::${((number % 0xffff) + 1).toString(16)}`;
  switch (number % 4) {
    case 0:
      return {
        name: label,
        record: {},
        home: [set(label, 'A', home, { TTL: 300 }), set(label, 'AAAA', beside)],
        away: (address) => [set(label, 'A', address)],
      };
    case 1: {
      const name = `*.${label}`;
      return {
        name,
        record: {},
        home: [set(name, 'A', home)],
        away: (address) => [set(name, 'A', address)],
      };
    }
    case 2: {
      const policy = (SetIdentifier: string, Weight: number) => ({ SetIdentifier, Weight });
      const cloud = set(label, 'A', '203.0.113.7', policy('cloud', 0));
      return {
        name: label,
        record: { setIdentifier: 'home' },
        home: [cloud, set(label, 'A', home, policy('home', 10))],
        away: (address) => [cloud, set(label, 'A', address, policy('home', 10))],
      };
    }
    default:
      return {
        name: label,
        record: { type: 'A' },
        home: [set(label, 'CNAME', `old.${label}.`)],
        away: (address) => [set(label, 'A', address)],
      };
  }
}

/** Sets of one name, so that they can be compared and told. */
export const setsText = (sets: readonly ResourceRecordSet[]): string =>
  JSON.stringify(
    sets.map(({ Name, Type, TTL: ttl, SetIdentifier, Weight, ResourceRecords }) => ({
      ...{ Name, Type, TTL: ttl, SetIdentifier, Weight },
      values: ResourceRecords?.map(({ Value }) => Value),
    })),
  );
