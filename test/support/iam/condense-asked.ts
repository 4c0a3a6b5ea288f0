import { readFileSync, writeFileSync } from 'node:fs';
import { SHOP_HOSTED_ZONE_ID } from '../../../sandbox/aws/fixtures';
import { type AskedRecord } from '../../../sandbox/aws/iam/asked-log';
import { evaluate } from '../../../sandbox/aws/iam/evaluation/evaluate';
import { readPolicy } from '../../../sandbox/aws/iam/policy-files';
import { POLICIES, RECORDED_FILE, RECORDED_VALUES, type Recorded, ROLES } from './recorded';

/**
 * Makes of what endpoints have written down (`asked.jsonl`, `recordAsked` of their config) what Lifeboat asks for, by role, without what
 * differs from run to run; adds to what is there. `node test/support/run-typescript.mjs
 * "$PWD/test/support/iam/condense-asked.ts" [--as ROLE] FILE…`
 *
 * In contract tests one key does everything, also what only tests do. With `--as`, it counts as the role's, as far as the role may.
 */
export function main(given: string[]): void {
  const recorded = readRecorded();
  const as = given[0] === '--as' ? ROLES.find((one) => one === given[1]) : undefined;
  const files = as === undefined ? given : given.slice(2);
  const policies = as === undefined ? [] : POLICIES[as].map((name) => readPolicy(name, RECORDED_VALUES));
  for (const file of files)
    for (const line of readFileSync(file, 'utf8').split('\n').filter(Boolean)) {
      const asked = JSON.parse(line) as AskedRecord;
      const role = as ?? ROLES.find((one) => new RegExp(`[/-]${one}(/|$)`).test(asked.principal));
      if (role === undefined || asked.absent === true) continue;
      const condensed = condense(asked);
      if (as !== undefined && evaluate(policies, condensed).effect !== 'allowed') continue;
      const text = JSON.stringify(condensed);
      if (!recorded[role].some((one) => JSON.stringify(one) === text)) recorded[role].push(condensed);
    }
  for (const role of ROLES) recorded[role].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  writeFileSync(RECORDED_FILE, `${JSON.stringify(recorded, undefined, 1)}\n`);
}

function readRecorded(): Record<(typeof ROLES)[number], Recorded[]> {
  try {
    return JSON.parse(readFileSync(RECORDED_FILE, 'utf8')) as ReturnType<typeof readRecorded>;
  } catch {
    return { 'aws-proxy': [], 'backup-proxy': [], control: [], command: [] };
  }
}

/** Condition keys that some policy names; the others would make the same request another one. */
const KEPT =
  /^(aws:(RequestTag|ResourceTag)\/lifeboat(-proxy$|:(plan|role|mode)$)|aws:TagKeys$|ec2:CreateAction$|ec2:SnapshotLock|iam:|kms:Grant|route53:|s3:(prefix|if-none-match)$)/;

function condense({ action, resource, context }: AskedRecord): Recorded {
  const kept = Object.entries(context)
    .filter(([key]) => KEPT.test(key))
    .map(([key, value]): [string, string | string[]] => [key, condensedValue(key, value)]);
  return {
    action,
    resource: condensedResource(resource),
    context: Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

function condensedValue(key: string, value: string | readonly string[]): string | string[] {
  // Tests have plans of several names.
  if (/\/lifeboat:plan$/.test(key)) return 'shop';
  if (key === 's3:prefix') return condensedKey(String(value));
  if (typeof value === 'string') return value;
  if (key.endsWith('RecordNames')) return ['www.shop.example'];
  // A plan's own tags.
  return value.filter((one) => key !== 'aws:TagKeys' || /^lifeboat|^Name$/.test(one)).sort();
}

function condensedResource(resource: string): string {
  if (resource.startsWith('arn:aws:s3:::')) return resource.replace(/(?<=\/)[^]*$/, condensedKey);
  return (
    resource
      // Not the fixtures', which policies may name.
      .replace(/(?<=\/(?:vol|snap|i|ami|replacevol|eni)-)(?!0a11fe)[0-9a-f]+$/, '1')
      .replace(/(?<=route53:::change\/).*$/, 'C1')
      .replace(/(?<=:key\/).*$/, 'KEY')
      .replace(/(?<=:servicequotas:.*\/).*$/, 'L-1')
      .replace(/(?<=:hostedzone\/).*$/, SHOP_HOSTED_ZONE_ID)
  );
}

/** `dr/web/backups/20261130…/manifest.json` as `dr/VM/backups/YYYYMMDDTHHMMSSZ-RUN/manifest.json`: the kinds of objects, whatever they are called. */
function condensedKey(key: string): string {
  // Contract tests have repositories of their own in the bucket.
  const [prefix, kind = '', ...rest] = key.replace(/^(?:test-\d+\/|backups\/)?(?:dr\/)?/, 'dr/').split('/');
  const last = rest.at(-1) ?? '';
  if (kind === 'pins' && rest.length > 1) return `${prefix}/pins/VM/${condensedPin(last)}`;
  if (OF_PLANS.has(kind)) return `${prefix}/${kind}/NAME`;
  if (rest.length === 0) return kind === '' ? `${prefix}/` : `${prefix}/VM`;
  return `${prefix}/VM/${rest[0]}/${condensedOfVm(last)}`;
}

/** Policies look at the form of a backup's id, so it stays: `YYYYMMDDTHHMMSSZ-RUN`. */
function condensedOfVm(last: string): string {
  if (['retired.json', 'manifest.json'].includes(last)) return `${BACKUP}/${last}`;
  if (last.endsWith('.map')) return `${BACKUP}/DISK.map`;
  return last.startsWith('2') ? `${BACKUP}-DISK-1` : 'NAME';
}

const BACKUP = 'YYYYMMDDTHHMMSSZ-RUN';

function condensedPin(last: string): string {
  const [kind = 'NAME'] = /^(backup|restore)(?=-)|^collection\.json$/.exec(last) ?? [];
  return kind === 'NAME' || kind.endsWith('.json') ? kind : `${kind}-NAME.json`;
}

/** Folders of the repository that are no VM's (docs/repository-format.md). */
const OF_PLANS = new Set(['checks', 'consoles', 'dns', 'evidence', 'pins', 'plans', 'state']);
