import type * as r53 from '@aws-sdk/client-route-53';
import { AwsError } from '../wire/errors';
import { applyChanges } from './changes';
import { type HealthChecks, healthCheckView } from './health-checks';
import { type RecordSet, recordSetView, wireName } from './record-set';
import {
  type ChangeRecord,
  type HostedZones,
  NAME_SERVERS,
  newZone,
  newZoneId,
  type ZoneRecord,
} from './zones';

const LARGEST_PAGE = 300;
const MOST_ZONES_A_PAGE = 100;

const zoneView = (zone: ZoneRecord): r53.HostedZone => ({
  Id: `/hostedzone/${zone.id}`,
  Name: zone.name,
  CallerReference: zone.callerReference,
  Config: { Comment: zone.comment, PrivateZone: false },
  ResourceRecordSetCount: zone.recordSets.length,
  ...(zone.acceleratedRecovery === undefined
    ? {}
    : { Features: { AcceleratedRecoveryStatus: zone.acceleratedRecovery } }),
});

const changeView = (change: ChangeRecord): r53.ChangeInfo => ({
  Id: `/change/${change.id}`,
  Status: change.status,
  SubmittedAt: new Date(change.submittedAt),
  Comment: change.comment,
});

const delegationSet = { NameServers: NAME_SERVERS };

/** Route 53 lists by the labels of the name from the right, then by type, then by identifier. */
const sortKey = ({ name, type }: { name: string; type: string }, identifier = ''): string =>
  `${name.replace(/\.$/, '').split('.').reverse().join('\u0000')}\u0000\u0000${type}\u0000${identifier}`;

const keyOf = (set: RecordSet): string => sortKey(set, set.routing?.SetIdentifier);
const byKey = (a: RecordSet, b: RecordSet): number => (keyOf(a) < keyOf(b) ? -1 : 1);

function pageSize(wanted: number | undefined, most: number): number {
  const size = Number(wanted ?? most);
  if (!Number.isInteger(size) || size < 1) throw new AwsError('InvalidInput', `Invalid MaxItems: ${wanted}`);
  return Math.min(size, most);
}

export function route53Handlers(hosted: HostedZones, healthChecks: HealthChecks) {
  const sorted = (): ZoneRecord[] => hosted.zones.all().sort((a, b) => (a.id < b.id ? -1 : 1));

  return {
    CreateHostedZone(input: r53.CreateHostedZoneRequest): Omit<r53.CreateHostedZoneResponse, never> {
      const callerReference = input.CallerReference ?? '';
      if (input.VPC !== undefined || input.HostedZoneConfig?.PrivateZone)
        throw new AwsError('NotImplemented', 'Private hosted zones are not offered by this endpoint.', 501);
      if (!/^([\w-]{1,63}\.)*[\w-]{1,63}\.?$/.test(input.Name ?? '') || (input.Name ?? '').length > 254)
        throw new AwsError('InvalidDomainName', `${input.Name} is not a valid domain name.`);
      if (hosted.zones.all().some((zone) => zone.callerReference === callerReference))
        throw new AwsError(
          'HostedZoneAlreadyExists',
          'A hosted zone has already been created with the specified caller reference.',
        );
      const zone = newZone(newZoneId(), input.Name ?? '', callerReference, input.HostedZoneConfig?.Comment);
      const change = hosted.submit(zone, zone.recordSets, undefined);
      return {
        HostedZone: zoneView(zone),
        ChangeInfo: changeView(change),
        DelegationSet: delegationSet,
        Location: `https://route53.amazonaws.com/2013-04-01/hostedzone/${zone.id}`,
      };
    },

    GetHostedZone(input: r53.GetHostedZoneRequest): r53.GetHostedZoneResponse {
      return { HostedZone: zoneView(hosted.get(input.Id)), DelegationSet: delegationSet };
    },

    UpdateHostedZoneFeatures(
      input: r53.UpdateHostedZoneFeaturesRequest,
    ): r53.UpdateHostedZoneFeaturesResponse {
      hosted.setAcceleratedRecovery(hosted.get(input.HostedZoneId), input.EnableAcceleratedRecovery === true);
      return {};
    },

    CreateHealthCheck(input: r53.CreateHealthCheckRequest): Omit<r53.CreateHealthCheckResponse, never> {
      const check = healthChecks.create(input);
      return {
        HealthCheck: healthCheckView(check),
        Location: `https://route53.amazonaws.com/2013-04-01/healthcheck/${check.id}`,
      };
    },

    GetHealthCheck(input: r53.GetHealthCheckRequest): r53.GetHealthCheckResponse {
      return { HealthCheck: healthCheckView(healthChecks.require(input.HealthCheckId ?? '')) };
    },

    ListHostedZones(input: r53.ListHostedZonesRequest): r53.ListHostedZonesResponse {
      const size = pageSize(input.MaxItems, MOST_ZONES_A_PAGE);
      const rest = sorted().filter(({ id }) => id >= (input.Marker ?? ''));
      return {
        HostedZones: rest.slice(0, size).map(zoneView),
        Marker: input.Marker ?? '',
        IsTruncated: rest.length > size,
        NextMarker: rest[size]?.id,
        MaxItems: size,
      };
    },

    ListHostedZonesByName(input: r53.ListHostedZonesByNameRequest): r53.ListHostedZonesByNameResponse {
      const size = pageSize(input.MaxItems, MOST_ZONES_A_PAGE);
      const key = (name: string, id: string): string => `${sortKey({ name, type: '' })}\u0000${id}`;
      const from =
        input.DNSName === undefined
          ? ''
          : key(wireName(input.DNSName), (input.HostedZoneId ?? '').replace(/^\/?hostedzone\//, ''));
      const rest = hosted.zones
        .all()
        .filter(({ name, id }) => key(name, id) >= from)
        .sort((a, b) => (key(a.name, a.id) < key(b.name, b.id) ? -1 : 1));
      return {
        HostedZones: rest.slice(0, size).map(zoneView),
        DNSName: input.DNSName,
        HostedZoneId: input.HostedZoneId,
        IsTruncated: rest.length > size,
        NextDNSName: rest[size]?.name,
        NextHostedZoneId: rest[size]?.id,
        MaxItems: size,
      };
    },

    ChangeResourceRecordSets(
      input: r53.ChangeResourceRecordSetsRequest,
    ): r53.ChangeResourceRecordSetsResponse {
      const zone = hosted.get(input.HostedZoneId);
      const changes = input.ChangeBatch?.Changes ?? [];
      if (changes.length === 0) throw new AwsError('InvalidInput', 'The change batch has no changes.');
      return {
        ChangeInfo: changeView(
          hosted.submit(zone, applyChanges(zone, changes, healthChecks), input.ChangeBatch?.Comment),
        ),
      };
    },

    GetChange(input: r53.GetChangeRequest): r53.GetChangeResponse {
      const change = hosted.findChange((input.Id ?? '').replace(/^\/?change\//, ''));
      if (change === undefined)
        throw new AwsError('NoSuchChange', `Could not find resource with ID: ${input.Id}`, 404);
      return { ChangeInfo: changeView(change) };
    },

    ListResourceRecordSets(input: r53.ListResourceRecordSetsRequest): r53.ListResourceRecordSetsResponse {
      const zone = hosted.get(input.HostedZoneId);
      const size = pageSize(input.MaxItems, LARGEST_PAGE);
      if (input.StartRecordType !== undefined && input.StartRecordName === undefined)
        throw new AwsError('InvalidInput', 'The input is not valid: a start type needs a start name.');
      const from =
        input.StartRecordName === undefined
          ? ''
          : sortKey(
              { name: wireName(input.StartRecordName), type: input.StartRecordType ?? '' },
              input.StartRecordIdentifier,
            );
      const rest = [...zone.recordSets].sort(byKey).filter((set) => keyOf(set) >= from);
      const next = rest[size];
      return {
        ResourceRecordSets: rest.slice(0, size).map(recordSetView),
        IsTruncated: next !== undefined,
        NextRecordName: next?.name,
        NextRecordType: next?.type as r53.RRType | undefined,
        NextRecordIdentifier: next?.routing?.SetIdentifier,
        MaxItems: size,
      };
    },
  };
}
