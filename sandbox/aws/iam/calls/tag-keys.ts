import { type TagSpecification } from '@aws-sdk/client-ec2';
import { type Asked } from './mapping';

type TagList = readonly { Key?: string; Value?: string }[];

/** Condition keys for tags in a request: `aws:RequestTag/KEY`, and `aws:TagKeys` where there are any. */
export function requestTagKeys(tags: TagList | undefined): Asked['context'] {
  if (tags === undefined || tags.length === 0) return {};
  return {
    ...Object.fromEntries(tags.map(({ Key = '', Value = '' }) => [`aws:RequestTag/${Key}`, Value])),
    'aws:TagKeys': tags.map(({ Key = '' }) => Key),
  };
}

/** Condition keys for the tags that a resource has; EC2 knows them by two names. */
export function resourceTagKeys(
  tags: Readonly<Record<string, string>>,
  prefixes: readonly string[] = ['aws:ResourceTag', 'ec2:ResourceTag'],
): Asked['context'] {
  return Object.fromEntries(
    Object.entries(tags).flatMap(([key, value]) => prefixes.map((prefix) => [`${prefix}/${key}`, value])),
  );
}

/** The tags that a request gives to what it makes of one kind. */
export const specifiedFor = (specifications: TagSpecification[] | undefined, type: string): TagList =>
  (specifications ?? []).flatMap(({ ResourceType, Tags }) => (ResourceType === type ? (Tags ?? []) : []));
