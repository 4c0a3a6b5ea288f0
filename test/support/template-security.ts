import { type Json, type Resource, type Stack } from './cloudformation';

/** What a security team looks for first in a stack. Each finding names the resource, and what is wrong with it. */

interface Statement {
  Sid?: string;
  Effect: string;
  Principal?: Json;
  Action: string | string[];
  Resource?: string | string[];
  Condition?: Record<string, Record<string, Json>>;
}
interface Rule {
  GroupId?: string;
  CidrIp?: string;
  CidrIpv6?: string;
  SourceSecurityGroupId?: string;
  DestinationSecurityGroupId?: string;
}

/** Who may do it with everything: what AWS cannot narrow, and what reads. */
const ON_ALL_RESOURCES =
  /^(ec2:(Describe|Get|List)\w+|servicequotas:Get\w+|route53:ListHostedZonesByName|ssm:UpdateInstanceInformation|ssmmessages:(Create|Open)\w+)$/;
/** Whatever ends objects that are current, or moves them to where reading takes hours. */
const EXPIRING = [
  'ExpirationInDays',
  'ExpirationDate',
  'Expiration',
  'Transition',
  'Transitions',
  'ExpiredObjectAllVersions',
];

export function securityFindings(stack: Stack): string[] {
  const named = Object.entries(stack.resources);
  return [...named.flatMap(([name, resource]) => ofResource(name, resource, stack)), ...ofTestGroup(stack)];
}

function ofResource(name: string, resource: Resource, stack: Stack): string[] {
  const say = (problem: string | false | undefined): string[] =>
    problem === false || problem === undefined ? [] : [`${name}: ${problem}`];
  const properties = resource.Properties as never;
  switch (resource.Type) {
    case 'AWS::S3::Bucket':
      return [...bucket(resource), ...tlsOnly(`{${name}}`, 'AWS::S3::BucketPolicy', 'Bucket', stack)].flatMap(
        say,
      );
    case 'AWS::SNS::Topic':
      return tlsOnly(`{${name}}`, 'AWS::SNS::TopicPolicy', 'Topics', stack).flatMap(say);
    case 'AWS::S3::BucketPolicy':
    case 'AWS::SNS::TopicPolicy':
    case 'AWS::EC2::VPCEndpoint':
      return statements(resource.Properties.PolicyDocument)
        .filter(openToAll)
        .flatMap(() => say('lets everybody in, without a condition'));
    case 'AWS::IAM::ManagedPolicy':
      return statements(resource.Properties.PolicyDocument).flatMap(tooWide).flatMap(say);
    case 'AWS::IAM::Role':
      return statements(resource.Properties.AssumeRolePolicyDocument).flatMap(trust).flatMap(say);
    case 'AWS::EC2::SecurityGroup':
      return group(properties).flatMap(say);
    case 'AWS::EC2::SecurityGroupIngress':
      return say(isOpen(properties) && 'opens a group to addresses');
    case 'AWS::EC2::LaunchTemplate':
      return launchTemplate(properties).flatMap(say);
    case 'AWS::Logs::LogGroup':
      return say(!('RetentionInDays' in resource.Properties) && 'keeps its log for ever');
    case 'AWS::CloudWatch::Alarm':
      return say(!('AlarmActions' in resource.Properties) && 'tells nobody');
    default:
      return [];
  }
}

const list = <T>(value: T | T[] | undefined): T[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];
const statements = (document: Json | undefined): Statement[] =>
  (document as { Statement?: Statement[] } | undefined)?.Statement ?? [];
const isOpen = ({ CidrIp, CidrIpv6 }: Rule): boolean => CidrIp !== undefined || CidrIpv6 !== undefined;

function openToAll({ Effect, Principal, Condition }: Statement): boolean {
  const all =
    Principal === '*' || list((Principal as { AWS?: string | string[] } | undefined)?.AWS).includes('*');
  return Effect === 'Allow' && all && Object.keys(Condition ?? {}).length === 0;
}

function tooWide({ Sid, Effect, Action, Resource }: Statement): string[] {
  if (Effect !== 'Allow') return [];
  return [
    ...list(Action)
      .filter((action) => /^(\*|\w+:\*)$/.test(action))
      .map((action) => `${Sid ?? '?'} allows ${action}`),
    ...list(Action)
      .filter((action) => list(Resource).includes('*') && !ON_ALL_RESOURCES.test(action))
      .map((action) => `${Sid ?? '?'} allows ${action} on everything`),
  ];
}

function trust({ Principal, Condition }: Statement): string[] {
  const { Service, ...others } = Principal as { Service?: string };
  if (Service === 'ec2.amazonaws.com' && Object.keys(others).length === 0) return [];
  // Whoever can get a certificate from any CA of the account's could take it otherwise, and any holder of one from this CA.
  const { ArnEquals, StringEquals } = Condition ?? {};
  const bound = ArnEquals?.['aws:SourceArn'] && StringEquals?.['aws:PrincipalTag/x509Subject/CN'];
  return Service === 'rolesanywhere.amazonaws.com' && bound
    ? []
    : [`is given to ${JSON.stringify(Principal)} without a trust anchor and a name`];
}

function group(properties: { SecurityGroupIngress?: Rule[]; SecurityGroupEgress?: Rule[] }): string[] {
  return [
    ...list(properties.SecurityGroupIngress)
      .filter(isOpen)
      .map(() => 'opens itself to addresses'),
    // CloudFormation leaves EC2's rule that lets everything out where there is none.
    ...(list(properties.SecurityGroupEgress).length === 0
      ? ['says nothing of what it lets out, which is everything']
      : []),
  ];
}

function bucket({ Properties, DeletionPolicy, UpdateReplacePolicy }: Resource): string[] {
  const { BucketEncryption, PublicAccessBlockConfiguration, OwnershipControls, LifecycleConfiguration } =
    Properties as {
      BucketEncryption?: Json;
      PublicAccessBlockConfiguration?: Record<string, Json>;
      OwnershipControls?: { Rules: { ObjectOwnership: string }[] };
      LifecycleConfiguration?: { Rules: Record<string, Json>[] };
    };
  const blocked = Object.values(PublicAccessBlockConfiguration ?? {}).filter((value) => value === true);
  return [
    ...(BucketEncryption === undefined ? ['is not encrypted by what it says'] : []),
    ...(blocked.length === 4 ? [] : ['can be made public']),
    ...(OwnershipControls?.Rules[0]?.ObjectOwnership === 'BucketOwnerEnforced' ? [] : ['has ACLs']),
    ...(DeletionPolicy === 'Retain' && UpdateReplacePolicy === 'Retain' ? [] : ['goes with the stack']),
    ...(LifecycleConfiguration?.Rules ?? []).flatMap((rule) =>
      EXPIRING.filter((key) => key in rule).map(
        (key) => `${String(rule.Id)} takes objects that are current (${key})`,
      ),
    ),
  ];
}

function tlsOnly(reference: string, type: string, of: string, stack: Stack): string[] {
  const denies = Object.values(stack.resources).some(
    ({ Type, Properties }) =>
      Type === type &&
      list(Properties[of]).includes(reference) &&
      statements(Properties.PolicyDocument).some(
        ({ Effect, Principal, Condition }) =>
          Effect === 'Deny' && Principal === '*' && Condition?.Bool?.['aws:SecureTransport'] === 'false',
      ),
  );
  return denies ? [] : ['can be asked without TLS'];
}

function launchTemplate({
  LaunchTemplateData: data,
}: {
  LaunchTemplateData: Record<string, never>;
}): string[] {
  const { MetadataOptions, NetworkInterfaces, BlockDeviceMappings, TagSpecifications } = data as unknown as {
    MetadataOptions?: { HttpTokens?: string; HttpPutResponseHopLimit?: number };
    NetworkInterfaces?: { AssociatePublicIpAddress?: boolean }[];
    BlockDeviceMappings?: { Ebs: { Encrypted?: boolean } }[];
    TagSpecifications: { ResourceType: string; Tags: { Key: string; Value: string }[] }[];
  };
  const tags = TagSpecifications.filter(({ ResourceType }) => ResourceType === 'instance').flatMap(
    ({ Tags }) => Tags,
  );
  const cards = NetworkInterfaces ?? [];
  return [
    ...(MetadataOptions?.HttpTokens === 'required' && MetadataOptions.HttpPutResponseHopLimit === 1
      ? []
      : ['gives its role away by IMDSv1, or by more than one hop']),
    ...(cards.length > 0 && cards.every(({ AssociatePublicIpAddress }) => AssociatePublicIpAddress === false)
      ? []
      : ['may get a public address']),
    ...(BlockDeviceMappings?.length && BlockDeviceMappings.every(({ Ebs }) => Ebs.Encrypted === true)
      ? []
      : ['has a volume that is not encrypted']),
    ...('KeyName' in data ? ['has a key pair'] : []),
    ...(tags.some(({ Key, Value }) => Key === 'lifeboat-proxy' && Value === 'true')
      ? []
      : ['cannot have volumes attached: the tag lifeboat-proxy is missing']),
    ...(tags.some(({ Key }) => Key === 'lifeboat:role') ? ['would count as a recovered VM'] : []),
  ];
}

/** A test has the names and the data of production: what it reaches, it may change. */
function ofTestGroup({ resources }: Stack): string[] {
  const all = Object.entries(resources);
  const idOf = (name: string): string => `{${name}.GroupId}`;
  const names = (value: string | undefined, name: string): boolean =>
    value === `{${name}}` || value === idOf(name);
  const rules = (type: string): (readonly [string, Rule])[] =>
    all
      .filter(([, { Type }]) => Type === type)
      .map(([name, { Properties }]) => [name, Properties as Rule] as const);
  const out = rules('AWS::EC2::SecurityGroupEgress')
    .filter(
      ([, rule]) => names(rule.GroupId, 'TestGroup') && !names(rule.DestinationSecurityGroupId, 'TestGroup'),
    )
    .map(([name]) => `${name}: lets a test reach something else`);
  const inline = list(
    resources.TestGroup?.Properties.SecurityGroupEgress as unknown as Rule[] | undefined,
  ).filter(({ CidrIp, ...others }) => CidrIp !== '127.0.0.1/32' || 'CidrIpv6' in others);
  const intoProduction = rules('AWS::EC2::SecurityGroupIngress')
    .filter(
      ([, rule]) =>
        names(rule.GroupId, 'ProductionGroup') &&
        !['ProductionGroup', 'ProxyGroup'].some((name) => names(rule.SourceSecurityGroupId, name)),
    )
    .map(([name]) => `${name}: lets others than production and proxies into production`);
  return [...out, ...inline.map(() => 'TestGroup: lets a test out'), ...intoProduction];
}
