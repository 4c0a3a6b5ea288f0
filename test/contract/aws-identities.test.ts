import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { DescribeRegionsCommand, DescribeVolumesCommand, EC2Client } from '@aws-sdk/client-ec2';
import {
  EBSClient,
  ListSnapshotBlocksCommand,
  PutSnapshotBlockCommand,
  StartSnapshotCommand,
} from '@aws-sdk/client-ebs';
import { ListHostedZonesCommand, Route53Client } from '@aws-sdk/client-route-53';
import { GetObjectCommand, ListBucketsCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { IDENTITIES_FILE } from '../../sandbox/aws/iam/identity-file';
import { type Identities } from '../../sandbox/aws/iam/identities';
import { SHOP_BUCKET } from '../../sandbox/aws/fixtures';
import { journalText, readJournal, refusedCalls } from '../../sandbox/aws/journal';
import { AwsHarness, eventually, failure } from './aws-harness';

const aws = new AwsHarness();
const ACCOUNT = '000000000000';
const everything = {
  Version: '2012-10-17',
  Statement: { Effect: 'Allow' as const, Action: '*', Resource: '*' },
};
const trust = (...AWS: string[]) => ({
  Statement: [{ Effect: 'Allow' as const, Principal: { AWS }, Action: 'sts:AssumeRole' }],
});
const user = (name: string) => ({
  name,
  accessKeyId: `AKIA${name.toUpperCase()}`,
  secretAccessKey: `secret of ${name}`,
  policies: [],
});
const identities: Identities = {
  users: [user('anna'), user('berta'), { ...user('clara'), policies: [everything] }],
  roles: [
    { name: 'reader', trust: trust(`arn:aws:iam::${ACCOUNT}:user/anna`), policies: [everything] },
    {
      name: 'short',
      trust: trust(`arn:aws:iam::${ACCOUNT}:user/anna`),
      policies: [everything],
      longestSession: 900,
    },
    { name: 'open', trust: trust(`arn:aws:iam::${ACCOUNT}:root`), policies: [everything] },
    { name: 'nothing', trust: trust(`arn:aws:iam::${ACCOUNT}:user/anna`), policies: [] },
    { name: 'next', trust: trust(`arn:aws:iam::${ACCOUNT}:role/reader`), policies: [everything] },
  ],
};
const roleArn = (name: string): string => `arn:aws:iam::${ACCOUNT}:role/${name}`;

beforeAll(async () => {
  await aws.start();
  writeFileSync(join(aws.config.directory, IDENTITIES_FILE), JSON.stringify(identities));
});
afterAll(() => aws.stop());

interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

const keyOf = (name: string): Credentials => user(name);
const root = (): Credentials => ({
  accessKeyId: aws.config.accessKeyId,
  secretAccessKey: aws.config.secretAccessKey,
});

/** A call of each protocol, as somebody. */
const calls = {
  ec2: (settings: object) => send(new EC2Client(settings), new DescribeRegionsCommand({})),
  ebs: (settings: object) =>
    send(new EBSClient(settings), new ListSnapshotBlocksCommand({ SnapshotId: 'snap-1' })),
  s3: (settings: object) =>
    send(new S3Client({ ...settings, forcePathStyle: true }), new ListBucketsCommand({})),
  route53: (settings: object) => send(new Route53Client(settings), new ListHostedZonesCommand({})),
  sts: (settings: object) => send(new STSClient(settings), new GetCallerIdentityCommand({})),
  kms: (settings: object) => send(new KMSClient(settings), new DescribeKeyCommand({ KeyId: 'none' })),
};

async function send(client: { send: unknown; destroy(): void }, command: object): Promise<unknown> {
  try {
    return await (client.send as (sent: object) => Promise<unknown>).call(client, command);
  } finally {
    client.destroy();
  }
}

async function refusals(more: object): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [service, call] of Object.entries(calls)) {
    const { name, status } = await failure(call({ ...aws.clientSettings(), ...more }));
    found[service] = `${name} ${status}`;
  }
  return found;
}

async function assume(
  who: Credentials,
  role: string,
  DurationSeconds?: number,
): Promise<Credentials & { expiration: Date }> {
  const sts = new STSClient({ ...aws.clientSettings(), credentials: who });
  try {
    const { Credentials } = await sts.send(
      new AssumeRoleCommand({ RoleArn: roleArn(role), RoleSessionName: 'test', DurationSeconds }),
    );
    const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '', Expiration } = Credentials!;
    return {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      sessionToken: SessionToken,
      expiration: Expiration!,
    };
  } finally {
    sts.destroy();
  }
}

const whoami = (credentials: Credentials): Promise<unknown> =>
  calls.sts({ ...aws.clientSettings(), credentials });

describe('a signature that is not believed is refused as each service words it', () => {
  it.each([
    [
      'a secret that is another',
      () => ({ credentials: { ...root(), secretAccessKey: 'other' } }),
      [
        'AuthFailure 401',
        'InvalidSignatureException 403',
        'SignatureDoesNotMatch 403',
        'SignatureDoesNotMatch 403',
        'SignatureDoesNotMatch 403',
        'InvalidSignatureException 400',
      ],
    ],
    [
      'a key that nobody has',
      () => ({ credentials: { ...root(), accessKeyId: 'AKIANOBODY' } }),
      [
        'AuthFailure 401',
        'UnrecognizedClientException 403',
        'InvalidAccessKeyId 403',
        'InvalidClientTokenId 403',
        'InvalidClientTokenId 403',
        'UnrecognizedClientException 400',
      ],
    ],
    [
      'a token with a key that has none',
      () => ({ credentials: { ...root(), sessionToken: 'token' } }),
      [
        'AuthFailure 401',
        'UnrecognizedClientException 403',
        'InvalidToken 400',
        'InvalidClientTokenId 403',
        'InvalidClientTokenId 403',
        'UnrecognizedClientException 400',
      ],
    ],
    [
      'a clock that is 16 minutes slow',
      () => ({ systemClockOffset: -16 * 60_000 }),
      [
        'AuthFailure 401',
        'InvalidSignatureException 403',
        'RequestTimeTooSkewed 403',
        'SignatureDoesNotMatch 403',
        'SignatureDoesNotMatch 403',
        'InvalidSignatureException 400',
      ],
    ],
    [
      'another Region',
      () => ({ region: 'eu-west-1' }),
      [
        'AuthFailure 401',
        'InvalidSignatureException 403',
        'AuthorizationHeaderMalformed 400',
        'SignatureDoesNotMatch 403',
        'SignatureDoesNotMatch 403',
        'InvalidSignatureException 400',
      ],
    ],
  ])('%s', async (_what, more, expected) => {
    expect(Object.values(await refusals(more()))).toEqual(expected);
  });

  it('a clock that is six minutes fast, by the services that take five', async () => {
    const fast = { ...aws.clientSettings(), systemClockOffset: 6 * 60_000 };
    for (const service of ['ebs', 'route53'] as const)
      expect((await failure(calls[service](fast))).message).toMatch(
        /^Signature not yet current: \d{8}T\d{6}Z is still later than \d{8}T\d{6}Z \(\d{8}T\d{6}Z \+ 5 min\.\)$/,
      );
    for (const service of ['ec2', 's3', 'sts'] as const) await calls[service](fast);
  });
});

describe('users, roles and sessions', () => {
  it('are told by GetCallerIdentity', async () => {
    expect(await whoami(root())).toMatchObject({ Arn: `arn:aws:iam::${ACCOUNT}:root`, UserId: ACCOUNT });
    expect(await whoami(keyOf('anna'))).toMatchObject({ Arn: `arn:aws:iam::${ACCOUNT}:user/anna` });
    expect(await whoami(await assume(keyOf('anna'), 'reader'))).toMatchObject({
      Account: ACCOUNT,
      Arn: `arn:aws:sts::${ACCOUNT}:assumed-role/reader/test`,
      UserId: expect.stringMatching(/^AROA[A-Z2-7]{17}:test$/),
    });
  });

  it("are assumed by whom the role's trust policy names, and nobody else", async () => {
    const session = await assume(keyOf('anna'), 'reader');
    expect(await whoami(await assume(session, 'next'))).toMatchObject({
      Arn: `arn:aws:sts::${ACCOUNT}:assumed-role/next/test`,
    });
    for (const [who, role] of [
      [keyOf('berta'), 'reader'],
      [keyOf('anna'), 'next'],
      [keyOf('anna'), 'none-of-the-name'],
      [root(), 'reader'],
    ] as const)
      expect(await failure(assume(who, role))).toMatchObject({ name: 'AccessDenied', status: 403 });
  });

  it('of a role that trusts the account are assumed by whom its own policies let do it', async () => {
    expect(await whoami(await assume(keyOf('clara'), 'open'))).toMatchObject({
      Arn: `arn:aws:sts::${ACCOUNT}:assumed-role/open/test`,
    });
    expect(await failure(assume(keyOf('berta'), 'open'))).toMatchObject({ name: 'AccessDenied' });
    // May assume all roles as far as clara's policies go, and is not whom this one trusts.
    expect(await failure(assume(keyOf('clara'), 'reader'))).toMatchObject({ name: 'AccessDenied' });
  });

  it('last as long as was asked for, within what the role and STS allow', async () => {
    const { expiration } = await assume(keyOf('anna'), 'reader', 1200);
    expect(Math.abs(expiration.getTime() - Date.now() - 1_200_000)).toBeLessThan(60_000);
    expect(await failure(assume(keyOf('anna'), 'reader', 899))).toMatchObject({ name: 'ValidationError' });
    expect(await failure(assume(keyOf('anna'), 'short', 901))).toMatchObject({ name: 'ValidationError' });
  });

  it('need their token, outlive a restart, and end with their role', async () => {
    const session = await assume(keyOf('anna'), 'reader');
    const { sessionToken: _token, ...bare } = session;
    expect(Object.values(await refusals({ credentials: bare }))).toEqual([
      'AuthFailure 401',
      'UnrecognizedClientException 403',
      'InvalidAccessKeyId 403',
      'InvalidClientTokenId 403',
      'InvalidClientTokenId 403',
      'UnrecognizedClientException 400',
    ]);
    expect(await failure(whoami({ ...session, sessionToken: 'another' }))).toMatchObject({
      name: 'InvalidClientTokenId',
    });
    await aws.restart();
    expect(await whoami(session)).toMatchObject({ Account: ACCOUNT });
    const path = join(aws.config.directory, IDENTITIES_FILE);
    writeFileSync(path, JSON.stringify({ ...identities, roles: [] }));
    expect(await failure(whoami(session))).toMatchObject({ name: 'InvalidClientTokenId' });
    writeFileSync(path, JSON.stringify(identities));
    expect(await whoami(session)).toMatchObject({ Account: ACCOUNT });
  });

  it('are nobody after their end', async () => {
    const short = new AwsHarness();
    short.config.times = { ...short.config.times, session: 0.3 };
    await short.start();
    try {
      writeFileSync(join(short.config.directory, IDENTITIES_FILE), JSON.stringify(identities));
      const sts = new STSClient({ ...short.clientSettings(), credentials: keyOf('anna') });
      const { Credentials } = await sts.send(
        new AssumeRoleCommand({ RoleArn: roleArn('reader'), RoleSessionName: 'test' }),
      );
      sts.destroy();
      const credentials = {
        accessKeyId: Credentials!.AccessKeyId!,
        secretAccessKey: Credentials!.SecretAccessKey!,
        sessionToken: Credentials!.SessionToken!,
      };
      const asked = async (): Promise<Record<string, string>> => {
        const found: Record<string, string> = {};
        for (const [service, call] of Object.entries(calls))
          found[service] = await call({ ...short.clientSettings(), credentials }).then(
            () => 'answered',
            (error: Error) => error.name,
          );
        return found;
      };
      expect(await eventually(asked, ({ ec2 }) => ec2 === 'RequestExpired')).toEqual({
        ec2: 'RequestExpired',
        ebs: 'ExpiredTokenException',
        s3: 'ExpiredToken',
        route53: 'ExpiredToken',
        sts: 'ExpiredToken',
        kms: 'ExpiredTokenException',
      });
    } finally {
      await short.stop();
    }
  });
});

describe('payloads', () => {
  /** Sends a signed request with something else in the place of its payload. */
  async function swapped(
    client: { middlewareStack: object; destroy(): void; send: unknown },
    command: object,
    body: string,
  ): Promise<string> {
    const stack = client.middlewareStack as S3Client['middlewareStack'];
    stack.add(
      (next) => (input) => {
        const sent = input.request as { body?: unknown; headers: Record<string, string> };
        sent.body = body;
        sent.headers['content-length'] = String(Buffer.byteLength(body));
        return next(input);
      },
      { step: 'finalizeRequest', priority: 'low' },
    );
    const { name } = await failure(send(client, command));
    return name;
  }

  it('that are not those which were signed are refused, and nothing of them is kept', async () => {
    const ec2 = new EC2Client(aws.clientSettings());
    const form = 'Action=DescribeVolumes&Version=2016-11-15&VolumeId.1=vol-1';
    expect(await swapped(ec2, new DescribeVolumesCommand({}), form)).toBe('AuthFailure');
    const s3 = new S3Client({
      ...aws.clientSettings(),
      forcePathStyle: true,
      requestChecksumCalculation: 'WHEN_REQUIRED',
    });
    const object = { Bucket: SHOP_BUCKET, Key: 'swapped' };
    expect(await swapped(s3, new PutObjectCommand({ ...object, Body: 'mine' }), 'hers')).toBe(
      'XAmzContentSHA256Mismatch',
    );
    expect(
      await failure(
        send(new S3Client({ ...aws.clientSettings(), forcePathStyle: true }), new GetObjectCommand(object)),
      ),
    ).toMatchObject({ name: 'NoSuchKey' });
  });

  it('of blocks are compared once: by their signature, or by the checksum that says the same', async () => {
    const ebs = (): EBSClient => new EBSClient(aws.clientSettings());
    expect(await swapped(ebs(), new StartSnapshotCommand({ VolumeSize: 1 }), '{"VolumeSize":2}')).toBe(
      'InvalidSignatureException',
    );
    const started = (await send(ebs(), new StartSnapshotCommand({ VolumeSize: 1 }))) as {
      SnapshotId: string;
    };
    const block = Buffer.alloc(512 * 1024, 'a');
    const put = (Checksum: string) =>
      new PutSnapshotBlockCommand({
        SnapshotId: started.SnapshotId,
        BlockIndex: 0,
        BlockData: block,
        DataLength: block.length,
        Checksum,
        ChecksumAlgorithm: 'SHA256',
      });
    const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64');
    const other = Buffer.alloc(block.length, 'b');
    expect(await swapped(ebs(), put(digest(block)), other.toString())).toBe('ValidationException');
    // Whoever swaps both has no signature for it.
    expect(await swapped(ebs(), put(digest(other)), other.toString())).toBe('InvalidSignatureException');
    await send(ebs(), put(digest(block)));
  });

  it('without a signature are refused', async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const sent = request(
        `${aws.endpoint.endpoint}/${SHOP_BUCKET}/anonymous`,
        { method: 'PUT' },
        (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('end', () => resolve(text));
        },
      );
      sent.on('error', reject);
      sent.end('bytes');
    });
    expect(answer).toContain('<Code>AccessDenied</Code>');
  });
});

it('the journal tells what was refused, of whom, and by what', async () => {
  const nothing = await assume(keyOf('anna'), 'nothing');
  const before = readJournal(aws.config.directory).length;
  await failure(whoami({ ...root(), secretAccessKey: 'other' }));
  await failure(calls.ec2({ ...aws.clientSettings(), credentials: nothing }));
  await failure(calls.kms(aws.clientSettings()));
  await failure(assume(keyOf('berta'), 'reader'));
  // Too large to be looked at, whoever it is of.
  const large = new DescribeKeyCommand({ KeyId: 'x'.repeat(9 * 2 ** 20) });
  expect(await failure(send(new KMSClient(aws.clientSettings()), large))).toMatchObject({
    name: 'EntityTooLarge',
  });
  const entries = readJournal(aws.config.directory).slice(before);
  expect(entries).toMatchObject([
    {
      who: aws.config.accessKeyId,
      action: 'sts',
      outcome: 'unverified',
      code: 'SignatureDoesNotMatch',
    },
    {
      who: `arn:aws:sts::${ACCOUNT}:assumed-role/nothing/test`,
      action: 'ec2:DescribeRegions',
      outcome: 'refused',
      code: 'UnauthorizedOperation',
    },
    {
      who: `arn:aws:iam::${ACCOUNT}:user/berta`,
      action: 'sts:AssumeRole',
      outcome: 'refused',
      code: 'AccessDenied',
    },
  ]);
  expect(refusedCalls(aws.config.directory).map(journalText)).toContainEqual(
    expect.stringMatching(/^assumed-role\/nothing\/test asked for ec2:DescribeRegions: refused \(Unauth/),
  );
});

/** Signatures that are made by other hands than the SDK's. */
const python = process.env.LIFEBOAT_PYTHON;
(python === undefined ? it.skip : it)(
  'botocore under a role (skipped without LIFEBOAT_PYTHON)',
  async () => {
    const { accessKeyId, secretAccessKey } = keyOf('anna');
    const { stdout } = await promisify(execFile)(
      python ?? '',
      [join(__dirname, 'boto3_identities.py'), aws.endpoint.endpoint, roleArn('reader'), SHOP_BUCKET],
      {
        env: {
          PATH: process.env.PATH,
          HOME: aws.directory,
          AWS_ACCESS_KEY_ID: accessKeyId,
          AWS_SECRET_ACCESS_KEY: secretAccessKey,
          AWS_DEFAULT_REGION: aws.config.region,
        },
      },
    );
    expect(stdout.trim().split('\n')).toEqual([
      'session ok',
      'keys ok',
      'payloads ok',
      'presigned ok',
      'by hand ok',
      'errors ok',
    ]);
  },
  120_000,
);
