// The policies of deploy/iam as CloudFormation says them: what is to be put in becomes a parameter, and what some accounts do without a
// condition.

/** What stands in an ARN for a part of it. */
const PARTS = [
  ['REGION', '${AWS::Region}'],
  ['111122223333', '${AWS::AccountId}'],
  ['BUCKET', '${Repository}'],
  ['PREFIX', '${RepositoryPrefix}'],
  ['sg-PRODUCTION', '${ProductionGroup.GroupId}'],
  ['sg-TEST', '${TestGroup.GroupId}'],
];

/** What stands for a whole value. */
const VALUES = new Map([
  ['shop', { Ref: 'Plans' }],
  ['www.shop.example', { Ref: 'RecordNames' }],
  ['7', { Ref: 'LockDays' }],
  ['arn:aws:sns:REGION:111122223333:TOPIC', { Ref: 'Notices' }],
  ['arn:aws:kms:REGION:111122223333:key/TOPIC-KEY', { Ref: 'TopicKeyArn' }],
  ['arn:aws:kms:REGION:111122223333:key/PAYLOAD-KEY', { Ref: 'PayloadKeyArn' }],
  ['arn:aws:kms:REGION:111122223333:key/KEY', { Ref: 'SnapshotKeyArn' }],
]);

/** What ends an ARN, and is a list in the account. */
const LISTS = new Map([
  ['subnet-PRODUCTION', 'ProductionSubnets'],
  ['subnet-TEST', 'TestSubnets'],
  ['ami-LICENSED', 'LicensedImages'],
  ['PROFILE', 'InstanceProfiles'],
  ['ROLE-OF-PROFILE', 'InstanceProfileRoles'],
  ['ZONE', 'HostedZones'],
]);

/** Statements, and whole files, that need a parameter which may be empty. */
const CONDITIONS = new Map([
  ['LookForThePlansInstanceProfiles', 'HasInstanceProfiles'],
  ['GiveThePlansInstanceProfiles', 'HasInstanceProfiles'],
  ['LaunchFromLicensedImages', 'HasLicensedImages'],
  ['LockDrCopies', 'HasLocks'],
  ['ReadDns', 'HasDns'],
  ['MoveDns', 'HasDns'],
  ['FindTwinsOfTheZone', 'HasDns'],
  ['WaitForDns', 'HasDns'],
  ['MakeTheTestRecord', 'HasDns'],
  ['EncryptForTopics', 'HasTopicKey'],
  ['aws-proxy-kms.json', 'HasSnapshotKey'],
  ['backup-proxy-kms.json', 'HasSnapshotKey'],
  ['payload-keys.json', 'HasPayloadKey'],
]);

/**
 * A policy of statements of several files.
 * @param parts `{ file, statements }`; without statements, all of the file
 * @param policy reads a file of deploy/iam
 */
export function policyDocument(parts, policy) {
  return { Version: '2012-10-17', Statement: parts.flatMap((part) => statementsOf(part, policy)) };
}

/** Statements of deploy/iam that are in no policy. @param files all that are there */
export function unusedStatements(parts, files, policy) {
  return files.flatMap((file) =>
    policy(file)
      .Statement.filter(({ Sid }) => !isNamed(parts, file, Sid))
      .map(({ Sid }) => `${Sid ?? 'a statement without Sid'} of ${file}`),
  );
}

const isNamed = (parts, file, sid) =>
  parts.some((part) => part.file === file && (part.statements?.includes(sid) ?? true));

function statementsOf({ file, statements }, policy) {
  const { Statement } = policy(file);
  for (const name of statements ?? [])
    if (!Statement.some(({ Sid }) => Sid === name)) throw new Error(`${file} has no statement ${name}.`);
  return Statement.filter(({ Sid }) => statements?.includes(Sid) ?? true).map((statement) => {
    const condition = CONDITIONS.get(statement.Sid) ?? CONDITIONS.get(file);
    const said = parametrized(statement);
    return condition === undefined ? said : { 'Fn::If': [condition, said, { Ref: 'AWS::NoValue' }] };
  });
}

function parametrized({ Resource, ...rest }) {
  return { ...valuesPut(rest), Resource: resources([Resource].flat()) };
}

/** All but resources: the values of conditions. */
function valuesPut(value) {
  if (Array.isArray(value)) {
    const put = value.map(valuesPut);
    // A parameter that is a list is the list.
    return put.length === 1 && typeof put[0] === 'object' ? put[0] : put;
  }
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, valuesPut(inner)]));
  return VALUES.get(value) ?? value;
}

/** A list of ARNs in which one may stand for many: then it is one text, split at commas, as CloudFormation cannot join lists. */
function resources(arns) {
  const said = arns.map(resource);
  if (!said.some(({ several }) => several))
    return said.length === 1 ? said[0].value : said.map(({ value }) => value);
  return { 'Fn::Split': [',', { 'Fn::Join': [',', said.map(({ value }) => value)] }] };
}

function resource(arn) {
  const whole = VALUES.get(arn);
  if (whole !== undefined) return { value: whole };
  const [, prefix, name] = /^(.*\/)?([^/]*)$/.exec(arn);
  const list = LISTS.get(name);
  if (list === undefined) return { value: partsPut(arn) };
  // The first as it is; Fn::Join takes no parameters between the others, and ids tell of no two accounts or Regions.
  const others = `,${prefix.replace('REGION', '*').replace('111122223333', '*')}`;
  return {
    several: true,
    value: { 'Fn::Join': ['', [partsPut(prefix), { 'Fn::Join': [others, { Ref: list }] }]] },
  };
}

function partsPut(text) {
  const put = PARTS.reduce((sofar, [from, to]) => sofar.replaceAll(from, to), text);
  return put === text ? text : { 'Fn::Sub': put };
}
