import { ListHostedZonesByNameCommand, type Route53Client } from '@aws-sdk/client-route-53';
import { hasCode, toFailure } from '../../failures';
import { type HostedZone } from './hosted-zone';
import { askNameServers } from './name-servers';

export interface InspectDependencies {
  route53: Route53Client;
  /** Recursive resolvers that know where a domain is delegated to; none where it is not asked. */
  resolvers?: string[];
}

/** Zones of one name that one page lists; an account has one or two. */
const MOST_ZONES = 20;

/** What would keep clients from seeing a change in this zone. None of it stops a failover. */
export async function wayToZone(
  { route53, resolvers = [] }: InspectDependencies,
  hostedZone: string,
  zone: HostedZone,
): Promise<string[]> {
  if (zone.private) return [];
  return [...(await twins(route53, hostedZone, zone)), ...(await delegation(resolvers, hostedZone, zone))];
}

/** Other public zones of the same name: only one of them is asked by anybody. */
async function twins(route53: Route53Client, hostedZone: string, zone: HostedZone): Promise<string[]> {
  try {
    const { HostedZones = [] } = await route53.send(
      new ListHostedZonesByNameCommand({ DNSName: zone.name, MaxItems: MOST_ZONES }),
    );
    const others = HostedZones.filter(
      ({ Name, Config }) =>
        Name?.replace(/\.$/, '').toLowerCase() === zone.name && Config?.PrivateZone !== true,
    )
      .map(({ Id = '' }) => Id.replace('/hostedzone/', ''))
      .filter((id) => id !== hostedZone);
    return others.length === 0
      ? []
      : [
          `${zone.name} has ${others.length + 1} public hosted zones (${[hostedZone, ...others].join(', ')}): clients see the one that ` +
            `the domain is delegated to. Look that it is ${hostedZone}.`,
        ];
  } catch (error) {
    const denied = hasCode(error, 'AccessDenied', 'AccessDeniedException', 'UnauthorizedOperation');
    const why = denied
      ? 'route53:ListHostedZonesByName is not permitted'
      : toFailure(error, 'ListHostedZonesByName').message;
    return [`Whether ${zone.name} has another hosted zone was not looked at: ${why.replace(/\.$/, '')}.`];
  }
}

/** Whether the domain is delegated to the zone's own name servers, as resolvers have it. */
async function delegation(
  resolvers: readonly string[],
  hostedZone: string,
  { name, nameServers }: HostedZone,
): Promise<string[]> {
  const own = nameServers.map((server) => server.replace(/\.$/, '').toLowerCase()).sort();
  const notes = await Promise.all(
    resolvers.map(async (address): Promise<string[]> => {
      const answer = await askNameServers({ name: address, address }, name);
      if (answer.values === undefined)
        return [
          `The resolver ${address} gives no answer for the name servers of ${name} (${answer.reason}).`,
        ];
      if (answer.values.join() === own.join()) return [];
      const has = answer.values.length === 0 ? 'no name servers' : answer.values.join(', ');
      return [
        `${name} is delegated to ${has}, as the resolver ${address} has it; ${hostedZone} has ${own.join(', ')}. ` +
          'Where these are not the same servers under other names, nobody sees what is changed in this zone.',
      ];
    }),
  );
  return notes.flat();
}

/** What would keep a person from making a change, while us-east-1 is away. */
export function acceleratedRecovery(
  hostedZone: string,
  { private: isPrivate, acceleratedRecovery: status }: HostedZone,
): string[] {
  if (isPrivate || status === 'ENABLED') return [];
  const state = status === undefined ? 'is off' : `is ${status}`;
  return [
    `Accelerated recovery of the zone ${hostedZone} ${state}: while us-east-1 is away, its records cannot be changed.`,
  ];
}
