import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { CompiledPolicy } from '../../sandbox/aws/iam/evaluation/compiled-policy';
import { listOf } from '../../sandbox/aws/iam/evaluation/elements';
import { type PolicyDocument, type PolicyStatement } from '../../sandbox/aws/iam/policy-document';
import { fillPolicy, POLICY_NAMES, type PolicyName, policyText } from '../../sandbox/aws/iam/policy-files';
import { POLICIES } from '../support/iam/recorded';
import { actionsOf, hasKey, pairsOf } from '../support/iam/reference';

const python = process.env.LIFEBOAT_PYTHON;
/** Region and account as AWS writes them; all other placeholders are names that could be. */
const PLACED = {
  region: 'eu-central-1',
  accountId: '111122223333',
  plans: ['shop'],
  bucket: 'bucket',
  prefix: 'dr/',
};
const document = (name: PolicyName): PolicyDocument => JSON.parse(policyText(name)) as PolicyDocument;
const filled = (name: PolicyName): PolicyDocument => fillPolicy(document(name), PLACED);
const statements = (policy: PolicyDocument): readonly PolicyStatement[] =>
  listOf(policy.Statement, 'Statement');

/** What AWS takes as inline policies of one role, without white space ("IAM and AWS STS quotas", IAM User Guide). */
const INLINE_CHARACTERS = 10_240;
const compact = (name: PolicyName): number => JSON.stringify(document(name)).length;

describe('the policies in deploy/iam', () => {
  const root = projectRoot();
  const readme = readFileSync(join(root, 'deploy', 'iam', 'README.md'), 'utf8');

  it('are all known, and named where people look', () => {
    const files = readdirSync(join(root, 'deploy', 'iam')).filter((name) => name.endsWith('.json'));
    expect(files.sort()).toEqual(POLICY_NAMES.map((name) => `${name}.json`).sort());
    const guide = readFileSync(join(root, 'docs', 'aws.md'), 'utf8');
    for (const file of files) {
      expect(readme).toContain(`(${file})`);
      expect(guide).toContain(`deploy/iam/${file}`);
    }
  });

  it('name their statements, each by a name of its own', () => {
    for (const name of POLICY_NAMES) {
      const sids = statements(document(name)).map(({ Sid }) => Sid);
      expect(sids.every((sid) => /^[A-Za-z0-9]+$/.test(sid ?? ''))).toBe(true);
      expect(new Set(sids).size).toBe(sids.length);
    }
  });

  it('fit into a role', () => {
    for (const names of Object.values(POLICIES))
      expect([...names, 'payload-keys' as const].map(compact).reduce((a, b) => a + b)).toBeLessThan(
        INLINE_CHARACTERS,
      );
  });

  it('can be read by what judges them in the sandbox', () => {
    for (const name of POLICY_NAMES) expect(() => new CompiledPolicy(document(name))).not.toThrow();
  });

  it('have placeholders that are told, and no others', () => {
    const texts = POLICY_NAMES.map(policyText).join('\n');
    const placeholders = new Set(texts.match(/\b(?:[a-z]+-)?[A-Z]{3,}(?:-[A-Z]+)*\b/g));
    placeholders.delete('CNAME');
    placeholders.delete('HTTPS');
    placeholders.delete('SVCB');
    placeholders.delete('AAAA');
    expect([...placeholders].filter((placeholder) => !readme.includes(`\`${placeholder}\``))).toEqual([]);
  });

  it('get values in the place of their placeholders', () => {
    const text = JSON.stringify(
      fillPolicy(document('aws-proxy'), {
        ...PLACED,
        plans: ['crm', 'erp'],
        prefix: '',
        subnets: ['subnet-1'],
        securityGroups: ['sg-1'],
        licensedImages: ['ami-1'],
        instanceProfiles: ['p'],
        profileRoles: ['r'],
        hostedZones: ['Z1'],
        recordNames: ['a.crm.example'],
        lockDays: [14],
      }),
    );
    expect(text).toContain('"aws:RequestTag/lifeboat:plan":["crm","erp"]');
    expect(text).toContain('"arn:aws:s3:::bucket/dns/*"');
    expect(text).not.toMatch(/PREFIX|REGION|111122223333:role\/ROLE|PRODUCTION|ZONE|LICENSED|"7"|shop/);
  });

  /** An action, its statement, and what is wrong with them by the reference. */
  async function flaws(name: PolicyName): Promise<string[]> {
    const found: string[] = [];
    for (const { Sid, Action, Resource, Condition } of statements(filled(name))) {
      const resources = listOf(Resource, 'Resource');
      const keys = Object.values(Condition ?? {}).flatMap((byKey) => Object.keys(byKey));
      const useful = new Set<string>();
      for (const pattern of listOf(Action, 'Action')) {
        const actions = await actionsOf(pattern);
        if (actions.length === 0) found.push(`${name} ${Sid}: there is no action ${pattern}`);
        for (const action of actions) {
          const pairs = await pairsOf(action);
          const matching = resources.filter((resource) =>
            pairs.some((pair) => pair.arn.test(resource) && keys.every((key) => hasKey(pair, key))),
          );
          matching.forEach((resource) => useful.add(resource));
          if (matching.length === 0 && !resources.includes('*'))
            found.push(`${name} ${Sid}: ${action} never has these resources with these condition keys`);
        }
      }
      for (const resource of resources)
        if (resource !== '*' && !useful.has(resource))
          found.push(`${name} ${Sid}: no action is about ${resource}`);
    }
    return found;
  }

  it("have actions, resources and condition keys of AWS's Service Authorization Reference", async () => {
    const all = await Promise.all(POLICY_NAMES.map(flaws));
    expect(all.flat()).toEqual([]);
  });

  (python === undefined ? it.skip : it)('are clean to parliament (skipped without LIFEBOAT_PYTHON)', () => {
    const policies = Object.fromEntries(POLICY_NAMES.map((name) => [name, filled(name)]));
    expect(parliament({ ...policies, bad: BAD }).filter((finding) => finding.startsWith('bad:'))).not.toEqual(
      [],
    );
    expect(parliament(policies)).toEqual([]);
  });
});

const BAD = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'ec2:DeleteVolumes', Resource: '*' }],
};

/** What parliament finds, a well-known linter of IAM policies with its own copy of the reference. */
function parliament(policies: Record<string, unknown>): string[] {
  const script = join(projectRoot(), 'test', 'support', 'iam', 'lint_policies.py');
  return JSON.parse(
    execFileSync(python ?? '', [script], { input: JSON.stringify(policies), encoding: 'utf8' }),
  ) as string[];
}
