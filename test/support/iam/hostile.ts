import { type Recorded } from './recorded';

/** A request that must not be let through, made of one that is. */
export interface Hostile {
  what: string;
  request: Recorded;
}

type Context = Record<string, string | readonly string[]>;
type Change = [what: string, change: (context: Context, request: Recorded) => Context | undefined];

const PLAN_OF = /^aws:ResourceTag\/lifeboat:plan$/;
const FOR_PLAN = /^aws:RequestTag\/lifeboat:plan$/;

const put = (context: Context, key: string, value: string | readonly string[]): Context => ({
  ...context,
  [key]: value,
});
/** Replaces a key where it is there. */
const otherwise =
  (key: string, value: string | readonly string[]): Change[1] =>
  (context) =>
    context[key] === undefined ? undefined : put(context, key, value);
const without =
  (keys: RegExp): Change[1] =>
  (context) => {
    const kept = Object.entries(context).filter(([key]) => !keys.test(key));
    return kept.length === Object.keys(context).length ? undefined : Object.fromEntries(kept);
  };

const NAMES = 'route53:ChangeResourceRecordSetsNormalizedRecordNames';
const TYPES = 'route53:ChangeResourceRecordSetsRecordTypes';

/** The shell image and its snapshot are no plan's: with a plan, the role says nothing. */
function shellOf(kind: 'aws:RequestTag' | 'aws:ResourceTag'): Change[1] {
  return (context) =>
    context[`${kind}/lifeboat:role`] === 'shell' ? put(context, `${kind}/lifeboat:plan`, 'crm') : undefined;
}

/** What somebody might try who has stolen a role. */
const CHANGES: Change[] = [
  ["another plan's resource", otherwise('aws:ResourceTag/lifeboat:plan', 'crm')],
  ['what Lifeboat did not make', without(/^aws:ResourceTag\//)],
  ['made for another plan', otherwise('aws:RequestTag/lifeboat:plan', 'crm')],
  ['made without tags', without(/^aws:(RequestTag\/|TagKeys$)/)],
  ['made for no plan', without(FOR_PLAN)],
  ["a resource of no plan's", without(PLAN_OF)],
  ["another plan's, in the shell image's role", shellOf('aws:ResourceTag')],
  ["made for another plan, in the shell image's role", shellOf('aws:RequestTag')],
  ['made in another role', otherwise('aws:RequestTag/lifeboat:role', 'recovery')],
  ['a resource in another role', otherwise('aws:ResourceTag/lifeboat:role', 'recovery')],
  ['an instance that is no proxy', without(/^aws:ResourceTag\/lifeboat-proxy$/)],
  ["production's instance", otherwise('aws:ResourceTag/lifeboat:mode', 'production')],
  [
    'a plan put on what has none',
    (context, { action }) =>
      action === 'ec2:CreateTags' && context['ec2:CreateAction'] === undefined
        ? put(without(/^aws:/)(context, {} as Recorded) ?? context, 'aws:TagKeys', ['lifeboat:plan'])
        : undefined,
  ],
  [
    'another tag changed beside it',
    (context, { action }) =>
      action === 'ec2:CreateTags' && context['ec2:CreateAction'] === undefined
        ? put(context, 'aws:TagKeys', [...listOf(context['aws:TagKeys']), 'lifeboat:plan'])
        : undefined,
  ],
  ['tags on what is there already', without(/^ec2:CreateAction$/)],
  ['tags by a call that is none of these', otherwise('ec2:CreateAction', 'CreateVpc')],
  ['a lock for a hundred years', otherwise('ec2:SnapshotLockDuration', '36500')],
  ['a lock until a date', without(/^ec2:SnapshotLockDuration$/)],
  ['a role for another service', otherwise('iam:PassedToService', 'lambda.amazonaws.com')],
  ['a key for somebody who is no service', otherwise('kms:GrantIsForAWSResource', 'false')],
  ["another plan's name", otherwise(NAMES, ['mail.other.example'])],
  ["another plan's name beside its own", otherwise(NAMES, ['www.shop.example', 'mail.other.example'])],
  ['an object put over what is there', without(/^s3:if-none-match$/)],
  ["the zone's delegation", otherwise(TYPES, ['NS'])],
];

const listOf = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

/** All that can be made of a request. */
export function hostileTo(request: Recorded): Hostile[] {
  return CHANGES.flatMap(([what, change]) => {
    const context = change({ ...request.context }, request);
    return context === undefined ? [] : [{ what, request: { ...request, context } }];
  });
}
