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
});
