import { type ResourceRecordSet } from '@aws-sdk/client-route-53';
import { type ExpectedAnswer, type MovedRecord } from '../../activities/aws-proxy/dns/contract';
import { SHOP_HOSTED_ZONE_ID as ZONE } from '../../sandbox/aws/fixtures';
import { alias, DnsZoneUnderTest, record, set } from './dns-zone';
import { failureOf, runActivity } from './run-activity';

let zone: DnsZoneUnderTest;
let healthCheck: string;
/** Change batches that arrived. */
let batches = 0;
beforeAll(async () => {
  zone = await DnsZoneUnderTest.start(async ({ operation }, handle) => {
    if (operation === 'ChangeResourceRecordSets') batches += 1;
    return handle();
  });
  healthCheck = await zone.healthCheck();
  await zone.create(
    set('home.shop.example', 'A', ['192.0.2.99']),
    set('home.shop.example', 'AAAA', ['2001:db8::99']),
  );
});
afterAll(() => zone.account.close());
beforeEach(() => zone.renew());

/** For people: what leads somewhere at a name. */
const text = (one: ResourceRecordSet): string =>
  [
    one.Type,
    one.SetIdentifier,
    one.TTL,
    ...(one.ResourceRecords ?? []).map(({ Value }) => Value),
    one.AliasTarget?.DNSName,
    one.Weight,
    one.Region,
    one.Failover,
    one.HealthCheckId === undefined ? undefined : 'checked',
    one.MultiValueAnswer,
  ]
    .filter((part) => part !== undefined)
    .join(' ');

interface Kind {
  name: string;
  /** What the name has at home. */
  home: ResourceRecordSet[];
  records: MovedRecord[];
  /** What it has while the plan is away. */
  away: string[];
  /** What the person is told. */
  told: RegExp[];
}

const kind = (
  name: string,
  home: ResourceRecordSet[],
  more: Partial<MovedRecord> | Partial<MovedRecord>[],
  away: string[],
  told: RegExp[] = [],
): Kind => ({ name, home, records: [more].flat().map((one) => record(name, one)), away, told });

const N = (label: string): string => `${label}.shop.example`;
const weighted = (name: string, id: string, Weight: number, value: string, TTL = 300) =>
  set(name, 'A', [value], { SetIdentifier: id, Weight, TTL });

const kinds: Record<string, () => Kind> = {
  'a wildcard': () =>
    kind('*.apps.shop.example', [set('*.apps.shop.example', 'A', ['192.0.2.7'])], {}, ['A 60 198.51.100.1']),
  'an underscore, and values in their order': () =>
    kind(N('app_1'), [set(N('app_1'), 'A', ['192.0.2.9', '192.0.2.7', '192.0.2.8'])], {}, [
      'A 60 198.51.100.1',
    ]),
  'an octal escape': () =>
    kind('a\\057b.shop.example', [set('a/b.shop.example', 'A', ['192.0.2.7'])], {}, ['A 60 198.51.100.1']),
  'several VMs': () =>
    kind(N('many'), [set(N('many'), 'A', ['192.0.2.7'])], { values: ['198.51.100.2', '198.51.100.1'] }, [
      'A 60 198.51.100.2 198.51.100.1',
    ]),
  'nothing at home': () => kind(N('absent'), [], {}, ['A 60 198.51.100.1']),
  'A, AAAA and HTTPS, with mail beside': () =>
    kind(
      N('www'),
      [
        set(N('www'), 'A', ['192.0.2.7']),
        set(N('www'), 'AAAA', ['2001:db8::7'], { TTL: 3600 }),
        set(N('www'), 'HTTPS', ['1 . alpn="h3,h2" ipv4hint=192.0.2.7 ipv6hint=2001:db8::7']),
        set(N('www'), 'MX', ['10 mail.shop.example']),
      ],
      {},
      ['A 60 198.51.100.1', 'HTTPS 60 1 . alpn="h3,h2" ipv4hint=198.51.100.1', 'MX 300 10 mail.shop.example'],
      [
        /AAAA 2001:db8::7 beside, .* it goes while the plan is away/,
        /it is HTTPS 1 \. .*ipv4hint=198/,
        /TTL was 3600 s/,
      ],
    ),
  'the same, of an instance with IPv6': () =>
    kind(
      N('six'),
      [
        set(N('six'), 'A', ['192.0.2.7']),
        set(N('six'), 'AAAA', ['2001:db8::7']),
        set(N('six'), 'HTTPS', ['1 . mandatory=ipv6hint,alpn alpn=h2 ipv6hint=2001:db8::7']),
      ],
      { ipv6Values: ['2001:db8:1::5'] },
      [
        'A 60 198.51.100.1',
        'AAAA 60 2001:db8:1::5',
        'HTTPS 60 1 . mandatory=ipv6hint,alpn alpn=h2 ipv6hint=2001:db8:1::5',
      ],
    ),
  'IPv6 that the plan does not want': () =>
    kind(
      N('no-six'),
      [
        set(N('no-six'), 'AAAA', ['2001:db8::7']),
        set(N('no-six'), 'HTTPS', ['1 . mandatory=ipv6hint,alpn alpn=h2 ipv6hint=2001:db8::7']),
        set(N('no-six'), 'SVCB', ['1 elsewhere.example. port=53']),
      ],
      { ipv6Values: ['2001:db8:1::5'], ipv6: 'remove' },
      ['A 60 198.51.100.1', 'HTTPS 60 1 . mandatory=alpn alpn=h2'],
      [/SVCB 1 elsewhere\.example\. .* it goes/],
    ),
  'an HTTPS record that leads nowhere': () =>
    kind(N('plain'), [set(N('plain'), 'A', ['192.0.2.7']), set(N('plain'), 'HTTPS', ['1 . alpn="h2"'])], {}, [
      'A 60 198.51.100.1',
      'HTTPS 300 1 . alpn="h2"',
    ]),
  'a CNAME that becomes an A record': () =>
    kind(N('cname'), [set(N('cname'), 'CNAME', ['old.example'])], { type: 'A' }, ['A 60 198.51.100.1']),
  'a CNAME to another name': () =>
    kind(
      N('pointer'),
      [set(N('pointer'), 'CNAME', ['home.shop.example'])],
      { type: 'CNAME', vm: undefined, target: 'dr.example', values: ['dr.example'] },
      ['CNAME 60 dr.example'],
    ),
  'A and AAAA that become a CNAME': () =>
    kind(
      N('lb'),
      [set(N('lb'), 'A', ['192.0.2.7']), set(N('lb'), 'AAAA', ['2001:db8::7'])],
      { type: 'CNAME', vm: undefined, target: 'dr.example', values: ['dr.example'] },
      ['CNAME 60 dr.example'],
      [/AAAA 2001:db8::7 beside/],
    ),
  'an alias': () =>
    kind(
      N('aliased'),
      [alias(N('aliased'), 'A', 'home.shop.example.'), alias(N('aliased'), 'AAAA', 'home.shop.example.')],
      { type: 'A' },
      ['A 60 198.51.100.1'],
    ),
  'one of weighted sets, which have one TTL': () =>
    kind(
      N('weighted'),
      [
        weighted(N('weighted'), 'cloud', 50, '203.0.113.1'),
        weighted(N('weighted'), 'home', 10, '192.0.2.7'),
        set(N('weighted'), 'AAAA', ['2001:db8::1'], { SetIdentifier: 'cloud', Weight: 50 }),
        set(N('weighted'), 'AAAA', ['2001:db8::7'], { SetIdentifier: 'home', Weight: 10 }),
      ],
      { setIdentifier: 'home' },
      ['A cloud 300 203.0.113.1 50', 'A home 300 198.51.100.1 10', 'AAAA cloud 300 2001:db8::1 50'],
      [/AAAA \(cloud\) 2001:db8::1 beside, which the plan does not name/, /AAAA \(home\) .* it goes/],
    ),
  'two of weighted sets, for two VMs': () =>
    kind(
      N('both'),
      [weighted(N('both'), 'a', 1, '192.0.2.7', 60), weighted(N('both'), 'b', 2, '192.0.2.8', 60)],
      [{ setIdentifier: 'a' }, { setIdentifier: 'b', values: ['198.51.100.2'] }],
      ['A a 60 198.51.100.1 1', 'A b 60 198.51.100.2 2'],
    ),
  'the primary of a failover pair, with its health check': () =>
    kind(
      N('pair'),
      [
        set(N('pair'), 'A', ['192.0.2.7'], {
          SetIdentifier: 'home',
          Failover: 'PRIMARY',
          HealthCheckId: healthCheck,
        }),
        alias(N('pair'), 'A', 'home.shop.example.', { SetIdentifier: 'sorry', Failover: 'SECONDARY' }),
      ],
      { setIdentifier: 'home' },
      ['A home 60 198.51.100.1 PRIMARY checked', 'A sorry home.shop.example. SECONDARY'],
      [/"home" of pair\.shop\.example keeps its health check/],
    ),
  'the alias of a latency policy': () =>
    kind(
      N('near'),
      [
        alias(N('near'), 'A', 'home.shop.example.', { SetIdentifier: 'eu', Region: 'eu-central-1' }),
        set(N('near'), 'A', ['203.0.113.1'], { SetIdentifier: 'us', Region: 'us-east-1' }),
      ],
      { setIdentifier: 'eu' },
      ['A eu 60 198.51.100.1 eu-central-1', 'A us 300 203.0.113.1 us-east-1'],
    ),
  'one of multivalue sets': () =>
    kind(
      N('multi'),
      [
        set(N('multi'), 'A', ['192.0.2.7'], { SetIdentifier: '1', MultiValueAnswer: true }),
        set(N('multi'), 'A', ['192.0.2.8'], { SetIdentifier: '2', MultiValueAnswer: true }),
      ],
      { setIdentifier: '2' },
      ['A 1 300 192.0.2.7 true', 'A 2 60 198.51.100.1 true'],
    ),
  'a place of a geolocation policy': () =>
    kind(
      N('geo'),
      [
        set(N('geo'), 'A', ['192.0.2.7'], { SetIdentifier: 'all', GeoLocation: { CountryCode: '*' } }),
        set(N('geo'), 'A', ['192.0.2.8'], { SetIdentifier: 'de', GeoLocation: { CountryCode: 'DE' } }),
      ],
      { setIdentifier: 'all' },
      ['A all 60 198.51.100.1', 'A de 300 192.0.2.8'],
    ),
};

describe('records as people have them', () => {
  // All in one zone at once: a zone has all kinds, and a batch for each would take a minute.
  it('go, each as its kind does, and come back exactly', async () => {
    const all = Object.entries(kinds).map(([title, make]) => ({ title, ...make() }));
    for (const { home } of all) if (home.length > 0) await zone.create(...home);
    const setsOfAll = async () =>
      Object.fromEntries(
        await Promise.all(all.map(async ({ title, name }) => [title, await zone.sets(name)] as const)),
      );
    const check = (expected: ExpectedAnswer[]) =>
      runActivity(zone.activities().checkDns, { hostedZone: ZONE, expected });
    const away = Object.fromEntries(all.map((one) => [one.title, one.away]));
    const names = all.map(({ name }) => ({ name }));
    const textsOfAll = async () =>
      Object.fromEntries(
        Object.entries(await setsOfAll()).map(([title, sets]) => [title, sets.map(text)] as const),
      );
    const before = await setsOfAll();

    const records = all.flatMap((one) => one.records);
    const moved = await zone.move(3, records);
    expect(await textsOfAll()).toEqual(away);
    for (const { told } of all) for (const pattern of told) expect(moved.notes.join('\n')).toMatch(pattern);
    await check(moved.expected);
    // A retry, and a run that takes over, find it moved.
    expect((await zone.move(3, records)).moved).toEqual(moved.moved);
    expect((await zone.move(4, records)).moved).toEqual(moved.moved);
    expect(await textsOfAll()).toEqual(away);

    const returned = await zone.goHome(5);
    expect(returned).toMatchObject({ leftAlone: [], returned: names, notes: [] });
    expect(await setsOfAll()).toEqual(before);
    await check(returned.expected);
    expect(await zone.goHome(5)).toMatchObject({ leftAlone: [], returned: names, notes: [] });
    expect(await setsOfAll()).toEqual(before);
  }, 30_000);

  it.each<[string, string, ResourceRecordSet[], Partial<MovedRecord>, string]>([
    [
      'a CNAME that the plan says nothing of',
      N('r1'),
      [set(N('r1'), 'CNAME', ['old.example'])],
      {},
      'r1.shop.example is a CNAME record (to old.example): say "type: A"',
    ],
    [
      'an alias that the plan says nothing of',
      N('r2'),
      [alias(N('r2'), 'A', 'home.shop.example.')],
      {},
      'r2.shop.example is an alias record (A alias of home.shop.example): say "type: A"',
    ],
    [
      'a policy of which the plan names no record set',
      N('r3'),
      [weighted(N('r3'), 'a', 1, '192.0.2.7'), weighted(N('r3'), 'b', 1, '192.0.2.8')],
      { type: 'A' },
      'has a routing policy, with the A record sets "a", "b": say by "setIdentifier" which',
    ],
    [
      'a record set that is not there',
      N('r4'),
      [weighted(N('r4'), 'a', 1, '192.0.2.7')],
      { setIdentifier: 'c' },
      'has no A record set "c"; it has "a"',
    ],
    [
      'a record set of a simple record',
      N('r5'),
      [set(N('r5'), 'A', ['192.0.2.7'])],
      { setIdentifier: 'c' },
      'it has no routing policy; take setIdentifier out',
    ],
    [
      'a CNAME beside mail',
      N('r6'),
      [set(N('r6'), 'MX', ['10 mail.shop.example'])],
      { type: 'CNAME', vm: undefined, target: 'dr.example', values: ['dr.example'] },
      'has MX records, beside which no CNAME record can be',
    ],
    [
      'a CNAME of the zone itself',
      'shop.example',
      [],
      { type: 'CNAME', vm: undefined, target: 'dr.example', values: ['dr.example'] },
      'shop.example is the zone itself, where no CNAME record can be',
    ],
    [
      'a name that is delegated',
      N('r7'),
      [set(N('r7'), 'NS', ['ns.elsewhere.example'])],
      {},
      'is delegated to other name servers',
    ],
  ])('refuses %s, before any change', async (_, name, home, more, message) => {
    if (home.length > 0) await zone.create(...home);
    const before = await zone.sets(name);
    batches = 0;
    const refused = await failureOf(zone.move(1, [record(N('innocent')), record(name, more)]));
    expect(refused).toMatchObject({ type: 'UnmovableRecord', nonRetryable: true });
    expect(refused.message).toContain(message);
    expect(refused.message).not.toContain('innocent');
    expect(batches).toBe(0);
    expect(await zone.store.get('dns/shop/1.json')).toBeUndefined();
    expect(await zone.sets(name)).toEqual(before);
  });

  it('leaves a record alone that has got a routing policy meanwhile, and says so', async () => {
    const name = N('policy');
    await zone.create(set(name, 'A', ['192.0.2.7']));
    await zone.move(1, [record(name)]);
    await zone.change(
      ['DELETE', set(name, 'A', ['198.51.100.1'], { TTL: 60 })],
      ['CREATE', weighted(name, 'a', 1, '198.51.100.1')],
    );
    const home = await zone.goHome(2);
    expect(home).toMatchObject({ returned: [], leftAlone: [{ name }], expected: [] });
    expect(home.notes).toEqual([
      'policy.shop.example is no longer what Lifeboat had set it to; it was left alone. It has A (a) 198.51.100.1; ' +
        'before the failover it had A 192.0.2.7.',
    ]);
  });

  it('goes home although somebody has set an AAAA record meanwhile, which stays and is told', async () => {
    const name = N('aaaa');
    await zone.create(set(name, 'A', ['192.0.2.7']), set(name, 'AAAA', ['2001:db8::7']));
    await zone.move(1, [record(name)]);
    await zone.create(set(name, 'AAAA', ['2001:db8:2::2']));
    const home = await zone.goHome(2);
    expect(home).toMatchObject({ returned: [{ name }], leftAlone: [] });
    expect(home.notes).toEqual([
      'aaaa.shop.example has AAAA 2001:db8:2::2, which somebody has set meanwhile; it was left as it is.',
    ]);
    expect((await zone.sets(name)).map(text)).toEqual(['A 300 192.0.2.7', 'AAAA 300 2001:db8:2::2']);
  });

  it('leaves a CNAME away where other records stand at its name now, and says so', async () => {
    const name = N('taken');
    await zone.create(set(name, 'CNAME', ['old.example']));
    await zone.move(1, [record(name, { type: 'A' })]);
    await zone.create(set(name, 'TXT', ['"mine"']));
    const home = await zone.goHome(2);
    expect(home).toMatchObject({ returned: [], leftAlone: [{ name }] });
    expect(home.notes.join()).toContain('has TXT records now, beside which its CNAME cannot be');
  });
});
