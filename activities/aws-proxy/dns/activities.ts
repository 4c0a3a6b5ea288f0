import { isIPv4, isIPv6 } from 'node:net';
import { type ResourceRecordSet, type Route53Client } from '@aws-sdk/client-route-53';
import { ApplicationFailure } from '@temporalio/common';
import { mapAhead } from '../../../blocks/pipeline';
import { type RepositoryAddress, type RunContext } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { checkPlanState } from '../../../repository/plans/plan-state';
import { readDnsHistory, readStoredDns, storeDns } from '../../../repository/plans/stored-dns';
import { withFailures } from '../../failures';
import { beating } from '../../heartbeat';
import { changeRecords } from './batches';
import { type DnsActivities, type ExpectedAnswer, type MovedRecord } from './contract';
import { expectedAnswers } from './expected';
import { planReturn } from './homecoming';
import { lookUpZone } from './hosted-zone';
import { inspectDns } from './inspect';
import { type WantedRecord } from './meanwhile';
import { planMove } from './move';
import { ask, isExpected, type NameServer, nameServersOf } from './name-servers';
import { readRecordSets } from './record-sets';
import { askResolvers, staleUntil } from './resolvers';
import { lowerTtls, restoreTtls } from './ttl';

export interface DnsDependencies {
  route53: Route53Client;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Servers (`address:port`) to ask instead of the zone's name servers. */
  dnsServers?: string[];
  /** Recursive resolvers (`address:port`) as the application's clients ask them. */
  resolvers?: string[];
  /** Seconds between two looks at Route 53, instead of the usual pace. */
  pollSeconds?: number;
  /** Seconds after which a change that Route 53 leaves pending is sent again. */
  resendSeconds?: number;
}

/** Names that one server is asked for at once: thousands of datagrams at a time get lost, and count as no answer. */
const NAMES_AT_ONCE = 16;

/** DNS to the recovery site, and home again. What it said before is in the repository bucket before it changes. */
export function createDnsActivities(dependencies: DnsDependencies): DnsActivities {
  const { route53, objectStore, dnsServers, resolvers = [], pollSeconds, resendSeconds } = dependencies;
  const options = { pollSeconds, resendSeconds };
  const activities = {
    async moveDns({ run, hostedZone, records }) {
      const store = objectStore(run.repository);
      // In the activity, because a try after an outage can come long after any check of the workflow.
      await checkPlanState(store, run);
      const wanted = records.map(wantedRecord);
      const zone = await lookUpZone(route53, hostedZone);
      const names = [...new Set(wanted.map(({ name }) => name))];
      const present = await readRecordSets(route53, hostedZone, zone, names);
      const own = await readStoredDns(store, run);
      const history = (await readDnsHistory(store, run)).flat();
      const moves = planMove({ hostedZone, zone: zone.name, wanted, present, own: own?.names, history });
      const moved = moves.map(({ stored }) => stored);
      await storeDns(store, run, moved, own);
      const changes = moves.map((move) => move.changes);
      await changeRecords(route53, hostedZone, changes, comment(run, 'to the recovery site'), options);
      return {
        moved,
        expected: moves.flatMap(({ stored: { name, before, ours }, after }) =>
          expectedAnswers(name, after, typesOf([...before, ...ours])),
        ),
        notes: [...moves.flatMap(({ notes }) => notes), ...staleUntil(moves, new Date())],
      };
    },

    async returnDns({ run, hostedZone }) {
      const store = objectStore(run.repository);
      await checkPlanState(store, run);
      const history = await readDnsHistory(store, run);
      const names = [...new Set(history.flat().map(({ name }) => name))];
      const present =
        names.length === 0
          ? new Map<string, ResourceRecordSet[]>()
          : await readRecordSets(route53, hostedZone, await lookUpZone(route53, hostedZone), names);
      const homecoming = planReturn(history, present);
      const changes = homecoming.map((one) => one.changes);
      await changeRecords(route53, hostedZone, changes, comment(run, 'to the primary site'), options);
      const home = homecoming.filter((one) => one.home);
      return {
        returned: home.map(({ record }) => record),
        leftAlone: homecoming.filter((one) => !one.home).map(({ record }) => record),
        expected: home.flatMap(({ record: { name, before, ours }, after }) =>
          expectedAnswers(name, after, typesOf([...before, ...ours])),
        ),
        notes: homecoming.flatMap(({ notes }) => notes),
      };
    },

    async checkDns({ hostedZone, expected }) {
      const servers =
        dnsServers?.map((address) => ({ name: address, address })) ??
        (await nameServersOf(await lookUpZone(route53, hostedZone)));
      if (servers.length === 0)
        throw ApplicationFailure.nonRetryable(`No name server is known for ${hostedZone}.`, 'DnsMismatch');
      await Promise.all(
        servers.map(async (server) => {
          const prove = (one: ExpectedAnswer): Promise<void> => proveAnswer(server, one);
          for await (const _ of mapAhead(expected, NAMES_AT_ONCE, prove));
        }),
      );
      return { notes: await askResolvers(resolvers, expected) };
    },

    inspectDns: ({ plan }) => inspectDns({ route53, resolvers }, plan),

    lowerDnsTtls: (input) =>
      lowerTtls({ route53, store: objectStore(input.run.repository), ...options }, input),

    restoreDnsTtls: (input) =>
      restoreTtls({ route53, store: objectStore(input.run.repository), ...options }, input),
  } satisfies DnsActivities;
  return withFailures(beating<DnsActivities>(activities));
}

/** @throws ApplicationFailure InvalidRequest */
function wantedRecord({ value, values, ipv6Values = [], ...record }: MovedRecord): WantedRecord {
  const given = values ?? (value === undefined ? [] : [value]);
  const isGood = record.type === 'CNAME' ? (text: string) => text !== '' : isIPv4;
  const bad = given.find((one) => !isGood(one)) ?? ipv6Values.find((one) => !isIPv6(one));
  if (bad !== undefined || given.length === 0)
    throw ApplicationFailure.nonRetryable(
      `${bad ?? 'Nothing'} is no ${record.type === 'CNAME' ? 'name' : 'address'} for ${record.name}.`,
      'InvalidRequest',
    );
  return { ...record, values: given, ipv6Values };
}

const typesOf = (sets: readonly { Type: string }[]): Set<string> => new Set(sets.map(({ Type }) => Type));

/** @throws ApplicationFailure DnsMismatch */
async function proveAnswer(server: NameServer, expected: ExpectedAnswer): Promise<void> {
  const answer = await ask(server, expected);
  if (answer.values !== undefined && isExpected(answer.values, expected)) return;
  const got = answer.values === undefined ? `no answer (${answer.reason})` : valuesText(answer.values);
  const { name, type, values, any } = expected;
  throw ApplicationFailure.create({
    type: 'DnsMismatch',
    message:
      `The name server ${server.name} has ${got} for ${type === undefined ? '' : `${type} of `}${name}; ` +
      `${any === true ? 'one of ' : ''}${valuesText([...values].sort())} is expected.`,
  });
}

const valuesText = (values: readonly string[]) => (values.length === 0 ? 'no record' : values.join(', '));

const comment = (run: RunContext, way: string) => `Lifeboat: plan ${run.plan} ${way}, run ${run.runId}`;
