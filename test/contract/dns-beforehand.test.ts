import {
  ChangeResourceRecordSetsCommand,
  CreateHostedZoneCommand,
  UpdateHostedZoneFeaturesCommand,
} from '@aws-sdk/client-route-53';
import { exchange, inBatches } from '../../activities/aws-proxy/dns/batches';
import { type LeadingSet } from '../../activities/aws-proxy/dns/record-sets';
import { type PlannedDnsRecord } from '../../plan/dns-record';
import { SHOP_HOSTED_ZONE_ID as ZONE } from '../../sandbox/aws/fixtures';
import { AwsError } from '../../sandbox/aws/wire/errors';
import { startDnsServer } from '../../sandbox/dns/server';
import { type DnsZone } from '../../sandbox/dns/zone';
import { DnsZoneUnderTest, record, set } from './dns-zone';
import { failureOf, runActivity } from './run-activity';
import { shopPlan } from './test-account';

let zone: DnsZoneUnderTest;
/** Changes of which Route 53 says that they are pending, for ever; and whether it knows them at all. */
let stuck = 0;
let forgotten = 0;
/** Elements of the change batches that arrived. */
let batches: number[] = [];
beforeAll(async () => {
  zone = await DnsZoneUnderTest.start(async ({ operation, input }, handle) => {
    if (operation === 'ChangeResourceRecordSets') {
      const { ChangeBatch } = input as { ChangeBatch: { Changes: unknown[] } };
      batches.push(ChangeBatch.Changes.length);
    }
    if (operation === 'GetChange' && stuck-- > 0)
      return { ChangeInfo: { Id: '/change/C1', Status: 'PENDING', SubmittedAt: new Date() } };
    if (operation === 'GetChange' && forgotten-- > 0) throw new AwsError('NoSuchChange', 'Unknown.', 404);
    return handle();
  });
});
afterAll(() => zone.account.close());
beforeEach(() => {
  zone.renew();
  stuck = 0;
  forgotten = 0;
  batches = [];
});

const planned = (name: string, more: Partial<PlannedDnsRecord> = {}): PlannedDnsRecord => ({
  name,
  vm: 'web',
  address: 'private',
  ttl: 60,
  ...more,
});
const ttls = async (name: string): Promise<(number | undefined)[]> =>
  (await zone.sets(name)).map(({ TTL }) => TTL);
const lower = async (generation: number, ...records: PlannedDnsRecord[]) => {
  const run = await zone.holding(generation);
  return runActivity(zone.activities().lowerDnsTtls, { run, hostedZone: ZONE, records });
};
const restore = async (generation: number) => {
  const run = await zone.holding(generation);
  return runActivity(zone.activities().restoreDnsTtls, { run, hostedZone: ZONE });
};
const inspect = (records: PlannedDnsRecord[], resolvers?: string[]) => {
  const plan = { ...shopPlan(), dns: { hostedZone: ZONE, records } };
  return runActivity(zone.activities(resolvers === undefined ? {} : { resolvers }).inspectDns, { plan });
};

describe('TTLs, days before', () => {
  it('are lowered where they are longer than the plan has them, and come back exactly', async () => {
    const name = 'ttl.shop.example';
    const short = 'short.shop.example';
    await zone.create(
      set(name, 'A', ['192.0.2.8', '192.0.2.7'], { TTL: 86_400 }),
      set(name, 'AAAA', ['2001:db8::7'], { TTL: 7200 }),
      set(name, 'TXT', ['"mine"'], { TTL: 900 }),
      set(short, 'A', ['192.0.2.7'], { TTL: 30 }),
    );
    const before = await zone.sets(name);
    const lowered = {
      changed: [
        { name, type: 'A', from: 86_400, to: 60 },
        { name, type: 'AAAA', from: 7200, to: 60 },
      ],
      notes: [],
    };
    expect(await lower(1, planned(name), planned(short))).toEqual(lowered);
    expect(await lower(1, planned(name), planned(short))).toEqual(lowered);
    expect(await ttls(name)).toEqual([60, 60, 900]);
    expect(await ttls(short)).toEqual([30]);

    // A failover and its return in between: what it found comes back, which is the lowered one.
    await zone.move(2, [record(name)]);
    expect((await zone.goHome(3)).notes).toEqual([]);
    expect(await ttls(name)).toEqual([60, 60, 900]);

    expect((await restore(4)).changed).toEqual([
      { name, type: 'A', from: 60, to: 86_400 },
      { name, type: 'AAAA', from: 60, to: 7200 },
    ]);
    expect(await zone.sets(name)).toEqual(before);
    expect(await restore(4)).toEqual({ changed: [], notes: [] });
  });

  it('come back beside addresses that are new, and not where somebody has set another', async () => {
    const [moved, other, gone] = ['t1.shop.example', 't2.shop.example', 't3.shop.example'];
    await zone.create(...[moved, other, gone].map((name) => set(name, 'A', ['192.0.2.7'], { TTL: 3600 })));
    await lower(1, planned(moved), planned(other), planned(gone));
    await zone.change(
      ['UPSERT', set(moved, 'A', ['192.0.2.50'], { TTL: 60 })],
      ['UPSERT', set(other, 'A', ['192.0.2.7'], { TTL: 120 })],
      ['DELETE', set(gone, 'A', ['192.0.2.7'], { TTL: 60 })],
    );
    const { changed, notes } = await restore(2);
    expect(changed).toEqual([{ name: moved, type: 'A', from: 60, to: 3600 }]);
    expect(notes).toEqual([
      't2.shop.example (A) has a TTL of 120 s, which somebody has set meanwhile; it was left as it is.',
      't3.shop.example has no A record any more.',
    ]);
    expect(await zone.sets(moved)).toMatchObject([{ TTL: 3600, ResourceRecords: [{ Value: '192.0.2.50' }] }]);
  });

  it('of weighted sets change together, as Route 53 wants it', async () => {
    const name = 'w.shop.example';
    const sets = ['a', 'b'].map((SetIdentifier) =>
      set(name, 'A', ['192.0.2.7'], { TTL: 3600, SetIdentifier, Weight: 1 }),
    );
    await zone.create(...sets);
    const before = await zone.sets(name);
    const { changed } = await lower(1, planned(name, { setIdentifier: 'a' }));
    expect(changed).toMatchObject([
      { setIdentifier: 'a', to: 60 },
      { setIdentifier: 'b', to: 60 },
    ]);
    expect(await ttls(name)).toEqual([60, 60]);
    await restore(1);
    expect(await zone.sets(name)).toEqual(before);
  });

  it('are changed by no run that another has fenced off', async () => {
    const run = await zone.holding(1);
    await zone.holding(2);
    const input = { run, hostedZone: ZONE, records: [planned('ttl.shop.example')] };
    const fenced = { type: 'Fenced', nonRetryable: true };
    expect(await failureOf(runActivity(zone.activities().lowerDnsTtls, input))).toMatchObject(fenced);
    expect(await failureOf(runActivity(zone.activities().restoreDnsTtls, input))).toMatchObject(fenced);
    expect(batches).toEqual([]);
  });
});

describe('what can be known before', () => {
  it('is told of a record: TTL, what stands beside it, and what no plan can move', async () => {
    const name = 'known.shop.example';
    const checked = 'checked.shop.example';
    await zone.create(
      set(name, 'A', ['192.0.2.7'], { TTL: 86_400 }),
      set(name, 'AAAA', ['2001:db8::7']),
      set(name, 'HTTPS', ['1 . ipv4hint=192.0.2.7']),
      set(checked, 'CNAME', ['old.example']),
      set('sub.shop.example', 'NS', ['ns.elsewhere.example']),
    );
    const told = await inspect([
      planned(name),
      planned(checked),
      planned('www.sub.shop.example'),
      planned('www.elsewhere.example'),
    ]);
    expect(told.names[0]).toEqual({
      name,
      present: ['A 192.0.2.7', 'AAAA 2001:db8::7', 'HTTPS 1 . ipv4hint=192.0.2.7'],
      ttl: 86_400,
    });
    expect(told.findings).toEqual([
      `The record www.elsewhere.example is not in the hosted zone ${ZONE} (shop.example).`,
      expect.stringMatching(/^checked\.shop\.example is a CNAME record/),
      'www.sub.shop.example is under sub.shop.example, which is delegated to other name servers; nobody would see a change here.',
    ]);
    expect(told.notes).toEqual([
      'known.shop.example has AAAA 2001:db8::7 beside, which leads to the primary site: it goes to the IPv6 address of the instance ' +
        'where that has one, and else away, while the plan is away, and comes back as it was.',
      "known.shop.example has HTTPS 1 . ipv4hint=192.0.2.7 beside, which leads to the primary site: it is HTTPS 1 . ipv4hint=the instance's " +
        'address while the plan is away, and comes back as it was.',
      'known.shop.example has a TTL of 86400 s, and 60 s while the plan is away: resolvers may keep what it has for 86400 s after a ' +
        'failover. Lower it some days before: lifeboat dns lower-ttl.',
    ]);
    // Those of the test itself.
    expect(batches).toEqual([5]);
  });

  it('is told of the zone: its twin, its delegation, and whether it can be changed without us-east-1', async () => {
    const served: DnsZone = { name: 'shop.example', recordSets: [] };
    const resolver = await startDnsServer({ host: '127.0.0.1', port: 0 }, () => [served], console.error);
    const resolvers = [`127.0.0.1:${resolver.port}`];
    const answers = (...servers: string[]) => {
      served.recordSets = [{ name: 'shop.example', type: 'NS', ttl: 60, values: servers }];
    };
    const { route53 } = zone.account.clients;
    answers('ns-1.sandbox.invalid.', 'ns-2.sandbox.invalid.');
    expect((await inspect([planned('www.shop.example')], resolvers)).zoneNotes).toEqual([
      `Accelerated recovery of the zone ${ZONE} is off: while us-east-1 is away, its records cannot be changed.`,
    ]);
    await route53.send(
      new UpdateHostedZoneFeaturesCommand({ HostedZoneId: ZONE, EnableAcceleratedRecovery: true }),
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await inspect([planned('www.shop.example')], resolvers)).zoneNotes).toEqual([]);
    answers('ns.registrar.example.');
    await route53.send(new CreateHostedZoneCommand({ Name: 'shop.example', CallerReference: 'twin' }));
    const { zoneNotes } = await inspect([planned('www.shop.example')], resolvers);
    expect(zoneNotes[0]).toMatch(
      /^shop\.example has 2 public hosted zones \(Z\w+, Z\w+\): clients see the one/,
    );
    expect(zoneNotes[1]).toMatch(/^shop\.example is delegated to ns\.registrar\.example, as the resolver/);
    await resolver.close();
  });
});

describe('a change of DNS', () => {
  it('is sent again where Route 53 leaves it pending, or has forgotten it', async () => {
    const name = 'stuck.shop.example';
    await zone.create(set(name, 'A', ['192.0.2.7']));
    batches = [];
    stuck = 6;
    await zone.move(1, [record(name)], { resendSeconds: 0.1 });
    expect(batches.length).toBeGreaterThan(1);
    // The first took what was there away; the others what they had made.
    expect(new Set(batches)).toEqual(new Set([2]));
    expect(await zone.sets(name)).toMatchObject([{ TTL: 60, ResourceRecords: [{ Value: '198.51.100.1' }] }]);
    batches = [];
    forgotten = 1;
    await zone.move(1, [record(name)]);
    expect(batches).toEqual([2, 2]);
    await zone.goHome(2);
    expect(await ttls(name)).toEqual([300]);
  });

  it('does not undo, when it is sent again, what somebody has set meanwhile', async () => {
    const name = 'later.shop.example';
    await zone.create(set(name, 'A', ['192.0.2.7']));
    stuck = 1000;
    const moving = failureOf(zone.move(1, [record(name)], { resendSeconds: 0.5 }));
    await new Promise((resolve) => setTimeout(resolve, 250));
    await zone.account.clients.route53.send(
      new ChangeResourceRecordSetsCommand({
        HostedZoneId: ZONE,
        ChangeBatch: { Changes: [{ Action: 'UPSERT', ResourceRecordSet: set(name, 'A', ['203.0.113.9']) }] },
      }),
    );
    expect(await moving).toMatchObject({ type: 'DnsChanged', nonRetryable: false });
    expect(await zone.sets(name)).toMatchObject([{ ResourceRecords: [{ Value: '203.0.113.9' }] }]);
  });

  it('is made in as few parts as Route 53 takes, of which each has whole names; too large a name is refused', async () => {
    const addresses = (count: number, net: number) =>
      Array.from({ length: count }, (_, n) => `10.${net}.${Math.floor(n / 200)}.${n % 200}`);
    const names = Array.from({ length: 4 }, (_, n) => `part${n}.shop.example`);
    for (const [n, name] of names.entries()) await zone.create(set(name, 'A', addresses(399, n)));
    batches = [];
    await zone.move(
      1,
      names.map((name) => record(name)),
    );
    expect(batches).toEqual([4, 4]);
    const { notes } = await inspect(names.map((name) => planned(name)));
    expect(notes).toEqual([]);
    await zone.goHome(2);
    expect((await inspect(names.map((name) => planned(name)))).notes).toContain(
      'Route 53 takes the change of these records in 2 parts only, one right after the other: between them, some names lead to one ' +
        'site and some to the other.',
    );
    const enormous = Array.from(
      { length: 3 },
      (_, n) => set(names[0]!, 'A', addresses(400, n)) as LeadingSet,
    );
    expect(() => inBatches([exchange('enormous.shop.example', enormous, [])])).toThrow(
      'The records of enormous.shop.example take 1200 elements',
    );
  });
});

describe('resolvers', () => {
  it('are asked beside the zone, and what they still have is told, and no failure', async () => {
    const name = 'cached.shop.example';
    await zone.create(set(name, 'A', ['192.0.2.7'], { TTL: 3600 }));
    const stale = {
      name: 'shop.example',
      recordSets: [{ name, type: 'A', ttl: 1234, values: ['192.0.2.7'] }],
    };
    const resolver = await startDnsServer({ host: '127.0.0.1', port: 0 }, () => [stale], console.error);
    const old = `127.0.0.1:${resolver.port}`;
    const moved = await zone.move(1, [record(name)]);
    expect(moved.notes).toEqual([
      expect.stringMatching(
        /^Resolvers may answer with what cached\.shop\.example had until \S+Z: its TTL was 3600 s\.$/,
      ),
    ]);
    const resolvers = [old, zone.account.dnsServer, '127.0.0.1:9'];
    const asked = await runActivity(zone.activities({ resolvers }).checkDns, {
      hostedZone: ZONE,
      expected: moved.expected,
    });
    expect(asked.notes).toEqual([
      `The resolver ${old} still answers 192.0.2.7 for ${name}, for 1234 s more at most.`,
      `The resolver ${zone.account.dnsServer} answers with the new records.`,
      expect.stringMatching(
        /^The resolver 127\.0\.0\.1:9 gives no answer for cached\.shop\.example \(ECONNREFUSED\)\.$/,
      ),
    ]);
    await resolver.close();
  });
});
