import { pinsPrefix } from '../../repository/backups/pins';
import { evidencePrefix } from '../../repository/evidence/chain';
import { blockMapKey, manifestKey, mapPagesKey, packKey, retiredKey } from '../../repository/objects/keys';
import { stateKey } from '../../repository/plans/plan-state';
import { SHOP_BUCKET } from '../../sandbox/aws/fixtures';
import { evaluate } from '../../sandbox/aws/iam/evaluation/evaluate';
import { listOf } from '../../sandbox/aws/iam/evaluation/elements';
import { type PolicyDocument, type PolicyStatement } from '../../sandbox/aws/iam/policy-document';
import { readPolicy } from '../../sandbox/aws/iam/policy-files';
import { type Hostile, hostileTo } from '../support/iam/hostile';
import {
  type IamRole,
  POLICIES,
  readRecorded,
  RECORDED_VALUES,
  type Recorded,
  ROLES,
} from '../support/iam/recorded';
import { UNRECORDED } from '../support/iam/unrecorded';

const recorded = readRecorded();
const policiesOf = (role: IamRole): PolicyDocument[] =>
  POLICIES[role].map((name) => readPolicy(name, RECORDED_VALUES));
const requestsOf = (role: IamRole): Recorded[] => [
  ...recorded[role],
  ...UNRECORDED[role].map(({ request }) => request),
];
const allows = (policies: PolicyDocument[], request: Recorded): boolean =>
  evaluate(policies, request).effect === 'allowed';
/** What is refused anyway proves nothing about a part of the policies. */
const allowedTo = (role: IamRole): Recorded[] => {
  const whole = policiesOf(role);
  return requestsOf(role).filter((request) => allows(whole, request));
};
const text = ({ action, resource, context }: Recorded): string =>
  `${action} ${resource} ${JSON.stringify(context)}`;

/** A policy less one part of one statement. */
interface Less {
  part: string;
  policies: PolicyDocument[];
}

type Reduce = (statement: PolicyStatement) => [part: string, rest: PolicyStatement | undefined][];

/** The role's policies, each time without another one of the parts that `reduce` names. */
function without(role: IamRole, reduce: Reduce): Less[] {
  const documents = policiesOf(role);
  return documents.flatMap((document, at) => {
    const statements = listOf(document.Statement, 'Statement');
    return statements.flatMap((statement, index) =>
      reduce(statement).map(([part, rest]) => {
        const changed = [
          ...statements.slice(0, index),
          ...(rest ? [rest] : []),
          ...statements.slice(index + 1),
        ];
        const less = changed.length === 0 ? [] : [{ ...document, Statement: changed }];
        return {
          part: `${POLICIES[role][at]} ${statement.Sid}: ${part}`,
          policies: [...documents.slice(0, at), ...less, ...documents.slice(at + 1)],
        };
      }),
    );
  });
}

const lessOne =
  (element: 'Action' | 'Resource'): Reduce =>
  (statement) => {
    const values = listOf(statement[element], element);
    return values.map((value) => {
      const rest = values.filter((other) => other !== value);
      return [value, rest.length === 0 ? undefined : { ...statement, [element]: rest }];
    });
  };

const lessOneCondition: Reduce = (statement) =>
  Object.entries(statement.Condition ?? {}).flatMap(([operator, keys]) =>
    Object.keys(keys).map((key): [string, PolicyStatement] => {
      const rest = Object.fromEntries(Object.entries(keys).filter(([other]) => other !== key));
      const { [operator]: _, ...others } = statement.Condition ?? {};
      const condition = Object.keys(rest).length === 0 ? others : { ...others, [operator]: rest };
      const { Condition: __, ...bare } = statement;
      return [
        `${operator} ${key}`,
        Object.keys(condition).length === 0 ? bare : { ...bare, Condition: condition },
      ];
    }),
  );

/** Fewer values that a condition takes. */
const lessOneValue: Reduce = (statement) =>
  Object.entries(statement.Condition ?? {}).flatMap(([operator, keys]) =>
    Object.entries(keys).flatMap(([key, given]) => {
      const values = listOf(given, key);
      if (values.length < 2) return [];
      return values.map((value): [string, PolicyStatement] => [
        `${key} ${String(value)}`,
        {
          ...statement,
          Condition: {
            ...statement.Condition,
            [operator]: { ...keys, [key]: values.filter((other) => other !== value) },
          },
        },
      ]);
    }),
  );

/** A request that the whole policies allow, and these do not. */
const broken = (role: IamRole, { policies }: Less): Recorded | undefined =>
  allowedTo(role).find((request) => !allows(policies, request));

/** Removing it does no harm, and why it stays. */
const KEPT: Record<string, string> = {
  'aws-proxy LaunchFromTheShellImage: arn:aws:ec2:eu-central-1::snapshot/*':
    "whether RunInstances asks about the image's own snapshots, AWS's reference leaves open",
};

describe.each(ROLES)('the policies of %s', (role) => {
  const whole = policiesOf(role);
  const hostile = requestsOf(role)
    .flatMap(hostileTo)
    .filter(({ request }) => !allows(whole, request));

  it('allow all that was recorded', () => {
    expect(
      requestsOf(role)
        .filter((request) => !allows(whole, request))
        .map(text),
    ).toEqual([]);
  });

  it.each([
    ['actions', lessOne('Action')],
    ['resources', lessOne('Resource')],
    ["conditions' values", lessOneValue],
  ])('have no %s that nothing needs', (_what, reduce) => {
    const needless = without(role, reduce).filter((less) => broken(role, less) === undefined);
    expect(needless.map(({ part }) => part).filter((part) => KEPT[part] === undefined)).toEqual([]);
  });

  it('have no condition without which nothing would be let in', () => {
    const letIn = ({ policies }: Less): Hostile | undefined =>
      hostile.find(({ request }) => allows(policies, request));
    const needless = without(role, lessOneCondition).filter((less) => letIn(less) === undefined);
    expect(needless.map(({ part }) => part).filter((part) => KEPT[part] === undefined)).toEqual([]);
  });
});

/** Resources that belong to a plan by their tags; the rest are looks, the bucket, and what is there for all plans. */
const isOfPlan = ({ context }: Recorded): boolean => context['aws:ResourceTag/lifeboat:plan'] !== undefined;

describe('a worker of one plan', () => {
  it.each(ROLES)(
    "as %s cannot touch another plan's resources, nor anything that Lifeboat did not make",
    (role) => {
      const touching = requestsOf(role).filter(isOfPlan);
      const letIn = touching
        .flatMap(hostileTo)
        .filter(({ what }) =>
          ["another plan's resource", 'what Lifeboat did not make', "a resource of no plan's"].includes(what),
        )
        .filter(({ request }) => allows(policiesOf(role), request));
      expect(letIn.map(({ what, request }) => `${what}: ${text(request)}`)).toEqual([]);
    },
  );

  it('can give nothing to a plan, once it is made', () => {
    const tagging = requestsOf('aws-proxy').filter(
      ({ action, context }) => action === 'ec2:CreateTags' && context['ec2:CreateAction'] === undefined,
    );
    expect(tagging.length).toBeGreaterThan(5);
    const letIn = tagging
      .flatMap(hostileTo)
      .filter(({ what }) => ['a plan put on what has none', 'another tag changed beside it'].includes(what))
      .filter(({ request }) => allows(policiesOf('aws-proxy'), request));
    expect(letIn.map(({ what, request }) => `${what}: ${text(request)}`)).toEqual([]);
  });

  it('makes nothing for another plan, nor without saying for whom', () => {
    const making = requestsOf('aws-proxy').filter(
      ({ context }) => context['aws:RequestTag/lifeboat:plan'] !== undefined,
    );
    expect(making.length).toBeGreaterThan(10);
    const letIn = making
      .filter(({ action }) => action !== 'ec2:CreateTags')
      .flatMap(hostileTo)
      .filter(({ what }) => ['made for another plan', 'made without tags', 'made for no plan'].includes(what))
      .filter(({ request }) => allows(policiesOf('aws-proxy'), request));
    expect(letIn.map(({ what, request }) => `${what}: ${text(request)}`)).toEqual([]);
  });
});

describe('of the repository', () => {
  const ID = '20261201T030000Z-0123abcd';
  const SHA256 = 'ab'.repeat(32);
  /** As plans and VMs may be called; among them what folders of VMs are called. */
  const NAMES = ['shop', 'backups', 'maps', 'packs', 'pins'];
  const THERE: Recorded['context'] = {};
  const NEW: Recorded['context'] = { 's3:if-none-match': '*' };
  const may = (role: IamRole, action: string, key: string, context: Recorded['context']): boolean =>
    allows(policiesOf(role), { action, resource: `arn:aws:s3:::${SHOP_BUCKET}/dr/${key}`, context });

  const truths = NAMES.flatMap((name) => [
    `plans/${SHA256}.json`,
    `plans/scripts/${SHA256}`,
    `plans/by-name/${name}.json`,
    stateKey(name),
    `checks/${name}.json`,
    `${evidencePrefix(name)}00000001.json`,
    `${evidencePrefix(name)}index.json`,
    `${evidencePrefix(name)}pages/${SHA256}.html`,
    ...['1', 'ttl'].map((note) => `dns/${name}/${note}.json`),
  ]);
  const backups = NAMES.flatMap((vm) => [
    manifestKey(vm, ID),
    blockMapKey(vm, ID, 'scsi0-0'),
    mapPagesKey(vm, ID, 'scsi0-0', 1),
    packKey(vm, ID, 'scsi0-0', 1),
  ]);
  const notItsOwn = NAMES.flatMap((name) => [
    retiredKey(name, ID),
    `${pinsPrefix(name)}restore-RUN.json`,
    `${pinsPrefix(name)}collection.json`,
    `consoles/${name}/web/RUN/ready.jpg`,
  ]);

  it('a backup proxy adds backups, and puts nothing over one, and deletes none', () => {
    expect(backups.filter((key) => !may('backup-proxy', 's3:PutObject', key, NEW))).toEqual([]);
    expect(backups.filter((key) => may('backup-proxy', 's3:PutObject', key, THERE))).toEqual([]);
    // A condition on what is there is none.
    const replacing = { 's3:if-match': '"5d41402abc4b2a76b9719d911017c592"' };
    expect(backups.filter((key) => may('backup-proxy', 's3:PutObject', key, replacing))).toEqual([]);
    expect(backups.filter((key) => may('backup-proxy', 's3:DeleteObject', key, THERE))).toEqual([]);
  });

  it.each(['backup-proxy', 'aws-proxy'] as const)(
    'the %s neither writes nor deletes plans, states, checks, or evidence, whatever they are called',
    (role) => {
      const letIn = truths
        .filter((key) => role === 'backup-proxy' || !key.startsWith('dns/'))
        .flatMap((key) =>
          ['s3:PutObject', 's3:DeleteObject'].flatMap((action) =>
            [THERE, NEW].filter((context) => may(role, action, key, context)).map(() => `${action} ${key}`),
          ),
        );
      expect(letIn).toEqual([]);
    },
  );

  it("a backup proxy retires no backup, and leaves restores' pins, the collector's note and consoles alone", () => {
    const letIn = notItsOwn.filter((key) =>
      [THERE, NEW].some(
        (context) =>
          may('backup-proxy', 's3:PutObject', key, context) ||
          may('backup-proxy', 's3:DeleteObject', key, context),
      ),
    );
    expect(letIn).toEqual([]);
  });

  it('a backup proxy neither locks, tags, deletes nor writes a snapshot', () => {
    const own = policiesOf('backup-proxy').flatMap((policy) =>
      listOf(policy.Statement, 'Statement').flatMap(({ Action }) => listOf(Action, 'Action')),
    );
    expect(own.filter((action) => /^(ec2|ebs|route53):/.test(action)).sort()).toEqual([
      'ebs:GetSnapshotBlock',
      'ebs:ListChangedBlocks',
      'ebs:ListSnapshotBlocks',
    ]);
  });
});
