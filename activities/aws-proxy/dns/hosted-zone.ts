import {
  type AcceleratedRecoveryStatus,
  GetHostedZoneCommand,
  type Route53Client,
} from '@aws-sdk/client-route-53';

export interface HostedZone {
  /** Lower case, without the dot at the end. */
  name: string;
  private: boolean;
  /** Host names of the zone's name servers; none for a private zone, which only its VPCs' resolvers answer for. */
  nameServers: string[];
  /** Record sets that it has, of all names and types. */
  recordSets: number;
  /** Whether its records can be changed while us-east-1 is away; absent where it was never asked for. */
  acceleratedRecovery?: AcceleratedRecoveryStatus;
}

/** @throws Route53ServiceException NoSuchHostedZone */
export async function lookUpZone(route53: Route53Client, hostedZone: string): Promise<HostedZone> {
  const { HostedZone: zone, DelegationSet } = await route53.send(
    new GetHostedZoneCommand({ Id: hostedZone }),
  );
  return {
    name: (zone?.Name ?? '').replace(/\.$/, '').toLowerCase(),
    private: zone?.Config?.PrivateZone ?? false,
    nameServers: DelegationSet?.NameServers ?? [],
    recordSets: zone?.ResourceRecordSetCount ?? Infinity,
    acceleratedRecovery: zone?.Features?.AcceleratedRecoveryStatus,
  };
}
