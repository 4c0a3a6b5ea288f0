import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import {
  type Json,
  readTemplate,
  type Resource,
  resolveTemplate,
  type Stack,
} from '../support/cloudformation';
import { deployTool, itWithDeployTools } from '../support/deploy-tools';
import { securityFindings } from '../support/template-security';

const file = (...path: string[]): string => join(projectRoot(), 'deploy', ...path);
const text = readFileSync(file('aws.yaml'), 'utf8');
const template = readTemplate(text);

/** What deploy/iam has in the places of what is to be put in. */
const PLACEHOLDERS = {
  VpcId: 'vpc-0123456789abcdef0',
  ProxySubnets: ['subnet-0123456789abcdef0'],
  ProductionSubnets: ['subnet-PRODUCTION'],
  TestSubnets: ['subnet-TEST'],
  Plans: ['shop'],
  HostedZones: ['ZONE'],
  RecordNames: ['www.shop.example'],
  SnapshotKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/KEY',
  LockDays: 7,
  RepositoryPrefix: 'PREFIX',
  ArtifactBucket: 'artifacts',
  PackageSha256: 'a'.repeat(64),
  NodeSha256: 'b'.repeat(64),
  TemporalAddress: 'temporal.example:7233',
  TopicKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/TOPIC-KEY',
} satisfies Record<string, Json>;
const PSEUDO = {
  'AWS::Region': 'eu-central-1',
  'AWS::AccountId': '111122223333',
  'AWS::StackName': 'lifeboat',
};
const KNOWN = {
  ...PSEUDO,
  Repository: 'BUCKET',
  'ProductionGroup.GroupId': 'sg-PRODUCTION',
  'TestGroup.GroupId': 'sg-TEST',
  'ProxyLog.Arn': 'arn:aws:logs:eu-central-1:111122223333:log-group:/lifeboat/lifeboat/aws-proxies:*',
  Notices: 'arn:aws:sns:eu-central-1:111122223333:TOPIC',
};

/** A company that has everything. */
const FULL = {
  ...PLACEHOLDERS,
  LicensedImages: ['ami-0123456789abcdef0'],
  InstanceProfiles: ['PROFILE'],
  InstanceProfileRoles: ['ROLE-OF-PROFILE'],
  RouteTables: ['rtb-0123456789abcdef0'],
  InterfaceEndpoints: 'yes',
  RepositoryKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/0f0f',
  ObjectLockMode: 'GOVERNANCE',
  TemporalSecretArn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:temporal-AbCdEf',
  CodecKeysSecretArn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:codec-AbCdEf',
  SecretKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/0e0e',
  PayloadKeyArn: 'arn:aws:kms:eu-central-1:111122223333:key/PAYLOAD-KEY',
  TrustAnchorArn: 'arn:aws:rolesanywhere:eu-central-1:111122223333:trust-anchor/0d0d',
  NoticeEmail: 'team@shop.example',
  PermissionsBoundaryArn: 'arn:aws:iam::111122223333:policy/boundary',
} satisfies Record<string, Json>;
/** And one that has the least. */
const {
  HostedZones: _zones,
  RecordNames: _names,
  SnapshotKeyArn: _key,
  TopicKeyArn: _topic,
  ...NECESSARY
} = PLACEHOLDERS;
const SMALL = { ...NECESSARY, LockDays: 0, Versioning: 'off' };

const full = resolveTemplate(template, FULL, KNOWN);
const small = resolveTemplate(template, SMALL, KNOWN);

interface Statement {
  Sid?: string;
  Action: string | string[];
  Resource: Json;
}
const statementsOf = (stack: Stack): Statement[] =>
  Object.values(stack.resources)
    .filter(({ Type }) => Type === 'AWS::IAM::ManagedPolicy')
    .flatMap(
      ({ Properties }) => (Properties.PolicyDocument as unknown as { Statement: Statement[] }).Statement,
    );

describe('deploy/aws.yaml', () => {
  it('is what its sources make', () => {
    const made = spawnSync(process.execPath, [file('cloudformation/make.mjs'), '--check'], {
      encoding: 'utf8',
    });
    expect(made).toMatchObject({ status: 0, stderr: '' });
  });

  itWithDeployTools('has nothing that cfn-lint would say of it, which finds a mistake in a copy', () => {
    const directory = mkdtempSync(join(tmpdir(), 'lifeboat-template-'));
    const wrong = join(directory, 'wrong.yaml');
    writeFileSync(wrong, text.replace('HttpTokens: required', 'HttpTokens: maybe'));
    const { text: said } = deployTool('cfn-lint', ['--format', 'parseable', file('aws.yaml'), wrong]);
    rmSync(directory, { recursive: true });
    const findings = said.split('\n').filter((line) => line !== '');
    expect(findings).toEqual([expect.stringContaining("'maybe' is not one of ['optional', 'required']")]);
    expect(findings[0]).toContain(wrong);
  });

  it('keeps all of its findings out of its sight by no comment', () => {
    expect(text).not.toMatch(/cfn-lint|ignore_checks/);
  });
});

describe('policies of deploy/aws.yaml', () => {
  const files = readdirSync(file('iam')).filter((name) => name.endsWith('.json'));
  const put = (json: string): string =>
    json.replaceAll('REGION', 'eu-central-1').replaceAll('ami-LICENSED', 'ami-0123456789abcdef0');

  it.each(files)('hold all statements of %s, as they are', (name) => {
    const { Statement } = JSON.parse(put(readFileSync(file('iam', name), 'utf8'))) as {
      Statement: Statement[];
    };
    const there = statementsOf(full).map(comparable);
    for (const statement of Statement) {
      const same = there.filter((other) => JSON.stringify(other) === JSON.stringify(comparable(statement)));
      // ReadTheRepository and its like are several roles'.
      expect({ statement, times: same.length > 0 }).toEqual({ statement, times: true });
    }
  });

  it('name all of several plans, subnets, zones and images', () => {
    const many = resolveTemplate(
      template,
      {
        ...FULL,
        Plans: ['shop', 'wiki'],
        ProductionSubnets: ['subnet-1', 'subnet-2'],
        HostedZones: ['Z1', 'Z2'],
        LicensedImages: ['ami-1', 'ami-2'],
      },
      KNOWN,
    );
    const found = (sid: string): Statement | undefined => statementsOf(many).find(({ Sid }) => Sid === sid);
    expect(found('LaunchIntoThePlansSubnets')?.Resource).toEqual([
      'arn:aws:ec2:eu-central-1:111122223333:subnet/subnet-1',
      'arn:aws:ec2:*:*:subnet/subnet-2',
      'arn:aws:ec2:eu-central-1:111122223333:subnet/subnet-TEST',
      'arn:aws:ec2:eu-central-1:111122223333:security-group/sg-PRODUCTION',
      'arn:aws:ec2:eu-central-1:111122223333:security-group/sg-TEST',
    ]);
    expect(found('ReadDns')?.Resource).toEqual([
      'arn:aws:route53:::hostedzone/Z1',
      'arn:aws:route53:::hostedzone/Z2',
    ]);
    expect(found('LaunchFromLicensedImages')?.Resource).toEqual([
      'arn:aws:ec2:eu-central-1::image/ami-1',
      'arn:aws:ec2:*::image/ami-2',
    ]);
    expect(found('StartDrCopies')).toMatchObject({
      Condition: { StringEquals: { 'aws:RequestTag/lifeboat:plan': ['shop', 'wiki'] } },
    });
  });

  it('leave out what the account does not have', () => {
    const sids = statementsOf(small).map(({ Sid }) => Sid);
    for (const sid of ['LockDrCopies', 'MoveDns', 'GiveThePlansInstanceProfiles', 'LaunchFromLicensedImages'])
      expect(sids).not.toContain(sid);
    expect(sids).toContain('LaunchIntoThePlansSubnets');
    // Keys that are named; `lifeboat aws check` looks at all.
    expect(JSON.stringify(small).match(/arn:aws:kms[^"]*key\/[^*"]+/g)).toBeNull();
  });

  it('are within what IAM takes, for ten plans in six subnets', () => {
    const ids = (prefix: string, count: number): string[] =>
      Array.from({ length: count }, (_, n) => `${prefix}${String(n).padStart(17, '0')}`);
    const large = resolveTemplate(
      template,
      {
        ...FULL,
        Plans: ids('a-plan-with-a-name-', 10),
        ProductionSubnets: ids('subnet-', 6),
        TestSubnets: ids('subnet-1', 6),
        RecordNames: ids('www.a-domain-of-the-company.example', 10),
        RepositoryPrefix: 'p'.repeat(30),
      },
      { ...KNOWN, 'AWS::Region': 'ap-southeast-2', Repository: 'b'.repeat(63) },
    );
    for (const [name, { Type, Properties }] of Object.entries(large.resources)) {
      if (Type === 'AWS::IAM::Role')
        expect((Properties.ManagedPolicyArns as Json[]).length).toBeLessThanOrEqual(10);
      if (Type !== 'AWS::IAM::ManagedPolicy') continue;
      const characters = JSON.stringify(Properties.PolicyDocument).length;
      // "IAM and AWS STS quotas": 6,144 characters, without white space.
      expect({ name, fits: characters <= 6144, characters }).toEqual({ name, fits: true, characters });
    }
  });

  itWithDeployTools('have nothing that parliament would say of them', () => {
    expect(parliament(full)).toEqual([]);
  });

  itWithDeployTools('are refused by parliament where an action does not act on the resource', () => {
    const wrong = JSON.parse(
      JSON.stringify(full).replaceAll('ebs:StartSnapshot', 'ebs:StartSnapshots'),
    ) as Stack;
    expect(parliament(wrong).join()).toMatch(/UNKNOWN_ACTION/);
  });
});

const JUDGE = `
import json, sys
from parliament import analyze_policy_string
for name, policy in json.load(sys.stdin).items():
    for finding in analyze_policy_string(json.dumps(policy)).findings:
        print(json.dumps([name, finding.issue, finding.detail]))
`;

type Finding = [policy: string, issue: string, detail: Json];

/**
 * What parliament says of the policies. That an action lacks a kind of resource is said of each statement alone; it is left out where
 * another statement of the same role gives it, as ours do with the parts of a launch.
 */
function parliament(stack: Stack): string[] {
  const policies = Object.fromEntries(
    Object.entries(stack.resources)
      .filter(([, { Type }]) => Type === 'AWS::IAM::ManagedPolicy')
      .map(([name, { Properties }]) => [
        name,
        Properties.PolicyDocument as unknown as { Statement: Statement[] },
      ]),
  );
  const judged = deployTool('python', ['-W', 'ignore', '-c', JUDGE], JSON.stringify(policies));
  if (judged.code !== 0) throw new Error(judged.text);
  const findings = judged.text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Finding);
  const given = (policy: string): Statement[] =>
    Object.entries(policies)
      .filter(
        ([name]) =>
          name.replace(/(Launch|Work|Data)Policy/, '') === policy.replace(/(Launch|Work|Data)Policy/, ''),
      )
      .flatMap(([, { Statement }]) => Statement);
  return findings.flatMap(([policy, issue, detail]) => {
    if (issue !== 'RESOURCE_MISMATCH') return [`${policy}: ${issue} ${JSON.stringify(detail)}`];
    return (detail as { action: string; required_format: string }[])
      .filter(
        ({ action, required_format: wanted }) => !given(policy).some((one) => gives(one, action, wanted)),
      )
      .map((one) => `${policy}: ${issue} ${JSON.stringify(one)}`);
  });
}

/** Whether a statement allows an action on a kind of resource, such as `arn:*:ec2:*:*:subnet/*`. */
function gives({ Action, Resource }: Statement, action: string, format: string): boolean {
  const kind = (arn: string): string => arn.split(':').slice(5).join(':').split('/')[0] ?? '';
  return (
    [Action].flat().includes(action) &&
    ([Resource].flat() as string[]).some((arn) => kind(arn) === kind(format))
  );
}

/** One of a list is as good as it alone; keys in any order. */
function comparable(json: unknown): unknown {
  if (Array.isArray(json)) return json.length === 1 ? comparable(json[0]) : json.map(comparable);
  if (json === null || typeof json !== 'object') return String(json);
  return Object.fromEntries(
    Object.entries(json)
      .map(([key, value]) => [key, comparable(value)] as const)
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  );
}

describe('security of deploy/aws.yaml', () => {
  it.each([
    ['everything', FULL],
    ['the least', SMALL],
  ])('has no findings, with %s', (_what, given) => {
    expect(securityFindings(resolveTemplate(template, given, PSEUDO))).toEqual([]);
  });

  it.each<[string, (stack: Record<string, Resource>) => void, RegExp]>([
    [
      'a bucket without encryption',
      (of) => delete of.Repository?.Properties.BucketEncryption,
      /not encrypted/,
    ],
    [
      'a bucket that can be public',
      (of) => set(of.Repository, 'PublicAccessBlockConfiguration.BlockPublicPolicy', false),
      /made public/,
    ],
    [
      'a bucket that goes with the stack',
      (of) => delete of.Repository?.DeletionPolicy,
      /goes with the stack/,
    ],
    ['a bucket with ACLs', (of) => delete of.Repository?.Properties.OwnershipControls, /has ACLs/],
    [
      'a rule that expires objects',
      (of) => set(of.Repository, 'LifecycleConfiguration.Rules.0.ExpirationInDays', 30),
      /objects that are current/,
    ],
    ['a bucket without TLS', (of) => delete of.RepositoryPolicy, /without TLS/],
    ['a topic without TLS', (of) => set(of.NoticesPolicy, 'PolicyDocument.Statement', []), /without TLS/],
    [
      'an endpoint for everybody',
      (of) => set(of.S3Endpoint, 'PolicyDocument.Statement.0.Condition', {}),
      /everybody in/,
    ],
    [
      'a bucket for everybody',
      (of) =>
        set(of.RepositoryPolicy, 'PolicyDocument.Statement.1', {
          Effect: 'Allow',
          Principal: { AWS: ['*'] },
          Action: 's3:GetObject',
        }),
      /everybody in/,
    ],
    [
      'a policy of everything',
      (of) => set(of.ControlPolicy, 'PolicyDocument.Statement.0.Action', 's3:*'),
      /allows s3:\*/,
    ],
    [
      'a policy on everything',
      (of) => set(of.ControlPolicy, 'PolicyDocument.Statement.1.Resource', '*'),
      /on everything/,
    ],
    [
      'a role for every certificate',
      (of) => set(of.BackupProxyRole, 'AssumeRolePolicyDocument.Statement.0.Condition', {}),
      /without a trust anchor/,
    ],
    [
      'a role for another account',
      (of) => set(of.AwsProxyRole, 'AssumeRolePolicyDocument.Statement.0.Principal', { AWS: '444455556666' }),
      /without a trust anchor/,
    ],
    ['an open port', (of) => set(of.ProductionFromProxies, 'CidrIp', '0.0.0.0/0'), /to addresses/],
    [
      'an open port in a group',
      (of) => set(of.ProxyGroup, 'SecurityGroupIngress', [{ CidrIpv6: '::/0' }]),
      /to addresses/,
    ],
    [
      'a group that lets everything out',
      (of) => delete of.TestGroup?.Properties.SecurityGroupEgress,
      /which is everything/,
    ],
    [
      'a test that reaches the internet',
      (of) => set(of.TestGroup, 'SecurityGroupEgress.0.CidrIp', '0.0.0.0/0'),
      /lets a test out/,
    ],
    [
      'a test that reaches production',
      (of) => set(of.TestToTest, 'DestinationSecurityGroupId', '{ProductionGroup}'),
      /reach something else/,
    ],
    [
      'production that lets a test in',
      (of) => set(of.ProductionFromProduction, 'SourceSecurityGroupId', '{TestGroup}'),
      /into production/,
    ],
    [
      'instance metadata without a token',
      (of) => set(of.ProxyTemplate, 'LaunchTemplateData.MetadataOptions.HttpTokens', 'optional'),
      /IMDSv1/,
    ],
    [
      'a public address',
      (of) => set(of.ProxyTemplate, 'LaunchTemplateData.NetworkInterfaces.0.AssociatePublicIpAddress', true),
      /public address/,
    ],
    [
      'a root volume that is not encrypted',
      (of) => set(of.ProxyTemplate, 'LaunchTemplateData.BlockDeviceMappings.0.Ebs.Encrypted', false),
      /not encrypted/,
    ],
    ['a key pair', (of) => set(of.ProxyTemplate, 'LaunchTemplateData.KeyName', 'me'), /key pair/],
    [
      'a proxy that counts as a VM',
      (of) => set(of.ProxyTemplate, 'LaunchTemplateData.TagSpecifications.0.Tags.0.Key', 'lifeboat:role'),
      /recovered VM/,
    ],
    [
      'a proxy that nothing is attached to',
      (of) => set(of.ProxyTemplate, 'LaunchTemplateData.TagSpecifications.0.Tags', []),
      /lifeboat-proxy is missing/,
    ],
    ['a log for ever', (of) => delete of.ProxyLog?.Properties.RetentionInDays, /for ever/],
    ['an alarm that tells nobody', (of) => delete of.ProxyMissing?.Properties.AlarmActions, /tells nobody/],
  ])('is found wanting with %s', (_what, spoil, finding) => {
    const stack = resolveTemplate(template, FULL, PSEUDO);
    spoil(stack.resources);
    const findings = securityFindings(stack);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatch(finding);
  });
});

/** Sets a property by its path. */
function set(resource: Resource | undefined, path: string, value: Json): void {
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  const holder = keys.reduce<unknown>(
    (of, key) => (of as Record<string, unknown>)[key],
    resource?.Properties,
  );
  (holder as Record<string, Json>)[last] = value;
}
