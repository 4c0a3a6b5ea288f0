import { isIPv4 } from 'node:net';
import { type Route53Client } from '@aws-sdk/client-route-53';
import { ApplicationFailure } from '@temporalio/common';
import { mapAhead } from '../../../blocks/pipeline';
import { type RepositoryAddress, type RunContext } from '../../../plan/run';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { checkPlanState } from '../../../repository/plans/plan-state';
import {
  readDnsHistory,
  readStoredDns,
  storeDns,
  type StoredRecord,
} from '../../../repository/plans/stored-dns';
import { hasCode, withFailures } from '../../failures';
import { beating } from '../../heartbeat';
import {
  aRecordChange,
  changeRecords,
  lookUpZone,
  type PresentRecord,
  readARecords,
  sameAddresses,
} from './hosted-zone';
import { askForAddresses, type NameServer, nameServersOf } from './name-servers';
import { type DnsActivities } from './contract';

export interface DnsDependencies {
  route53: Route53Client;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Servers (`address:port`) to ask instead of the zone's name servers. */
  dnsServers?: string[];
  /** Seconds between two looks at Route 53, instead of the usual pace. */
  pollSeconds?: number;
}

/** Names that one server is asked for at once: thousands of datagrams at a time get lost, and count as no answer. */
const NAMES_AT_ONCE = 16;

/** DNS to the recovery site, and home again. What it said before is in the repository bucket before it changes. */
export function createDnsActivities(dependencies: DnsDependencies): DnsActivities {
  const { route53, objectStore, dnsServers, pollSeconds } = dependencies;
  const activities = {
    async moveDns({ run, hostedZone, records }) {
      // In the activity, because a try after an outage can come long after any check of the workflow.
      await checkPlanState(objectStore(run.repository), run);
      const wanted = records.map(({ name, ttl, value }) => ({ name, ours: { ttl, values: [value] } }));
      const bad = records.find(({ value }) => !isIPv4(value));
      if (bad !== undefined)
        throw ApplicationFailure.nonRetryable(
          `${bad.value} is no address for ${bad.name}.`,
          'InvalidRequest',
        );
      const present = await readAll(
        route53,
        hostedZone,
        wanted.map(({ name }) => name),
      );
      refuseOtherRecords(hostedZone, present);
      const stored = await rememberPrevious(objectStore(run.repository), run, wanted, present);
      const changes = wanted.map(({ name, ours }) => aRecordChange('UPSERT', name, ours));
      await changeRecords(route53, hostedZone, changes, comment(run, 'to the recovery site'), pollSeconds);
      return stored;
    },

    async returnDns({ run, hostedZone }) {
      await checkPlanState(objectStore(run.repository), run);
      const history = await readDnsHistory(objectStore(run.repository), run);
      const names = [...new Set(history.flat().map(({ name }) => name))];
      const present = await readAll(route53, hostedZone, names);
      const homecoming = planReturn(history, present);
      const changes = homecoming.flatMap(({ changes }) => changes);
      try {
        await changeRecords(route53, hostedZone, changes, comment(run, 'to the primary site'), pollSeconds);
      } catch (error) {
        if (!hasCode(error, 'InvalidChangeBatch')) throw error;
        // Taking exactly our value out is part of the change, so somebody has changed a record since we read it.
        throw ApplicationFailure.retryable(
          'The records changed while they were being returned.',
          'DnsChanged',
        );
      }
      return {
        returned: homecoming.filter(({ home }) => home).map(({ record }) => record),
        leftAlone: homecoming.filter(({ home }) => !home).map(({ record }) => record),
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
          const ask = (one: Expected): Promise<void> => proveAnswer(server, one);
          for await (const _ of mapAhead(expected, NAMES_AT_ONCE, ask));
        }),
      );
    },
  } satisfies DnsActivities;
  return withFailures(beating<DnsActivities>(activities));
}

type Expected = Parameters<DnsActivities['checkDns']>[0]['expected'][number];

/** @throws ApplicationFailure DnsMismatch */
async function proveAnswer(server: NameServer, { name, values }: Expected): Promise<void> {
  const answer = await askForAddresses(server, name);
  const wanted = [...values].sort();
  if (answer.values?.join() === wanted.join()) return;
  const got = answer.values === undefined ? `no answer (${answer.reason})` : addresses(answer.values);
  throw ApplicationFailure.create({
    type: 'DnsMismatch',
    message: `The name server ${server.name} has ${got} for ${name}; ${addresses(wanted)} is expected.`,
  });
}

const addresses = (values: string[]) => (values.length === 0 ? 'no record' : values.join(', '));

const comment = (run: RunContext, way: string) => `Lifeboat: plan ${run.plan} ${way}, run ${run.runId}`;

/** The records as they are; the zone's size tells how to ask for them. */
async function readAll(
  route53: Route53Client,
  hostedZone: string,
  names: string[],
): Promise<Map<string, PresentRecord>> {
  if (names.length === 0) return new Map();
  return readARecords(route53, hostedZone, await lookUpZone(route53, hostedZone), names);
}

function refuseOtherRecords(hostedZone: string, present: Map<string, PresentRecord>): void {
  const problems = [...present].flatMap(([name, record]) =>
    record.kind === 'other' ? [`${name} is ${record.what}`] : [],
  );
  if (problems.length > 0)
    throw ApplicationFailure.nonRetryable(
      `In the zone ${hostedZone}, ${problems.join(', and ')}. Lifeboat moves simple A records only: replace it, or take ` +
        'it out of the plan.',
      'UnmovableRecord',
    );
}

/**
 * Stores what the records were before the change. What this generation stored first counts, so that a retry does not
 * store our own values as the previous ones; and where an earlier failover's value is still there (its run was lost),
 * the previous value is the one from before that.
 */
async function rememberPrevious(
  store: ObjectStore,
  run: RunContext,
  wanted: Pick<StoredRecord, 'name' | 'ours'>[],
  present: Map<string, PresentRecord>,
): Promise<StoredRecord[]> {
  const own = await readStoredDns(store, run);
  const history = (await readDnsHistory(store, run)).flat();
  const records = wanted.map(({ name, ours }): StoredRecord => {
    const first = own?.records.find((record) => record.name === name);
    const earlier = history.filter((record) => record.name === name);
    const now = present.get(name);
    const value = now?.kind === 'simple' ? now.value : undefined;
    const isOurs = value !== undefined && earlier.some((record) => sameAddresses(record.ours, value));
    const source = first ?? (isOurs ? earlier[0] : undefined);
    const previous = source === undefined ? value : source.previous;
    return { name, type: 'A', ...(previous === undefined ? {} : { previous }), ours };
  });
  await storeDns(store, run, records, own);
  return records;
}

interface Homecoming {
  record: StoredRecord;
  changes: ReturnType<typeof aRecordChange>[];
  /** Whether the record has its previous value, or gets it by the changes. */
  home: boolean;
}

/** What to do with each record: the newest failover's, and those of earlier ones that still have a value of ours. */
function planReturn(history: StoredRecord[][], present: Map<string, PresentRecord>): Homecoming[] {
  const newest = new Set(history[0]?.map(({ name }) => name));
  return [...present].flatMap(([name, now]) => {
    const records = history.flat().filter((record) => record.name === name);
    const [record] = records;
    if (record === undefined) return [];
    const value = now.kind === 'simple' ? now.value : undefined;
    const { previous } = record;
    if (value !== undefined && records.some(({ ours }) => sameAddresses(ours, value))) {
      // Deleting names the exact value, so that Route 53 refuses the change if somebody else was faster.
      const restored = previous === undefined ? [] : [aRecordChange('CREATE', name, previous)];
      return [{ record, changes: [aRecordChange('DELETE', name, value), ...restored], home: true }];
    }
    if (!newest.has(name)) return [];
    if (previous === undefined) return [{ record, changes: [], home: now.kind === 'absent' }];
    const home = value !== undefined && sameAddresses(previous, value);
    // Home already, by an earlier try: asked for again as it is, because the wait for the name servers hangs on a change.
    return [{ record, changes: home ? [aRecordChange('UPSERT', name, value)] : [], home }];
  });
}
