import {
  type Change,
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  ListResourceRecordSetsCommand,
  type ResourceRecordSet,
} from '@aws-sdk/client-route-53';
import { createDnsActivities } from '../../activities/aws-proxy/dns/activities';
import { type RepositoryAddress, type RunContext } from '../../plan/run';
import { type ObjectStore } from '../../repository/objects/object-store';
import { type StoredRecordSet } from '../../repository/plans/record-set';
import { readStoredDns } from '../../repository/plans/stored-dns';
import { SHOP_HOSTED_ZONE_ID as ZONE } from '../../sandbox/aws/fixtures';
import { failureOf, runActivity } from './run-activity';
import { letHold, startTestAccount, type TestAccount } from './test-account';

let account: TestAccount;
let repository: { address: RepositoryAddress; store: ObjectStore };
let names = 0;
/** A name of its own for every test. */
let name: string;

/** What ListResourceRecordSets answers with, where it is not what the zone has (any more). */
let listed: ResourceRecordSet[] | undefined;
/** Lists that were asked for in this test. */
let lists = 0;

beforeAll(async () => {
  account = await startTestAccount(async ({ operation }, handle) => {
    if (operation === 'ListResourceRecordSets') lists += 1;
    if (operation === 'ListResourceRecordSets' && listed !== undefined)
      return { ResourceRecordSets: listed, IsTruncated: false, MaxItems: 100 };
    return handle();
  });
});
afterAll(() => account.close());
beforeEach(() => {
  repository = account.newRepository();
  listed = undefined;
  lists = 0;
  names += 1;
  name = `www${names}.shop.example`;
});

const activities = (servers = [account.dnsServer]) =>
  createDnsActivities({
    route53: account.clients.route53,
    objectStore: account.objectStore,
    dnsServers: servers,
    pollSeconds: 0.05,
  });
const run = (generation: number): RunContext => ({
  plan: 'shop',
  digest: 'a'.repeat(64),
  repository: repository.address,
  runId: `run-${generation}`,
  generation,
});

const change = (Action: 'CREATE' | 'UPSERT', values: string[], more: object = {}): Change => ({
  Action,
  ResourceRecordSet: {
    Name: name,
    Type: 'A',
    TTL: 300,
    ResourceRecords: values.map((Value) => ({ Value })),
    ...more,
  },
});
/** Makes changes as a person would, and waits until the zone's server answers by them. */
async function apply(...Changes: Change[]): Promise<void> {
  const { ChangeInfo } = await account.clients.route53.send(
    new ChangeResourceRecordSetsCommand({ HostedZoneId: ZONE, ChangeBatch: { Changes } }),
  );
  for (;;) {
    const change = await account.clients.route53.send(new GetChangeCommand({ Id: ChangeInfo?.Id }));
    if (change.ChangeInfo?.Status === 'INSYNC') return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
async function present() {
  const { ResourceRecordSets } = await account.clients.route53.send(
    new ListResourceRecordSetsCommand({ HostedZoneId: ZONE, StartRecordName: name }),
  );
  const set = ResourceRecordSets?.find(({ Name, Type }) => Name === `${name}.` && Type === 'A');
  return set && { ttl: set.TTL, values: set.ResourceRecords?.map(({ Value }) => Value).sort() };
}
const holding = (generation: number) => letHold(repository.store, run(generation));
const move = async (generation: number, value: string, ttl = 60) => {
  const input = {
    run: await holding(generation),
    hostedZone: ZONE,
    records: [{ name, vm: 'web', address: 'public' as const, ttl, value }],
  };
  return (await runActivity(activities().moveDns, input)).moved;
};
/** A simple A record as the zone has it. */
const stored = (ttl: number, ...values: string[]): StoredRecordSet => ({
  Name: `${name}.`,
  Type: 'A',
  TTL: ttl,
  ResourceRecords: values.map((Value) => ({ Value })),
});
const goHome = async (generation: number) =>
  runActivity(activities().returnDns, { run: await holding(generation), hostedZone: ZONE });
const check = (values: string[], servers?: string[]) =>
  runActivity(activities(servers).checkDns, { hostedZone: ZONE, expected: [{ name, values }] });

describe('DNS', () => {
  it('asks for many records page by page, and for one by its name, also in a large zone', async () => {
    const recordSet = (n: number) => ({
      ...change('CREATE', [`192.0.2.${n % 200}`]).ResourceRecordSet!,
      Name: `${n}.${name}`,
    });
    const numbers = Array.from({ length: 310 }, (_, n) => n);
    await apply(...numbers.map((n): Change => ({ Action: 'CREATE', ResourceRecordSet: recordSet(n) })));
    const moving = async (...moved: string[]) => {
      lists = 0;
      const records = moved.map((one) => ({
        name: one,
        vm: 'web',
        address: 'public' as const,
        ttl: 60,
        value: '198.51.100.1',
      }));
      const input = { run: await holding(moved.length), hostedZone: ZONE, records };
      const stored = await runActivity(activities().moveDns, input);
      return {
        lists,
        previous: stored.moved.map(({ before }) => before[0]?.ResourceRecords?.map(({ Value }) => Value)),
      };
    };
    const absent = `absent.${name}`;
    expect(await moving(`309.${name}`)).toEqual({ lists: 1, previous: [['192.0.2.109']] });
    expect(await moving(...numbers.slice(0, 309).map((n) => `${n}.${name}`), absent)).toEqual({
      lists: 2,
      previous: [...numbers.slice(0, 309).map((n) => [`192.0.2.${n % 200}`]), undefined],
    });
    await apply(
      ...numbers.map((n): Change => ({
        Action: 'DELETE',
        ResourceRecordSet: { ...recordSet(n), TTL: 60, ResourceRecords: [{ Value: '198.51.100.1' }] },
      })),
    );
  }, 30_000);

  it('moves to the recovery site and home again, TTL and all', async () => {
    await apply(change('CREATE', ['192.0.2.8', '192.0.2.7']));
    const moved = await move(5, '198.51.100.1');
    expect(moved).toEqual([
      { name, before: [stored(300, '192.0.2.8', '192.0.2.7')], ours: [stored(60, '198.51.100.1')] },
    ]);
    expect(await present()).toEqual({ ttl: 60, values: ['198.51.100.1'] });
    await check(['198.51.100.1']);

    expect(await goHome(6)).toMatchObject({ returned: moved, leftAlone: [], notes: [] });
    expect(await present()).toEqual({ ttl: 300, values: ['192.0.2.7', '192.0.2.8'] });
    await check(['192.0.2.8', '192.0.2.7']);
    expect(await goHome(6)).toMatchObject({ returned: moved, leftAlone: [], notes: [] });
  });

  it('takes a record away again that did not exist before', async () => {
    await move(1, '198.51.100.1');
    await check(['198.51.100.1']);
    await goHome(1);
    expect(await present()).toBeUndefined();
    await check([]);
    expect(await goHome(1)).toMatchObject({ returned: [{ name }], leftAlone: [] });
  });

  it('stores what was there before the change, and never our own value as that', async () => {
    await apply(change('CREATE', ['192.0.2.7']));
    await move(3, '198.51.100.1');
    await move(3, '198.51.100.1');
    await move(3, '198.51.100.2');
    const kept = await readStoredDns(repository.store, run(3));
    expect(kept?.names).toEqual([
      { name, before: [stored(300, '192.0.2.7')], ours: [stored(60, '198.51.100.2')] },
    ]);
    await goHome(3);
    expect(await present()).toEqual({ ttl: 300, values: ['192.0.2.7'] });
  });

  it('remembers the primary site across a failover that was lost half-way', async () => {
    await apply(change('CREATE', ['192.0.2.7']));
    await move(3, '198.51.100.1');
    const [second] = await move(4, '198.51.100.2');
    expect(second?.before).toEqual([stored(300, '192.0.2.7')]);
    await goHome(5);
    expect(await present()).toEqual({ ttl: 300, values: ['192.0.2.7'] });
  });

  it('knows nothing of generations that come after the run', async () => {
    await apply(change('CREATE', ['192.0.2.7']));
    await move(9, '198.51.100.1');
    expect(await goHome(8)).toEqual({ returned: [], leftAlone: [], expected: [], notes: [] });
    expect(await present()).toEqual({ ttl: 60, values: ['198.51.100.1'] });
  });

  it('leaves a value alone that somebody else has set', async () => {
    await apply(change('CREATE', ['192.0.2.7']));
    await move(1, '198.51.100.1');
    await apply(change('UPSERT', ['203.0.113.9']));
    expect(await goHome(2)).toMatchObject({ returned: [], leftAlone: [{ name }] });
    expect(await present()).toEqual({ ttl: 300, values: ['203.0.113.9'] });
  });

  it('goes home although somebody changed the TTL of our value', async () => {
    await apply(change('CREATE', ['192.0.2.7']));
    await move(1, '198.51.100.1');
    await apply(change('UPSERT', ['198.51.100.1'], { TTL: 5 }));
    expect(await goHome(2)).toMatchObject({ returned: [{ name }] });
    expect(await present()).toEqual({ ttl: 300, values: ['192.0.2.7'] });
  });

  it('begins again where somebody changes a record while it is being moved', async () => {
    await apply(change('CREATE', ['192.0.2.7']));
    // What the run has read is no longer there when its change arrives.
    listed = [stored(300, '192.0.2.6') as ResourceRecordSet];
    expect(await failureOf(move(1, '198.51.100.1'))).toMatchObject({
      type: 'DnsChanged',
      nonRetryable: false,
    });
    listed = undefined;
    expect(await present()).toEqual({ ttl: 300, values: ['192.0.2.7'] });
  });

  it('brings home what an earlier release stored', async () => {
    await apply(change('CREATE', ['198.51.100.1'], { TTL: 60 }));
    const before = { ttl: 300, values: ['192.0.2.7', '192.0.2.8'] };
    const old = [{ name, type: 'A', previous: before, ours: { ttl: 60, values: ['198.51.100.1'] } }];
    await repository.store.put('dns/shop/1.json', Buffer.from(JSON.stringify(old)));
    expect(await goHome(2)).toMatchObject({ returned: [{ name }], leftAlone: [] });
    expect(await present()).toEqual(before);
  });

  it('begins again where somebody changes a record while it is being returned', async () => {
    await apply(change('CREATE', ['192.0.2.7']));
    await move(1, '198.51.100.1');
    const read = await present();
    await apply(change('UPSERT', ['203.0.113.9']));
    // What the run has read is no longer there when its change arrives.
    listed = [
      {
        Name: `${name}.`,
        Type: 'A',
        TTL: read?.ttl,
        ResourceRecords: (read?.values ?? []).map((Value) => ({ Value })),
      },
    ];
    expect(await failureOf(goHome(2))).toMatchObject({ type: 'DnsChanged', nonRetryable: false });
    listed = undefined;
    expect(await present()).toEqual({ ttl: 300, values: ['203.0.113.9'] });
  });

  it('names server, name, what it got and what it expected', async () => {
    await apply(change('CREATE', ['192.0.2.7']));
    const wrong = await failureOf(check(['198.51.100.1']));
    expect(wrong).toMatchObject({ type: 'DnsMismatch', nonRetryable: false });
    for (const part of [account.dnsServer, name, '192.0.2.7', '198.51.100.1'])
      expect(wrong.message).toContain(part);
  });

  it('takes the silence of one server for no agreement', async () => {
    await apply(change('CREATE', ['192.0.2.7']));
    // Port 9 (discard) of the loopback address: nobody listens.
    const silent = await failureOf(check(['192.0.2.7'], [account.dnsServer, '127.0.0.1:9']));
    expect(silent).toMatchObject({ type: 'DnsMismatch', nonRetryable: false });
    expect(silent.message).toContain('127.0.0.1:9');
  });

  it('is not touched by a run that another has fenced off', async () => {
    await apply(change('CREATE', ['192.0.2.7']));
    await move(1, '198.51.100.1');
    await holding(2);
    const records = [{ name, vm: 'web', address: 'public' as const, ttl: 60, value: '198.51.100.9' }];
    const input = { run: run(1), hostedZone: ZONE };
    const fenced = { type: 'Fenced', nonRetryable: true };
    expect(await failureOf(runActivity(activities().moveDns, { ...input, records }))).toMatchObject(fenced);
    expect(await failureOf(runActivity(activities().returnDns, input))).toMatchObject(fenced);
    expect(await present()).toEqual({ ttl: 60, values: ['198.51.100.1'] });
  });

  it('does not follow objects that are not what it stored', async () => {
    await repository.store.put('dns/shop/1.json', Buffer.from('[{"name":"x","type":"MX"}]'));
    expect(await failureOf(goHome(2))).toMatchObject({ type: 'DamagedObject', nonRetryable: true });
  });
});
