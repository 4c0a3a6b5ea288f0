import {
  ChangeResourceRecordSetsCommand,
  type ChangeInfo,
  GetChangeCommand,
  GetHostedZoneCommand,
  ListResourceRecordSetsCommand,
  type ResourceRecordSet,
  type Route53Client,
} from '@aws-sdk/client-route-53';
import { CHECK_RECORD } from '../site';
import { type Trial } from './trial';

/** Addresses for documents (RFC 5737): nobody is there. */
const ADDRESS = '192.0.2.1';
const OTHER_ADDRESS = '192.0.2.2';
const TTL = 60;

/** Name of the check's record in a zone, with its dot at the end. */
export const recordName = (zoneName: string): string => `${CHECK_RECORD}.${zoneName}`;

const change = (HostedZoneId: string, Action: 'CREATE' | 'DELETE', ResourceRecordSet: ResourceRecordSet) =>
  new ChangeResourceRecordSetsCommand({
    HostedZoneId,
    ChangeBatch: { Changes: [{ Action, ResourceRecordSet }] },
  });

/** A record in a zone that the person has named: made, waited for, removed. */
export async function tryRecord({ questions, clients }: Trial, zone: string): Promise<void> {
  const { route53 } = clients;
  const found = await questions.ask({
    id: 'route53.zone',
    about: `the hosted zone ${zone} is there`,
    action: 'route53:GetHostedZone',
    call: () => route53.send(new GetHostedZoneCommand({ Id: zone })),
  });
  const zoneName = found?.HostedZone?.Name;
  if (zoneName === undefined) return;
  const record = (value = ADDRESS): ResourceRecordSet => ({
    Name: recordName(zoneName),
    Type: 'A',
    TTL,
    ResourceRecords: [{ Value: value }],
  });
  const action = 'route53:ChangeResourceRecordSets';
  const facts = (output: { ChangeInfo?: ChangeInfo }) => ({ Status: output.ChangeInfo?.Status ?? null });
  const untilInSync = (id: string, about: string, changeId: string) =>
    questions.watch<ChangeInfo>({
      id,
      about,
      action: 'route53:GetChange',
      from: 'PENDING',
      look: async () => (await route53.send(new GetChangeCommand({ Id: changeId }))).ChangeInfo,
      state: ({ Status }) => Status,
      until: 'INSYNC',
    });
  const made = await questions.ask({
    id: 'route53.create',
    about: `the record ${recordName(zoneName)} is made`,
    action,
    call: () => route53.send(change(zone, 'CREATE', record())),
    facts,
  });
  if (made?.ChangeInfo?.Id === undefined) return;
  await untilInSync('route53.in-sync', "the zone's servers have it", made.ChangeInfo.Id);
  await questions.ask({
    id: 'route53.create-again',
    about: 'making it again is refused',
    action,
    call: () => route53.send(change(zone, 'CREATE', record())),
  });
  await questions.ask({
    id: 'route53.delete-other',
    about: 'removing it by another value is refused',
    action,
    call: () => route53.send(change(zone, 'DELETE', record(OTHER_ADDRESS))),
  });
  const removed = await questions.ask({
    id: 'route53.delete',
    about: 'the record is removed',
    action,
    call: () => route53.send(change(zone, 'DELETE', record())),
    facts,
  });
  if (removed?.ChangeInfo?.Id !== undefined)
    await untilInSync('route53.removed-in-sync', "the zone's servers have it no more", removed.ChangeInfo.Id);
}

/** Removes the check's record, whatever it says. @returns its name; undefined where there is none */
export async function removeRecord(route53: Route53Client, zone: string): Promise<string | undefined> {
  const { HostedZone } = await route53.send(new GetHostedZoneCommand({ Id: zone }));
  const name = recordName(HostedZone?.Name ?? '');
  const { ResourceRecordSets = [] } = await route53.send(
    new ListResourceRecordSetsCommand({
      HostedZoneId: zone,
      StartRecordName: name,
      StartRecordType: 'A',
      MaxItems: 1,
    }),
  );
  const found = ResourceRecordSets.find((set) => set.Name === name && set.Type === 'A');
  if (found === undefined) return undefined;
  await route53.send(change(zone, 'DELETE', found));
  return name;
}
