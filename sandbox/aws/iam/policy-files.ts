import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../../host/project-root';
import { type PolicyDocument } from './policy-document';

/** The files of `deploy/iam`, without `.json`. */
export const POLICY_NAMES = [
  'aws-check',
  'aws-proxy',
  'aws-proxy-kms',
  'backup-proxy',
  'backup-proxy-kms',
  'command',
  'command-sign',
  'command-sweep',
  'control',
  'control-topics',
  'payload-keys',
] as const;

export type PolicyName = (typeof POLICY_NAMES)[number];

/** What stands in the place of the files' placeholders; what is left out stays as it is in the files. */
export interface PolicyValues {
  region: string;
  accountId: string;
  /** Names of the plans. */
  plans: readonly string[];
  bucket: string;
  /** With its slash at the end; empty where the repository has none. */
  prefix: string;
  subnets?: readonly string[];
  securityGroups?: readonly string[];
  licensedImages?: readonly string[];
  instanceProfiles?: readonly string[];
  /** Roles of the instance profiles. */
  profileRoles?: readonly string[];
  hostedZones?: readonly string[];
  /** Names of DNS records, in lower case and without a dot at the end. */
  recordNames?: readonly string[];
  keys?: readonly string[];
  topics?: readonly string[];
  topicKeys?: readonly string[];
  /** KMS keys under which payloads are encrypted. */
  payloadKeys?: readonly string[];
  /** Days that the plans' locks last. */
  lockDays?: readonly number[];
}

/** A file of `deploy/iam` with values in the place of its placeholders. */
export function readPolicy(name: PolicyName, values: PolicyValues): PolicyDocument {
  return fillPolicy(JSON.parse(policyText(name)) as PolicyDocument, values);
}

/** A file of `deploy/iam` as it is. */
export function policyText(name: PolicyName): string {
  return readFileSync(join(projectRoot(), 'deploy', 'iam', `${name}.json`), 'utf8');
}

/** Puts values in the place of the placeholders that deploy/iam/README.md names; a text with several values becomes several. */
export function fillPolicy(policy: PolicyDocument, values: PolicyValues): PolicyDocument {
  return filled(policy, replacements(values)) as PolicyDocument;
}

type Replacement = [placeholder: RegExp, values: readonly string[]];

function replacements(values: PolicyValues): Replacement[] {
  const several = (placeholder: RegExp, given: readonly (string | number)[] | undefined): Replacement[] =>
    given === undefined ? [] : [[placeholder, given.map(String)]];
  return [
    ...several(/\bREGION\b/, [values.region]),
    ...several(/\b111122223333\b/, [values.accountId]),
    ...several(/^shop$/, values.plans),
    ...several(/\bBUCKET\b/, [values.bucket]),
    ...several(/\bPREFIX\//, [values.prefix]),
    ...several(/\bsubnet-PRODUCTION$/, values.subnets),
    ...several(/\bsubnet-TEST$/, values.subnets),
    ...several(/\bsg-PRODUCTION$/, values.securityGroups),
    ...several(/\bsg-TEST$/, values.securityGroups),
    ...several(/\bami-LICENSED$/, values.licensedImages),
    ...several(/(?<=instance-profile\/)PROFILE$/, values.instanceProfiles),
    ...several(/\bROLE-OF-PROFILE$/, values.profileRoles),
    ...several(/(?<=hostedzone\/)ZONE$/, values.hostedZones),
    ...several(/^www\.shop\.example$/, values.recordNames),
    ...several(/(?<=key\/)KEY$/, values.keys),
    ...several(/(?<=:)TOPIC$/, values.topics),
    ...several(/(?<=key\/)TOPIC-KEY$/, values.topicKeys),
    ...several(/(?<=key\/)PAYLOAD-KEY$/, values.payloadKeys),
    ...several(/^7$/, values.lockDays),
  ];
}

function filled(value: unknown, all: Replacement[]): unknown {
  if (typeof value === 'string') {
    const texts = filledText(value, all);
    return texts.length === 1 ? texts[0] : texts;
  }
  if (Array.isArray(value)) {
    const items = value.flatMap((item) => filled(item, all));
    return [...new Set(items)];
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item, all)]));
}

function filledText(text: string, all: Replacement[]): string[] {
  return all.reduce(
    (texts, [placeholder, values]) =>
      texts.flatMap((one) =>
        placeholder.test(one) ? values.map((value) => one.replace(placeholder, () => value)) : [one],
      ),
    [text],
  );
}
