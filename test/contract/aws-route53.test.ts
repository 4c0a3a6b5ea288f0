import { Resolver } from 'node:dns/promises';
import { connect, type Socket } from 'node:net';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import * as R53 from '@aws-sdk/client-route-53';
import * as dnsPacket from 'dns-packet';
import { SHOP_HOSTED_ZONE_ID as HostedZoneId } from '../../sandbox/aws/fixtures';
import { AwsHarness, eventually, failure } from './aws-harness';

const aws = new AwsHarness();
let route53: R53.Route53Client;
beforeAll(async () => {
  await aws.start();
  route53 = aws.route53();
});
afterAll(async () => {
  route53.destroy();
  await aws.stop();
});

const set = (Name: string, Value: string, Type: R53.RRType = 'A', TTL = 60): R53.ResourceRecordSet => ({
  Name,
  Type,
  TTL,
  ResourceRecords: [{ Value }],
});
const change = (...Changes: [R53.ChangeAction, R53.ResourceRecordSet][]) =>
  route53.send(
    new R53.ChangeResourceRecordSetsCommand({
      HostedZoneId,
      ChangeBatch: { Changes: Changes.map(([Action, ResourceRecordSet]) => ({ Action, ResourceRecordSet })) },
    }),
  );
const inSync = (Id: string | undefined) =>
  eventually(
    async () => (await route53.send(new R53.GetChangeCommand({ Id }))).ChangeInfo?.Status,
    (status) => status === 'INSYNC',
  );

async function ask(name: string, type: dnsPacket.RecordType = 'A'): Promise<dnsPacket.DecodedPacket> {
  const socket = createSocket('udp4');
  const [host = '', port = ''] = aws.endpoint.dns.split(':');
  const query = dnsPacket.encode({ type: 'query', id: 7, questions: [{ type, name }] });
  socket.send(query, Number(port), host);
  const [message] = (await once(socket, 'message')) as [Buffer];
  socket.close();
  return dnsPacket.decode(message);
}

async function askByTcp(name: string, type: dnsPacket.RecordType): Promise<dnsPacket.DecodedPacket> {
  const [host = '', port = ''] = aws.endpoint.dns.split(':');
  const socket: Socket = connect(Number(port), host);
  // Split on purpose: TCP keeps no message borders.
  const query = dnsPacket.streamEncode({ type: 'query', id: 8, questions: [{ type, name }] });
  socket.write(query.subarray(0, 5));
  setTimeout(() => socket.write(query.subarray(5)), 20);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) {
    chunks.push(chunk as Buffer);
    const all = Buffer.concat(chunks);
    if (all.length >= 2 && all.length >= 2 + all.readUInt16BE(0)) break;
  }
  return dnsPacket.streamDecode(Buffer.concat(chunks)) as dnsPacket.DecodedPacket;
}

const rcode = (packet: dnsPacket.DecodedPacket): string => (packet as unknown as { rcode: string }).rcode;

describe('hosted zones', () => {
  it('answer with a change only when it is in sync', async () => {
    const { ChangeInfo } = await change(['UPSERT', set('www.shop.example', '127.99.10.20')]);
    expect(ChangeInfo?.Status).toBe('PENDING');
    expect(rcode(await ask('www.shop.example'))).toBe('NXDOMAIN');
    await inSync(ChangeInfo?.Id);
    const answer = await ask('WWW.shop.example');
    expect(answer.flag_aa).toBe(true);
    expect(answer.answers).toEqual([expect.objectContaining({ type: 'A', ttl: 60, data: '127.99.10.20' })]);

    const resolver = new Resolver();
    resolver.setServers([aws.endpoint.dns]);
    expect(await resolver.resolve4('www.shop.example')).toEqual(['127.99.10.20']);

    await aws.restart();
    expect((await ask('www.shop.example')).answers).toHaveLength(1);
    const { ChangeInfo: second } = await change(['UPSERT', set('www.shop.example.', '127.99.20.1', 'A', 30)]);
    expect((await ask('www.shop.example')).answers).toEqual([
      expect.objectContaining({ data: '127.99.10.20' }),
    ]);
    await aws.restart(); // a pending change is not lost
    await inSync(second?.Id);
    expect((await ask('www.shop.example')).answers).toEqual([
      expect.objectContaining({ data: '127.99.20.1', ttl: 30 }),
    ]);
    await inSync((await change(['DELETE', set('www.shop.example', '127.99.20.1', 'A', 30)])).ChangeInfo?.Id);
  });

  it('say what they have not, and refuse what is not theirs', async () => {
    await inSync(
      (
        await change(
          ['CREATE', set('a.b.shop.example', '10.0.0.1')],
          ['CREATE', set('alias.shop.example', 'a.b.shop.example', 'CNAME')],
        )
      ).ChangeInfo?.Id,
    );
    const none = await ask('none.shop.example');
    expect([rcode(none), none.flag_aa, none.authorities?.[0]?.type]).toEqual(['NXDOMAIN', true, 'SOA']);
    const other = await ask('a.b.shop.example', 'AAAA');
    expect([rcode(other), other.answers?.length, other.authorities?.[0]?.type]).toEqual([
      'NOERROR',
      0,
      'SOA',
    ]);
    expect(rcode(await ask('b.shop.example'))).toBe('NOERROR');
    expect(rcode(await ask('example.org'))).toBe('REFUSED');
    expect((await ask('alias.shop.example')).answers?.map(({ type }) => type)).toEqual(['CNAME', 'A']);
  });

  it('answer by TCP what does not fit UDP', async () => {
    const ResourceRecords = Array.from({ length: 60 }, (_, n) => ({ Value: `10.9.0.${n}` }));
    await inSync(
      (await change(['UPSERT', { Name: 'many.shop.example', Type: 'A', TTL: 5, ResourceRecords }])).ChangeInfo
        ?.Id,
    );
    const short = await ask('many.shop.example');
    expect([short.flag_tc, short.answers?.length]).toEqual([true, 0]);
    expect((await askByTcp('many.shop.example', 'A')).answers).toHaveLength(60);
  });

  it('make a batch as a whole or not at all, and say why in the words of Route 53', async () => {
    await change(['UPSERT', set('here.shop.example', '10.0.0.1')]);
    const refused = await failure(
      change(
        ['CREATE', set('new.shop.example', '10.0.0.1')],
        ['CREATE', set('here.shop.example', '10.0.0.2')],
      ),
    );
    expect(refused).toMatchObject({ name: 'InvalidChangeBatch', status: 400 });
    expect(refused.message).toContain(
      "Tried to create resource record set [name='here.shop.example.', type='A'] but it already exists",
    );
    const { ResourceRecordSets = [] } = await route53.send(
      new R53.ListResourceRecordSetsCommand({ HostedZoneId }),
    );
    expect(ResourceRecordSets.map(({ Name }) => Name)).not.toContain('new.shop.example.');
    expect((await failure(change(['DELETE', set('here.shop.example', '10.0.0.9')]))).message).toContain(
      'do not match the current values',
    );
    expect((await failure(change(['DELETE', set('gone.shop.example', '10.0.0.9')]))).message).toContain(
      'but it was not found',
    );
    expect((await failure(change(['CREATE', set('x.example.org', '10.0.0.9')]))).message).toContain(
      'is not permitted in zone shop.example.',
    );
    expect((await failure(change(['CREATE', set('x.shop.example', 'no address')]))).message).toContain(
      'not a valid IPv4 address',
    );
    expect(
      (await failure(change(['CREATE', set('here.shop.example', 'x.shop.example', 'CNAME')]))).name,
    ).toBe('InvalidChangeBatch');
    expect((await failure(route53.send(new R53.GetChangeCommand({ Id: 'C0' })))).name).toBe('NoSuchChange');
    expect((await failure(route53.send(new R53.GetHostedZoneCommand({ Id: 'ZNONE' })))).name).toBe(
      'NoSuchHostedZone',
    );
  });

  it('are listed, found by name, created once a reference', async () => {
    const request = { Name: 'other.test', CallerReference: 'once' };
    const made = await route53.send(new R53.CreateHostedZoneCommand(request));
    expect(made.DelegationSet?.NameServers).toHaveLength(2);
    expect((await failure(route53.send(new R53.CreateHostedZoneCommand(request)))).name).toBe(
      'HostedZoneAlreadyExists',
    );
    const all = await route53.send(new R53.ListHostedZonesCommand({}));
    expect(all.HostedZones?.map(({ Name }) => Name).sort()).toEqual(['other.test.', 'shop.example.']);
    const byName = await route53.send(
      new R53.ListHostedZonesByNameCommand({ DNSName: 'shop.example', MaxItems: 1 }),
    );
    expect(byName.HostedZones?.[0]?.Id).toBe(`/hostedzone/${HostedZoneId}`);
    const pages: string[] = [];
    let start: Partial<R53.ListResourceRecordSetsRequest> = {};
    do {
      const page = await route53.send(
        new R53.ListResourceRecordSetsCommand({ HostedZoneId, MaxItems: 2, ...start }),
      );
      pages.push(...(page.ResourceRecordSets ?? []).map(({ Name, Type }) => `${Name} ${Type}`));
      start = page.IsTruncated
        ? { StartRecordName: page.NextRecordName, StartRecordType: page.NextRecordType }
        : {};
    } while (start.StartRecordName !== undefined);
    expect(new Set(pages).size).toBe(pages.length);
    expect(pages.slice(0, 2)).toEqual(['shop.example. NS', 'shop.example. SOA']);
  });

  it('refuse what routing policies, aliases and sizes do not allow, in the words of Route 53', async () => {
    const refusal = async (...changes: Parameters<typeof change>) => {
      const { name, message } = await failure(change(...changes));
      return `${name}: ${message}`;
    };
    const weighted = (id: string, more: Partial<R53.ResourceRecordSet> = {}): R53.ResourceRecordSet => ({
      ...set('w.shop.example', '10.0.0.1'),
      SetIdentifier: id,
      Weight: 1,
      ...more,
    });
    await change(['CREATE', weighted('a')]);
    expect(await refusal(['CREATE', set('w.shop.example', '10.0.0.2')])).toContain(
      'RRSet with DNS name w.shop.example., type A, SetIdentifier a cannot be created as other RRSets exist with the same name and type.',
    );
    expect(await refusal(['CREATE', weighted('b', { TTL: 5 })])).toContain(
      'cannot be created as weighted sets must contain the same TTL.',
    );
    expect(await refusal(['CREATE', weighted('b', { Weight: undefined, Region: 'eu-central-1' })])).toContain(
      'cannot be created as a non-latency set exists with the same name and type.',
    );
    expect(await refusal(['CREATE', weighted('a')])).toContain(
      "[name='w.shop.example.', type='A', set-identifier='a'] but it already exists",
    );
    expect(await refusal(['DELETE', weighted('a', { Weight: 2 })])).toContain(
      'do not match the current values',
    );
    expect(await refusal(['CREATE', weighted('b', { Weight: undefined })])).toContain(
      'InvalidInput: Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation, or MultiValueAnswer], but found none',
    );
    expect(await refusal(['CREATE', { ...set('x.shop.example', '10.0.0.1'), Weight: 1 }])).toContain(
      "Missing field 'SetIdentifier'",
    );
    expect(
      await refusal([
        'CREATE',
        { ...set('p.shop.example', '10.0.0.1'), SetIdentifier: 'p', Failover: 'PRIMARY' },
      ]),
    ).toContain('A non-alias primary ResourceRecordSet must have an associated health check.');
    expect(await refusal(['CREATE', weighted('b', { HealthCheckId: 'none' })])).toMatch(/^NoSuchHealthCheck/);
    expect(
      await refusal([
        'CREATE',
        {
          ...{ Name: 'alias2.shop.example', Type: 'A' },
          AliasTarget: { HostedZoneId, DNSName: 'nobody.shop.example', EvaluateTargetHealth: false },
        },
      ]),
    ).toContain('but that target was not found');
    expect(await refusal(['CREATE', set('shop.example', 'x.example', 'CNAME')])).toContain('at apex in zone');
    const many = Array.from({ length: 501 }, (_, n): ['UPSERT', R53.ResourceRecordSet] => [
      'UPSERT',
      set(`n${n}.shop.example`, '10.0.0.1'),
    ]);
    expect(await refusal(...many)).toContain('Number of records limit of 1000 exceeded.');
    const long = Array.from({ length: 17 }, (_, n): ['UPSERT', R53.ResourceRecordSet] => [
      'UPSERT',
      set(
        `t${n}.shop.example`,
        `"${'x'.repeat(250)}" "${'y'.repeat(250)}" "${'z'.repeat(250)}" "${'.'.repeat(250)}"`,
        'TXT',
      ),
    ]);
    expect(await refusal(...long)).toContain('RDATA character limit of 32000 exceeded.');
  });

  it('answer by policy, through aliases, for HTTPS records and names with escapes', async () => {
    const sets: R53.ResourceRecordSet[] = [
      { ...set('only.shop.example', '10.0.0.7'), SetIdentifier: 'a', Weight: 0 },
      { ...set('only.shop.example', '10.0.0.8'), SetIdentifier: 'b', Weight: 3 },
      {
        ...{ Name: 'through.shop.example', Type: 'A' },
        AliasTarget: { HostedZoneId, DNSName: 'only.shop.example', EvaluateTargetHealth: false },
      },
      set('*.wild.shop.example', '10.0.0.9'),
      set('a/b.shop.example', '10.0.0.10'),
      set('only.shop.example', '1 . alpn=h2 ipv4hint=10.0.0.8', 'HTTPS'),
    ];
    await inSync(
      (await change(...sets.map((one): ['CREATE', R53.ResourceRecordSet] => ['CREATE', one]))).ChangeInfo?.Id,
    );
    const addresses = async (name: string) =>
      (await ask(name)).answers?.map((answer) => (answer as { data: unknown }).data);
    expect(await addresses('only.shop.example')).toEqual(['10.0.0.8']);
    expect(await addresses('through.shop.example')).toEqual(['10.0.0.8']);
    expect(await addresses('x.wild.shop.example')).toEqual(['10.0.0.9']);
    expect(await addresses('a/b.shop.example')).toEqual(['10.0.0.10']);
    const https = await ask('only.shop.example', 'UNKNOWN_65' as dnsPacket.RecordType);
    expect((https.answers?.[0] as unknown as { data: Buffer }).data.toString('hex')).toBe(
      // 1, the root, alpn (1) of 3 bytes, ipv4hint (4) of 4 bytes: RFC 9460, section 2.2.
      '0001' + '00' + '00010003' + '026832' + '00040004' + '0a000008',
    );
    const listed = await route53.send(new R53.ListResourceRecordSetsCommand({ HostedZoneId }));
    expect(listed.ResourceRecordSets?.map(({ Name }) => Name)).toEqual(
      expect.arrayContaining(['\\052.wild.shop.example.', 'a\\057b.shop.example.']),
    );
  });
});
