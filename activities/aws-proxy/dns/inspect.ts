import { type ResourceRecordSet } from '@aws-sdk/client-route-53';
import { type PlannedDnsRecord } from '../../../plan/dns-record';
import { vmsOf } from '../../../plan/record-vms';
import { vmSite } from '../../../plan/recovery-site/vm-site';
import { type DrPlan } from '../../../plan/schema';
import { hasCode } from '../../failures';
import { exchange, inBatches } from './batches';
import { type CheckedName, type DnsCheck } from './contract';
import { type HostedZone, lookUpZone } from './hosted-zone';
import { type Meanwhile, meanwhileOf, type WantedRecord } from './meanwhile';
import { byName } from './move';
import { leadingSets, readRecordSets, setText } from './record-sets';
import { acceleratedRecovery, type InspectDependencies, wayToZone } from './zone-notes';

/** What an instance's address will be is not known yet; it has as many characters at most. */
const SOME_ADDRESS = '255.255.255.255';

/** All that can be known of the plan's DNS before a failover, by reading only. */
export async function inspectDns(
  { route53, resolvers = [] }: InspectDependencies,
  plan: DrPlan,
): Promise<DnsCheck> {
  if (plan.dns === undefined) return { names: [], findings: [], notes: [], zoneNotes: [] };
  const { hostedZone, records } = plan.dns;
  let zone: HostedZone;
  try {
    zone = await lookUpZone(route53, hostedZone);
  } catch (error) {
    if (!hasCode(error, 'NoSuchHostedZone', 'InvalidInput')) throw error;
    const findings = [`The hosted zone ${hostedZone} does not exist.`];
    return { names: [], findings, notes: [], zoneNotes: [] };
  }
  const isInZone = ({ name }: { name: string }) => name === zone.name || name.endsWith(`.${zone.name}`);
  const inZone = records.filter(isInZone);
  const above = [...new Set(inZone.flatMap(({ name }) => namesBetween(name, zone.name)))];
  const names = [...new Set(inZone.map(({ name }) => name))];
  const present = await readRecordSets(route53, hostedZone, zone, [...names, ...above]);
  const findings = publicAddressFindings(plan);
  for (const { name } of records.filter((record) => !isInZone(record)))
    findings.push(`The record ${name} is not in the hosted zone ${hostedZone} (${zone.name}).`);
  const notes: string[] = [];
  const ttls: string[] = [];
  const checked: CheckedName[] = [];
  const all: Meanwhile[] = [];
  for (const group of byName(inZone)) {
    const [{ name }] = group;
    const sets = present.get(name) ?? [];
    checked.push(checkedName(name, sets));
    const delegated = namesBetween(name, zone.name).find((one) => hasNs(present.get(one)));
    if (delegated !== undefined) {
      findings.push(
        `${name} is under ${delegated}, which is delegated to other name servers; nobody would see a change here.`,
      );
      continue;
    }
    const wanted = group.map(meant) as [WantedRecord, ...WantedRecord[]];
    const meanwhile = meanwhileOf(zone.name, wanted, sets, new Set(names));
    if ('problem' in meanwhile) {
      findings.push(`${name} ${meanwhile.problem}.`);
      continue;
    }
    all.push(meanwhile);
    const tooLong = ttlNotes(name, meanwhile);
    ttls.push(...tooLong);
    notes.push(...meanwhile.notes.map((note) => withIpv6(note, group)), ...tooLong);
  }
  notes.push(...batchNotes(all));
  const wayTo = await wayToZone({ route53, resolvers }, hostedZone, zone);
  return {
    names: checked,
    findings,
    notes,
    zoneNotes: [...wayTo, ...acceleratedRecovery(hostedZone, zone)],
    warnings: [...wayTo, ...ttls],
  };
}

/** `b.shop.example` of `a.b.shop.example` in the zone `shop.example`. */
function namesBetween(name: string, zone: string): string[] {
  const labels = name.split('.');
  const depth = labels.length - zone.split('.').length;
  return labels.flatMap((_, index) => (index > 0 && index < depth ? [labels.slice(index).join('.')] : []));
}

const hasNs = (sets: readonly ResourceRecordSet[] | undefined): boolean =>
  sets?.some(({ Type }) => Type === 'NS') === true;

function checkedName(name: string, present: readonly ResourceRecordSet[]): CheckedName {
  const sets = leadingSets(present);
  const ttls = sets.flatMap(({ TTL }) => TTL ?? []);
  return {
    name,
    present: sets.map(setText),
    ...(ttls.length === 0 ? {} : { ttl: Math.max(...ttls) }),
  };
}

/** A record as if its instances had addresses already, but no IPv6 ones: what can be said of those is added in words. */
function meant(record: PlannedDnsRecord): WantedRecord {
  const values = record.target === undefined ? vmsOf(record).map(() => SOME_ADDRESS) : [record.target];
  return { ...record, values, ipv6Values: [] };
}

/** The address that stands for one that is not known yet is told as what it is. */
function withIpv6(
  note: string,
  [{ type, ipv6 }]: readonly [PlannedDnsRecord, ...PlannedDnsRecord[]],
): string {
  const told = note.replaceAll(SOME_ADDRESS, "the instance's address");
  return / has AAAA /.test(note) && type !== 'CNAME' && ipv6 !== 'remove'
    ? told.replace(
        'it goes while',
        'it goes to the IPv6 address of the instance where that has one, and else away, while',
      )
    : told;
}

function ttlNotes(name: string, { before, ours }: Meanwhile): string[] {
  const present = Math.max(0, ...before.map(({ TTL }) => TTL ?? 0));
  const wanted = Math.max(...ours.map(({ TTL }) => TTL ?? 0));
  return present > wanted
    ? [
        `${name} has a TTL of ${present} s, and ${wanted} s while the plan is away: resolvers may keep what it has for ${present} s ` +
          'after a failover. Lower it some days before: lifeboat dns lower-ttl.',
      ]
    : [];
}

function batchNotes(all: readonly Meanwhile[]): string[] {
  const { length } = inBatches(all.map(({ before, ours }) => exchange(before[0]?.Name ?? '', before, ours)));
  return length > 1
    ? [
        `Route 53 takes the change of these records in ${length} parts only, one right after the other: between them, some names ` +
          'lead to one site and some to the other.',
      ]
    : [];
}

function publicAddressFindings(plan: DrPlan): string[] {
  const { production } = plan.recoverySite;
  return (plan.dns?.records ?? []).flatMap((record) =>
    vmsOf(record).flatMap((vm) => {
      const planned = plan.vms.find(({ name }) => name === vm);
      const site = planned === undefined ? production : vmSite(production, planned, false);
      return record.address === 'public' && !site.publicAddress
        ? [
            `${record.name} is to have ${vm}'s public address, but recoverySite.production has publicAddress: false.`,
          ]
        : [];
    }),
  );
}
