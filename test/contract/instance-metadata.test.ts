import { execFile } from 'node:child_process';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import * as EC2 from '@aws-sdk/client-ec2';
import { createMetadataProxy } from '../../machines/network/metadata-proxy';
import { ensureSegment, metadataSocket, namespaceName, removeSegment } from '../../machines/network/segment';
import { PRODUCTION_SUBNET_ID } from '../../sandbox/aws/fixtures';
import { awsDisks } from './aws-disks';
import { AwsHarness, failure } from './aws-harness';

const aws = new AwsHarness();
aws.config.metadata = true;
// Namespaces are the machine's: another run of these tests has others.
aws.config.network.id = `m${process.pid}`;
let disks: ReturnType<typeof awsDisks>;
let ec2: EC2.EC2Client;
let imageId = '';

beforeAll(async () => {
  await aws.start();
  disks = awsDisks(aws);
  ({ ec2 } = disks);
  const SnapshotId = await disks.completedSnapshot({});
  ({ ImageId: imageId = '' } = await ec2.send(
    new EC2.RegisterImageCommand({
      Name: 'metadata',
      Architecture: 'x86_64',
      VirtualizationType: 'hvm',
      RootDeviceName: '/dev/xvda',
      BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { SnapshotId } }],
    }),
  ));
});
afterAll(async () => {
  disks.close();
  await aws.stop();
});

async function launch(
  userData: string | undefined,
  MetadataOptions?: EC2.InstanceMetadataOptionsRequest,
  network: Partial<EC2.RunInstancesRequest> = { SubnetId: PRODUCTION_SUBNET_ID },
): Promise<{ id: string; address: string }> {
  const { Instances: [instance] = [] } = await ec2.send(
    new EC2.RunInstancesCommand({
      ImageId: imageId,
      InstanceType: 't3.micro',
      MinCount: 1,
      MaxCount: 1,
      ...network,
      UserData: userData === undefined ? undefined : Buffer.from(userData).toString('base64'),
      MetadataOptions,
    }),
  );
  return { id: instance?.InstanceId ?? '', address: instance?.PrivateIpAddress ?? '' };
}
const REQUIRED = { HttpTokens: 'required' } as const;

interface Answer {
  status: number;
  body: string;
  ttl: string | undefined;
}

/** Asks as the segment's proxy passes it on. */
function ask(
  source: string,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  segment = 'prod',
): Promise<Answer> {
  const createConnection = (): Socket => {
    const socket = connect(metadataSocket(aws.config.network, segment));
    socket.write(`PROXY TCP4 ${source} 169.254.169.254 50000 80\r\n`);
    return socket;
  };
  return new Promise((resolve, reject) => {
    const asked = request({ method, path, headers, createConnection }, (response) => {
      let body = '';
      response.setEncoding('latin1').on('data', (text: string) => (body += text));
      response.on('end', () => {
        const ttl = response.headers['x-aws-ec2-metadata-token-ttl-seconds'] as string | undefined;
        resolve({ status: response.statusCode ?? 0, body, ttl });
      });
    });
    asked.on('error', reject);
    asked.end();
  });
}
const newToken = (source: string, ttl = '60', headers: Record<string, string> = {}): Promise<Answer> =>
  ask(source, 'PUT', '/latest/api/token', { 'X-aws-ec2-metadata-token-ttl-seconds': ttl, ...headers });
const withToken = (token: string) => ({ 'X-aws-ec2-metadata-token': token });

describe('the metadata service', () => {
  it('gives user data and metadata of the instance that asks, for a token', async () => {
    const { id, address } = await launch('lifeboat-launch 1\n\0\xff', REQUIRED);
    const { status, body: token, ttl } = await newToken(address, '21600');
    expect({ status, ttl }).toEqual({ status: 200, ttl: '21600' });
    const read = async (path: string): Promise<[number, string]> => {
      const answer = await ask(address, 'GET', `/latest/${path}`, withToken(token));
      return [answer.status, answer.body];
    };
    expect(await read('user-data')).toEqual([
      200,
      Buffer.from('lifeboat-launch 1\n\0\xff').toString('latin1'),
    ]);
    expect(await read('meta-data/instance-id')).toEqual([200, id]);
    expect(await read('meta-data/local-ipv4')).toEqual([200, address]);
    expect(await read('meta-data/placement/availability-zone')).toEqual([200, 'eu-central-1a']);
    expect(await read('meta-data/instance-type')).toEqual([200, 't3.micro']);
    expect(await read('meta-data/ami-id')).toEqual([200, imageId]);
    for (const path of ['meta-data/nonsense', 'meta-data/constructor', 'nonsense', 'user-data/x'])
      expect(await read(path)).toEqual([404, '']);
  });

  it('tells all addresses of the network card, whichever of them asks', async () => {
    const addresses = ['10.0.1.70', '10.0.1.71'];
    const card = {
      ...{ DeviceIndex: 0, SubnetId: PRODUCTION_SUBNET_ID },
      PrivateIpAddresses: addresses.map((PrivateIpAddress, index) => ({
        Primary: index === 0,
        PrivateIpAddress,
      })),
    };
    await launch('two', REQUIRED, { NetworkInterfaces: [card] });
    for (const address of addresses) {
      const { body: token } = await newToken(address);
      const read = async (path: string) =>
        (await ask(address, 'GET', `/latest/meta-data/${path}`, withToken(token))).body;
      const mac = await read('mac');
      expect(mac).toMatch(/^02(:[0-9a-f]{2}){5}$/);
      expect(await read(`network/interfaces/macs/${mac}/local-ipv4s`)).toBe(addresses.join('\n'));
      expect(await read('local-ipv4')).toBe(addresses[0]);
    }
  });

  it('gives tokens for a time that is told, to no proxy, and for one instance', async () => {
    const { address } = await launch('one', REQUIRED);
    const other = await launch('another', REQUIRED);
    expect((await ask(address, 'PUT', '/latest/api/token')).status).toBe(400);
    for (const ttl of ['0', '21601', '-1', '1.5', 'x', ''])
      expect((await newToken(address, ttl)).status).toBe(400);
    expect((await newToken(address, '60', { 'X-Forwarded-For': '10.0.1.9' })).status).toBe(403);
    const { body: token } = await newToken(address);
    const status = async (headers: Record<string, string>, source = address): Promise<number> =>
      (await ask(source, 'GET', '/latest/user-data', headers)).status;
    expect(await status(withToken(token))).toBe(200);
    expect(await status({})).toBe(401);
    expect(await status(withToken('nonsense'))).toBe(401);
    expect(await status(withToken(`${token.slice(0, -4)}AAA=`))).toBe(401);
    expect(await status(withToken(token), other.address)).toBe(401);
    expect((await ask(address, 'POST', '/latest/user-data', withToken(token))).status).toBe(405);
    expect((await ask(address, 'PUT', '/latest/user-data', withToken(token))).status).toBe(405);
    // The endpoint comes again with the same key.
    await aws.restart();
    expect(await status(withToken(token))).toBe(200);
  });

  it('lets a token end', async () => {
    const { address } = await launch('one', REQUIRED);
    const { body: token } = await newToken(address, '1');
    const now = Date.now();
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => now + 2_000);
    try {
      expect((await ask(address, 'GET', '/latest/user-data', withToken(token))).status).toBe(401);
    } finally {
      clock.mockRestore();
    }
  });

  it('knows no user data where there is none, and nobody who is no instance of the segment', async () => {
    const { address } = await launch(undefined, REQUIRED);
    const { body: token } = await newToken(address);
    expect((await ask(address, 'GET', '/latest/user-data', withToken(token))).status).toBe(404);
    expect((await newToken('10.0.1.250')).status).toBe(404);
    const ttl = { 'X-aws-ec2-metadata-token-ttl-seconds': '60' };
    expect((await ask(address, 'PUT', '/latest/api/token', ttl, 'test')).status).toBe(404);
  });

  it('is as the launch asked for it', async () => {
    const optional = await launch('one');
    expect((await ask(optional.address, 'GET', '/latest/user-data')).body).toBe('one');
    expect((await ask(optional.address, 'GET', '/latest/user-data', withToken('x'))).status).toBe(401);
    const off = await launch('two', { HttpEndpoint: 'disabled' });
    expect((await newToken(off.address)).status).toBe(403);
    const { id } = await launch('three', { HttpTokens: 'required', HttpPutResponseHopLimit: 1 });
    expect((await disks.describeInstance(id))?.MetadataOptions).toMatchObject({
      HttpEndpoint: 'enabled',
      HttpTokens: 'required',
      HttpPutResponseHopLimit: 1,
    });
    expect((await disks.describeInstance(off.id))?.MetadataOptions?.HttpEndpoint).toBe('disabled');
  });

  it('is refused where it could not be as asked for', async () => {
    const refused = async (options: EC2.InstanceMetadataOptionsRequest): Promise<string> =>
      (await failure(launch('x', options))).name;
    expect(await refused({ HttpTokens: 'sometimes' as never })).toBe('InvalidParameterValue');
    expect(await refused({ HttpPutResponseHopLimit: 65 })).toBe('InvalidParameterValue');
    expect(await refused({ HttpPutResponseHopLimit: 2 })).toBe('UnsupportedOperation');
    expect(await refused({ InstanceMetadataTags: 'enabled' })).toBe('UnsupportedOperation');
    expect((await failure(launch('x'.repeat(16 * 1024 + 1)))).name).toBe('InvalidParameterValue');
    expect((await launch('x'.repeat(16 * 1024))).id).toMatch(/^i-/);
  });

  it.each([
    ['no line', 'GET / HTTP/1.1\r\n\r\n'],
    ['a long line', `PROXY ${'x'.repeat(200)}`],
    ['no address', 'PROXY TCP4 nobody 1 2 3\r\nGET / HTTP/1.1\r\n\r\n'],
  ])('hangs up on a connection with %s of a proxy', async (_, text) => {
    const socket = connect(metadataSocket(aws.config.network, 'prod'));
    let answer = '';
    socket.on('data', (data) => (answer += data.toString())).on('error', () => {});
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(text);
    await closed;
    expect(answer).toBe('');
  });
});

describe('the metadata proxy', () => {
  it('closes the connection where nobody answers for the machines', async () => {
    const proxy = createMetadataProxy('/nonexistent/metadata.sock');
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as { port: number };
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => proxy.close(resolve));
  });
});

const run = async (program: string, args: string[]): Promise<string> =>
  (await promisify(execFile)(program, args)).stdout;

/** Namespaces need root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

asRoot('a guest on a segment (needs root)', () => {
  const { network } = aws.config;
  const segment = { name: 'prod', cidr: '10.0.1.0/24', gateway: '10.0.1.1', dhcp: false, metadata: true };
  const guest = `lb-${network.id}-guest`;
  const within = (...args: string[]): Promise<string> =>
    run('nsenter', [`--net=/run/netns/${guest}`, '--', ...args]);
  const curl = (...args: string[]): Promise<string> =>
    within('curl', '-s', '--max-time', '20', '-w', ' %{http_code}', ...args);

  beforeAll(async () => {
    const { address } = await launch('of the guest', REQUIRED);
    await ensureSegment(network, segment);
    const bridge = namespaceName(network, 'prod');
    const ip = (text: string): Promise<string> => run('ip', text.split(' '));
    await ip(`netns add ${guest}`);
    await ip(`-n ${guest} link add eth0 type veth peer name guest netns ${bridge}`);
    await ip(`-n ${bridge} link set guest master br0 up`);
    await ip(`-n ${guest} addr add ${address}/24 dev eth0`);
    await ip(`-n ${guest} link set eth0 up`);
    await ip(`-n ${guest} route add default via 10.0.1.1`);
  }, 60_000);
  afterAll(async () => {
    await run('ip', ['netns', 'delete', guest]).catch(() => {}); // the set-up may have failed before it
    await removeSegment(network, 'prod');
  }, 60_000);

  it('finds its metadata at the address that EC2 has it at', async () => {
    const base = 'http://169.254.169.254/latest';
    expect(await curl(`${base}/user-data`)).toBe(' 401');
    const ttl = ['-H', 'X-aws-ec2-metadata-token-ttl-seconds: 60'];
    const [token = '', status] = (await curl('-X', 'PUT', ...ttl, `${base}/api/token`)).split(' ');
    expect(status).toBe('200');
    const header = ['-H', `X-aws-ec2-metadata-token: ${token}`];
    expect(await curl(...header, `${base}/user-data`)).toBe('of the guest 200');
  });

  it('gets answers that go one hop', async () => {
    const route = ['route', 'get', '10.0.1.200', 'from', '169.254.169.254'];
    expect(await run('ip', ['-n', namespaceName(network, 'prod'), ...route])).toMatch(/hoplimit 1\b/);
  });

  it('finds it still when the segment is made once more', async () => {
    await ensureSegment(network, segment);
    expect(await curl('http://169.254.169.254/latest/user-data')).toBe(' 401');
  });
});
