import { createServer, request } from 'node:http';
import { type AddressInfo } from 'node:net';
import { crc32 } from 'node:zlib';
import * as ebs from '@aws-sdk/client-ebs';
import * as ec2 from '@aws-sdk/client-ec2';
import * as route53 from '@aws-sdk/client-route-53';
import * as s3 from '@aws-sdk/client-s3';
import * as sts from '@aws-sdk/client-sts';
import { objectBody } from '../../sandbox/aws/wire/body';
import { AwsError } from '../../sandbox/aws/wire/errors';
import { writeError } from '../../sandbox/aws/wire/error-response';
import { requestCredential } from '../../sandbox/aws/wire/identity';
import { readQuery, writeQuery } from '../../sandbox/aws/wire/query';
import { routeRequest } from '../../sandbox/aws/wire/routing';
import { s3Target } from '../../sandbox/aws/wire/s3-target';
import { describeService, type Service } from '../../sandbox/aws/wire/service';
import { fromXml, parseXml, toXml } from '../../sandbox/aws/wire/xml';
import { tokenMark } from '../../sandbox/aws/state/tokens';

const settings = { region: 'eu-central-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } };
const EC2 = describeService({ ...ec2 }, new ec2.EC2Client(settings));
const EBS = describeService({ ...ebs }, new ebs.EBSClient(settings));
const R53 = describeService({ ...route53 }, new route53.Route53Client(settings));
const S3 = describeService({ ...s3 }, new s3.S3Client(settings));
const STS = describeService({ ...sts }, new sts.STSClient(settings));

const operation = (service: Service, name: string) => {
  const found = service.operations.get(name);
  if (found === undefined) throw new Error(`no operation ${name}`);
  return found;
};

describe('services', () => {
  it('are read off the clients', () => {
    expect([EC2, EBS, R53, S3, STS].map(({ kind, signingName }) => [kind, signingName])).toEqual([
      ['ec2Query', 'ec2'],
      ['restJson1', 'ebs'],
      ['restXml', 'route53'],
      ['restXml', 's3'],
      ['awsQuery', 'sts'],
    ]);
    expect(EC2.operations.size).toBeGreaterThan(700);
    expect(operation(EBS, 'StartSnapshot').required).toEqual(['VolumeSize']);
  });
});

describe('routing', () => {
  const s3Route = (method: string, url: string, headers: Record<string, string> = {}) => {
    const [rawPath = '', search = ''] = url.split('?');
    return routeRequest(S3, {
      method,
      query: new URLSearchParams(search),
      headers,
      ...s3Target(rawPath, '127.0.0.1:1'),
    });
  };

  it.each([
    ['GET', '/', {}, 'ListBuckets'],
    ['GET', '/b?list-type=2', {}, 'ListObjectsV2'],
    ['GET', '/b/k?x-id=GetObject', {}, 'GetObject'],
    ['GET', '/b/k', {}, 'GetObject'],
    ['PUT', '/b', {}, 'CreateBucket'],
    ['PUT', '/b/k/l?x-id=PutObject', {}, 'PutObject'],
    ['PUT', '/b/k?x-id=CopyObject', { 'x-amz-copy-source': 'c/k' }, 'CopyObject'],
    ['PUT', '/b/k?partNumber=1&uploadId=u', {}, 'UploadPart'],
    ['POST', '/b/k?uploads', {}, 'CreateMultipartUpload'],
    ['POST', '/b/k?uploadId=u', {}, 'CompleteMultipartUpload'],
    ['DELETE', '/b/k?uploadId=u', {}, 'AbortMultipartUpload'],
    ['POST', '/b?delete', {}, 'DeleteObjects'],
    ['GET', '/b?acl', {}, 'GetBucketAcl'],
    ['HEAD', '/b', {}, 'HeadBucket'],
    ['HEAD', '/b/k', {}, 'HeadObject'],
  ])('%s %s of S3', (method, url, headers, name) => {
    expect(s3Route(method, url, headers)?.operation.name).toBe(name);
  });

  it('keeps what S3 keys are made of', () => {
    expect(s3Route('GET', '/b//')?.labels).toEqual({ Key: '/' });
    expect(s3Route('GET', '/b/../x%2F..')?.labels).toEqual({ Key: '../x%2F..' });
    expect(s3Target('/k', 'my.bucket.s3.localhost:80')).toEqual({ path: '/k', bucket: 'my.bucket' });
    expect(() => s3Target('/%zz/k', undefined)).toThrow(AwsError);
  });

  it('finds REST operations with a slash at the end', () => {
    const found = routeRequest(R53, {
      method: 'POST',
      path: '/2013-04-01/hostedzone/Z1/rrset/',
      query: new URLSearchParams(),
      headers: {},
    });
    expect([found?.operation.name, found?.labels.HostedZoneId]).toEqual(['ChangeResourceRecordSets', 'Z1']);
  });
});

describe('queries', () => {
  it('become structures, lists in the order of their numbers', () => {
    const form = new URLSearchParams({
      Action: 'RunInstances',
      'TagSpecification.1.ResourceType': 'instance',
      'TagSpecification.1.Tag.10.Key': 'last',
      'TagSpecification.1.Tag.2.Key': 'first',
      'NetworkInterface.1.DeviceIndex': '0',
      'NetworkInterface.1.SecurityGroupId.1': 'sg-1',
      'NetworkInterface.1.AssociatePublicIpAddress': 'true',
      MinCount: '1',
    });
    expect(readQuery(EC2, operation(EC2, 'RunInstances'), form)).toEqual({
      TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'first' }, { Key: 'last' }] }],
      NetworkInterfaces: [{ DeviceIndex: 0, Groups: ['sg-1'], AssociatePublicIpAddress: true }],
      MinCount: 1,
    });
  });

  it.each([
    ['a value that is a structure', { 'MinCount.1': '1' }],
    ['a value and a structure of one name', { 'Filter.1': 'x', 'Filter.1.Name': 'y' }],
    ['a number that is none', { MinCount: 'one' }],
    ['a boolean that is none', { DryRun: 'perhaps' }],
  ])('refuses %s', (_what, form) => {
    const read = () =>
      readQuery(EC2, operation(EC2, 'RunInstances'), new URLSearchParams(form as Record<string, string>));
    if ('Filter.1' in form) expect(read).toThrow('value and a structure');
    else expect(read).toThrow(AwsError);
  });

  it('treats names of Object.prototype as any other', () => {
    const form = new URLSearchParams({
      '__proto__.polluted': 'yes',
      'constructor.prototype.polluted': 'yes',
    });
    readQuery(EC2, operation(EC2, 'DescribeRegions'), form);
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
  });

  it('are answered with escaped text', () => {
    const output = { Tags: [{ Key: '<a>&\r\n', Value: '"', ResourceId: 'i-1' }] };
    const xml = writeQuery(EC2, operation(EC2, 'DescribeTags'), output, 'id');
    expect(xml).toContain('<tagSet><item>');
    const schema = operation(EC2, 'DescribeTags').output;
    expect(fromXml(schema, [parseXml(xml)])).toEqual(output);
  });
});

describe('XML', () => {
  it('refuses what is not XML, and document types', () => {
    for (const source of ['', '<a>', 'text', '<a></b>', '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'])
      expect(() => parseXml(source)).toThrow(AwsError);
  });

  it('keeps spaces, character references and CDATA in text', () => {
    const schema = operation(S3, 'DeleteObjects').input;
    const body =
      '<Delete><Object><Key> a&#13;&#x1F600;&amp;lt; </Key></Object><Object><Key><![CDATA[<&>]]></Key></Object></Delete>';
    const member = schema.getMemberSchema('Delete');
    expect(fromXml(member, [parseXml(body)])).toEqual({ Objects: [{ Key: ' a\r😀&lt; ' }, { Key: '<&>' }] });
  });

  it('writes times, numbers and absent members as AWS does', () => {
    const schema = operation(EC2, 'CreateVolume').output;
    const xml = toXml(
      schema,
      { CreateTime: new Date(1_700_000_000_000), Size: 3, Encrypted: false, Iops: undefined },
      'R',
    );
    expect(xml).toContain('<size>3</size>');
    expect(xml).toContain('<encrypted>false</encrypted>');
    expect(xml).toContain('<createTime>2023-11-14T22:13:20.000Z</createTime>');
    expect(xml).not.toContain('iops');
  });
});

describe('errors', () => {
  const error = new AwsError('NoSuchKey', 'gone <b>', undefined, { Key: 'k' });

  it('have the form and status of their service', () => {
    expect(writeError(S3, error, 'id')).toMatchObject({ status: 404 });
    expect(String(writeError(S3, error, 'id').body)).toContain(
      '<Error><Code>NoSuchKey</Code><Message>gone &#60;b&#62;</Message>',
    );
    expect(String(writeError(EC2, new AwsError('VolumeInUse', 'm'), 'id').body)).toContain(
      '<Response><Errors><Error><Code>VolumeInUse</Code>',
    );
    expect(String(writeError(STS, new AwsError('InvalidAction', 'm'), 'id').body)).toContain(
      '<Type>Sender</Type><Code>InvalidAction</Code>',
    );
    const json = writeError(
      EBS,
      new AwsError('ValidationException', 'm', undefined, { Reason: 'INVALID_BLOCK' }),
      'id',
    );
    expect(json.headers['x-amzn-errortype']).toBe('ValidationException');
    expect(JSON.parse(String(json.body))).toMatchObject({ Reason: 'INVALID_BLOCK' });
  });
});

describe('identity', () => {
  it('is read from the header or the query of a presigned URL', () => {
    const scope = 'AKIA1/20260101/eu-central-1/s3/aws4_request';
    const expected = { accessKeyId: 'AKIA1', region: 'eu-central-1', signingName: 's3' };
    expect(
      requestCredential(
        { authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0` },
        new URLSearchParams(),
      ),
    ).toEqual(expected);
    expect(requestCredential({}, new URLSearchParams({ 'X-Amz-Credential': scope }))).toEqual(expected);
    expect(requestCredential({ authorization: 'Basic Zm9v' }, new URLSearchParams())).toBeUndefined();
  });
});

describe('bodies of objects', () => {
  /** Sends a raw body and gives what the server made of it. */
  async function receive(headers: Record<string, string>, pieces: string[]): Promise<string> {
    const server = createServer((incoming, response) => {
      const body = objectBody(incoming);
      body.collect(1000).then(
        (bytes) => response.end(`${bytes.toString()} ${JSON.stringify(body.checksums)}`),
        (error: Error) => response.end(error instanceof AwsError ? error.code : error.message),
      );
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    const answer = await new Promise<string>((resolve, reject) => {
      const outgoing = request({ host: '127.0.0.1', port, method: 'PUT', headers }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve(text));
      });
      outgoing.on('error', reject);
      for (const piece of pieces) outgoing.write(piece);
      outgoing.end();
    });
    await new Promise<void>((closed) => server.close(() => closed()));
    return answer;
  }
  const chunked = {
    'content-encoding': 'aws-chunked',
    'x-amz-trailer': 'x-amz-checksum-crc32',
    'x-amz-decoded-content-length': '9',
  };

  it('lose their chunks, and have their trailer checked', async () => {
    const framed = [
      '9;chunk-sig',
      'nature=x\r\nwi',
      'kipedia\r',
      '\n0\r\nx-amz-checksum-crc32:',
      'rfGp7Q==\r\n\r\n',
    ];
    expect(await receive(chunked, framed)).toBe('BadDigest');
    const value = Buffer.alloc(4);
    value.writeUInt32BE(crc32('wikipedia'));
    const right = [...framed.slice(0, 4), `${value.toString('base64')}\r\n\r\n`];
    expect(await receive(chunked, right)).toContain('wikipedia {"x-amz-checksum-crc32"');
  });

  it('are refused when cut short, mis-framed, too long or with a checksum nobody checks', async () => {
    expect(await receive(chunked, ['9\r\nwiki'])).toBe('IncompleteBody');
    expect(await receive(chunked, ['zz\r\nwikipedia'])).toBe('IncompleteBody');
    expect(await receive(chunked, ['4\r\nwiki\r\n5\r\npedia\r\n0\r\n\r\n'])).toBe('InvalidChunkSizeError');
    expect(await receive(chunked, ['4\r\nwikipedia\r\n0\r\n\r\n'])).toBe('IncompleteBody');
    expect(await receive({}, ['x'.repeat(1001)])).toBe('EntityTooLarge');
    expect(await receive({ 'x-amz-checksum-crc64nvme': 'AAAA' }, ['x'])).toBe('NotImplemented');
    expect(await receive({ 'x-amz-content-sha256': '0'.repeat(64) }, ['x'])).toBe(
      'XAmzContentSHA256Mismatch',
    );
  });
});

describe('client tokens', () => {
  it('mark equal requests equally, whatever the order of their members', () => {
    const mark = tokenMark('RunInstances', 't', { A: 1, B: [{ C: 'x', D: undefined }], ClientToken: 't' });
    expect(tokenMark('RunInstances', 't', { B: [{ C: 'x' }], A: 1 })).toEqual(mark);
    expect(tokenMark('RunInstances', 't', { B: [{ C: 'y' }], A: 1 })).not.toEqual(mark);
    expect(tokenMark('RunInstances', undefined, {})).toBeUndefined();
    expect(() => tokenMark('RunInstances', 'x'.repeat(65), {})).toThrow(AwsError);
  });
});
