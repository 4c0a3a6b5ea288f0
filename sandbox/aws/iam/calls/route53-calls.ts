import type * as route53 from '@aws-sdk/client-route-53';
import { type Asked, type CallMapping, onAll } from './mapping';

/** Route 53. */
export const route53Calls: CallMapping = {
  CreateHostedZone: () => [onAll('route53:CreateHostedZone')],
  ListHostedZones: () => [onAll('route53:ListHostedZones')],
  ListHostedZonesByName: () => [onAll('route53:ListHostedZonesByName')],
  CreateHealthCheck: () => [onAll('route53:CreateHealthCheck')],
  GetHealthCheck: ({ HealthCheckId }: route53.GetHealthCheckRequest) => [
    on('GetHealthCheck', 'healthcheck', HealthCheckId),
  ],
  GetHostedZone: ({ Id }: route53.GetHostedZoneRequest) => [on('GetHostedZone', 'hostedzone', Id)],
  UpdateHostedZoneFeatures: ({ HostedZoneId }: route53.UpdateHostedZoneFeaturesRequest) => [
    on('UpdateHostedZoneFeatures', 'hostedzone', HostedZoneId),
  ],
  ListResourceRecordSets: ({ HostedZoneId }: route53.ListResourceRecordSetsRequest) => [
    on('ListResourceRecordSets', 'hostedzone', HostedZoneId),
  ],
  GetChange: ({ Id }: route53.GetChangeRequest) => [on('GetChange', 'change', Id)],
  ChangeResourceRecordSets({ HostedZoneId, ChangeBatch }: route53.ChangeResourceRecordSetsRequest) {
    const changes = ChangeBatch?.Changes ?? [];
    const sets = changes.map(({ ResourceRecordSet }) => ResourceRecordSet);
    return [
      on('ChangeResourceRecordSets', 'hostedzone', HostedZoneId, {
        'route53:ChangeResourceRecordSetsNormalizedRecordNames': distinct(
          sets.map((set) => normalizedName(set?.Name ?? '')),
        ),
        'route53:ChangeResourceRecordSetsRecordTypes': distinct(sets.map((set) => set?.Type ?? '')),
        'route53:ChangeResourceRecordSetsActions': distinct(changes.map(({ Action }) => Action ?? '')),
      }),
    ];
  },
};

/**
 * A record's name as its condition key has it: lower case, no dot at the end, anything but letters, digits, `-`, `_` and `.` as `\` and
 * three octal digits ("Using IAM policy conditions for fine-grained access control", Amazon Route 53 Developer Guide).
 */
export function normalizedName(name: string): string {
  const plain = name.toLowerCase().replace(/\.$/, '');
  return plain.replace(
    /\\([0-7]{3})|([^a-z0-9_.-])/g,
    (_all, octal: string | undefined, character: string | undefined) => {
      const code = octal === undefined ? (character ?? '').charCodeAt(0) : Number.parseInt(octal, 8);
      const meant = String.fromCharCode(code).toLowerCase();
      return /[a-z0-9_-]/.test(meant) ? meant : `\\${meant.charCodeAt(0).toString(8).padStart(3, '0')}`;
    },
  );
}

const distinct = (values: string[]): string[] => [...new Set(values)];

/** Ids come with and without their path. */
const on = (operation: string, kind: string, id = '', context: Asked['context'] = {}): Asked => ({
  action: `route53:${operation}`,
  resource: `arn:aws:route53:::${kind}/${id.replace(/^\/?(hostedzone|change|healthcheck)\//, '')}`,
  context,
});
