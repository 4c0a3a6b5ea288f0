import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { projectRoot } from '../../host/project-root';
import { type Authorization, evaluate } from '../../sandbox/aws/iam/evaluation/evaluate';
import { PolicyError } from '../../sandbox/aws/iam/evaluation/policy-error';
import { type PolicyDocument, type PolicyStatement } from '../../sandbox/aws/iam/policy-document';

const VOLUME = 'arn:aws:ec2:eu-central-1:111122223333:volume/vol-1';

const policy = (...statements: object[]): PolicyDocument => ({
  Version: '2012-10-17',
  Statement: statements as PolicyStatement[],
});
const allow = (extra: object = {}): object => ({
  Effect: 'Allow',
  Action: 'ec2:DeleteVolume',
  Resource: VOLUME,
  ...extra,
});
const asked = (extra: Partial<Authorization> = {}): Authorization => ({
  action: 'ec2:DeleteVolume',
  resource: VOLUME,
  context: {},
  ...extra,
});
const decided = (document: PolicyDocument, request = asked()): string => evaluate([document], request).effect;

describe('the evaluation of IAM policies', () => {
  it('denies what nothing allows, and what anything denies', () => {
    expect(evaluate([], asked()).effect).toBe('implicit-deny');
    expect(decided(policy(allow()))).toBe('allowed');
    expect(decided(policy(allow({ Resource: `${VOLUME}2` })))).toBe('implicit-deny');
    expect(decided(policy(allow(), allow({ Effect: 'Deny', Resource: '*' })))).toBe('explicit-deny');
    expect(evaluate([policy(allow()), policy(allow({ Effect: 'Deny' }))], asked()).effect).toBe(
      'explicit-deny',
    );
  });

  it('takes NotAction and NotResource', () => {
    expect(decided(policy({ Effect: 'Allow', NotAction: 'ec2:Describe*', Resource: '*' }))).toBe('allowed');
    expect(decided(policy({ Effect: 'Allow', NotAction: 'ec2:Delete*', Resource: '*' }))).toBe(
      'implicit-deny',
    );
    const others = { Effect: 'Allow', Action: '*', NotResource: 'arn:aws:ec2:*:*:volume/*' };
    expect(decided(policy(others))).toBe('implicit-deny');
    expect(decided(policy(others), asked({ resource: VOLUME.replace('volume', 'snapshot') }))).toBe(
      'allowed',
    );
  });

  it('keeps wildcards of ARNs within their segment', () => {
    expect(decided(policy(allow({ Resource: 'arn:aws:ec2:*:volume/vol-1:x:y' })))).toBe('implicit-deny');
    expect(decided(policy(allow({ Resource: 'arn:aws:ec2:*:*:volume/*' })))).toBe('allowed');
    const object = asked({ resource: 'arn:aws:s3:::b/a:b:c', action: 's3:GetObject' });
    expect(decided(policy(allow({ Action: 's3:GetObject', Resource: 'arn:aws:s3:::b/*' })), object)).toBe(
      'allowed',
    );
  });

  it('puts policy variables in, and nothing where they have no value', () => {
    const own = policy(allow({ Resource: 'arn:aws:ec2:*:*:volume/${aws:PrincipalTag/volume}' }));
    expect(decided(own, asked({ context: { 'aws:PrincipalTag/volume': 'vol-1' } }))).toBe('allowed');
    expect(decided(own, asked({ context: { 'aws:PrincipalTag/volume': '*' } }))).toBe('implicit-deny');
    expect(decided(own)).toBe('implicit-deny');
    const usual = policy(allow({ Resource: "arn:aws:ec2:*:*:volume/${aws:PrincipalTag/volume, 'vol-1'}" }));
    expect(decided(usual)).toBe('allowed');
  });

  it.each([
    ['an operator', { Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } }, 'IpAddress'],
    ['an operator that is misspelt', { Condition: { StringEqual: { 'aws:a': 'b' } } }, 'StringEqual'],
    [
      'ForAnyValue with IfExists',
      { Condition: { 'ForAnyValue:BoolIfExists': { 'aws:a': 'true' } } },
      'IfExists',
    ],
    ['Null with a prefix', { Condition: { 'ForAllValues:Null': { 'aws:a': 'true' } } }, 'Null'],
    ['an element', { Principal: '*' }, 'Principal'],
    ['an effect', { Effect: 'allow' }, 'Effect'],
    ['a resource that is no ARN', { Resource: 'volume/*' }, 'volume/*'],
    ['a variable outside of the last segment', { Resource: 'arn:aws:ec2:*:${aws:a}:volume/*' }, 'variable'],
    ['an action without service', { Action: 'DeleteVolume' }, 'DeleteVolume'],
    ['a number that is none', { Condition: { NumericEquals: { 'ec2:VolumeSize': 'big' } } }, 'big'],
    ['Action and NotAction', { NotAction: 'ec2:*' }, 'Action'],
    ['no resource', { Resource: [] }, 'Resource'],
  ])('refuses a policy with %s that it does not know', (_what, extra, named) => {
    const read = (): unknown => evaluate([policy(allow(extra))], asked());
    expect(read).toThrow(PolicyError);
    expect(read).toThrow(named);
  });

  it('refuses a policy of the old version, whose variables are plain text', () => {
    expect(() => evaluate([{ Statement: policy(allow()).Statement }], asked())).toThrow('2012-10-17');
  });

  it('decides as @cloud-copilot/iam-simulate does', () => {
    const cases = fc.sample(generated, { numRuns: 4000, seed: 47 });
    const script = join(projectRoot(), 'test', 'support', 'iam-simulate.mjs');
    const theirs = JSON.parse(
      execFileSync(process.execPath, [script], {
        input: JSON.stringify(cases.map(({ policies, request }) => ({ policies, ...request }))),
        encoding: 'utf8',
        maxBuffer: 64 * 1024 * 1024,
      }),
    ) as string[];
    const words: Record<string, string> = {
      allowed: 'Allowed',
      'explicit-deny': 'ExplicitlyDenied',
      'implicit-deny': 'ImplicitlyDenied',
    };
    const ours = cases.map(({ policies, request }) => words[evaluate(policies, request).effect]);
    const different = cases.filter((_, index) => ours[index] !== theirs[index]);
    expect(different.slice(0, 3).map((one) => JSON.stringify(one))).toEqual([]);
    // Each decision is there often enough to be compared.
    for (const word of Object.values(words))
      expect(theirs.filter((their) => their === word).length).toBeGreaterThan(200);
  });
});

const oneOrMore = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | T[]> =>
  fc.oneof(values, fc.array(values, { minLength: 1, maxLength: 3 }));

const tag = fc.constantFrom('shop', 'Shop', 'shop-2', 'crm', '', 'a*c', 'true', '7', '7.5');
const numbers = fc.constantFrom('7', '8', '7.0', '-1', '100');
const dates = fc.constantFrom('2026-11-30T00:00:00Z', '2026-12-01T00:00:00Z', '1790000000');
const arns = fc.constantFrom(
  VOLUME,
  'arn:aws:ec2:eu-central-1:111122223333:volume/*',
  'arn:aws:ec2:*:*:snapshot/snap-?',
  'arn:aws:ec2:eu-central-1::snapshot/snap-1',
  'arn:aws:s3:::bucket/dr/*',
  'arn:aws:s3:::bucket',
  'arn:aws:ec2:eu-*:111122223333:volume/${aws:PrincipalTag/volume}',
);
const KEYS = ['aws:ResourceTag/plan', 'aws:RequestTag/plan', 'ec2:Size'];
const listKey = 'aws:TagKeys';

const texts = fc.oneof(
  tag,
  fc.constantFrom(
    '*',
    's?op',
    'sh*',
    'c*m',
    '${aws:PrincipalTag/plan}',
    "${aws:PrincipalTag/plan, 'crm'}",
    '${*}',
  ),
);
const ofKind = (names: string[], values: fc.Arbitrary<string>) =>
  fc.tuple(fc.constantFrom(...names), fc.constantFrom('', '', 'IfExists'), oneOrMore(values));
const strings = ofKind(
  [
    'StringEquals',
    'StringNotEquals',
    'StringEqualsIgnoreCase',
    'StringNotEqualsIgnoreCase',
    'StringLike',
    'StringNotLike',
  ],
  texts.filter((text) => text !== ''),
);
const single = fc
  .tuple(
    fc.oneof(
      strings,
      ofKind(
        [
          ...['NumericEquals', 'NumericNotEquals', 'NumericLessThan', 'NumericLessThanEquals'],
          ...['NumericGreaterThan', 'NumericGreaterThanEquals'],
        ],
        numbers,
      ),
      ofKind(['DateEquals', 'DateNotEquals', 'DateLessThan', 'DateGreaterThanEquals'], dates),
      ofKind(['ArnEquals', 'ArnLike', 'ArnNotEquals', 'ArnNotLike'], arns),
      ofKind(['Bool'], fc.constantFrom('true', 'false')),
      fc.tuple(fc.constant('Null'), fc.constant(''), oneOrMore(fc.constantFrom('true', 'false'))),
    ),
    fc.constantFrom(...KEYS),
  )
  .map(([[name, suffix, values], key]) => ({ [`${name}${suffix}`]: { [keyFor(name) ?? key]: values } }));
/** A key whose values are what the operator compares: whether an ARN is not equal to what is none, AWS does not say. */
const keyFor = (operator: string): string | undefined =>
  ({ Arn: 'aws:SourceArn', Num: 'ec2:Size', Dat: 'aws:CurrentTime', Boo: 'aws:SecureTransport' })[
    operator.slice(0, 3)
  ];
// ForAnyValue with IfExists is refused here.
const several = fc
  .tuple(fc.constantFrom('ForAllValues', 'ForAnyValue'), strings)
  .map(([set, [name, suffix, values]]) => ({
    [`${set}:${name}${set === 'ForAnyValue' ? '' : suffix}`]: { [listKey]: values },
  }));
const condition = fc.oneof(fc.constant({}), single, single, several);

const actions = fc.constantFrom('ec2:DeleteVolume', 'ec2:CreateTags', 's3:GetObject', 'ebs:StartSnapshot');
const actionPatterns = fc.oneof(
  actions,
  fc.constantFrom('*', 'ec2:*', 'EC2:delete*', 's3:Get?bject', 'ebs:*Snapshot'),
);
const resourcePatterns = fc.oneof(
  arns,
  fc.constant('*'),
  fc.constantFrom('arn:aws:ec2:*:*:*', 'arn:aws:s3:::*'),
);

const statement = fc
  .tuple(
    fc.constantFrom('Allow', 'Allow', 'Allow', 'Deny'),
    fc.constantFrom('Action', 'Action', 'Action', 'NotAction'),
    oneOrMore(actionPatterns),
    fc.constantFrom('Resource', 'Resource', 'Resource', 'NotResource'),
    oneOrMore(resourcePatterns),
    condition,
  )
  .map(([Effect, action, actionValues, resource, resources, Condition]) => ({
    Effect,
    [action]: actionValues,
    [resource]: resources,
    ...(Object.keys(Condition).length === 0 ? {} : { Condition }),
  }));

const values = fc.oneof(
  tag,
  numbers,
  dates,
  arns.filter((arn) => !/[*?$]/.test(arn)),
);
const context = fc
  .record(
    {
      'aws:ResourceTag/plan': values,
      'aws:RequestTag/plan': values,
      'ec2:Size': numbers,
      'aws:CurrentTime': dates,
      'aws:SecureTransport': fc.constantFrom('true', 'false'),
      'aws:SourceArn': arns.filter((arn) => !/[*?$]/.test(arn)),
      'aws:TagKeys': fc.array(tag, { maxLength: 3 }),
      'aws:PrincipalTag/volume': fc.constantFrom('vol-1', '*'),
      'aws:PrincipalTag/plan': tag.filter((text) => text !== ''),
    },
    // A variable without a value equals nothing ("Policy variables with no value"), which the other one does not heed in negations.
    { requiredKeys: ['aws:PrincipalTag/plan'] },
  )
  .map((given) => given as Authorization['context']);

const generated = fc.record({
  policies: fc.array(
    fc.array(statement, { minLength: 1, maxLength: 3 }).map((statements) => policy(...statements)),
    { minLength: 1, maxLength: 2 },
  ),
  request: fc.record({
    action: actions,
    resource: fc.constantFrom(
      VOLUME,
      'arn:aws:ec2:eu-central-1::snapshot/snap-1',
      'arn:aws:s3:::bucket/dr/a:b',
      'arn:aws:s3:::bucket',
    ),
    context,
  }),
});
