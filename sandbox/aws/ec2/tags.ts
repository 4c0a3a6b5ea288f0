import { type Tag, type TagSpecification } from '@aws-sdk/client-ec2';
import { type Account } from '../account';
import { type Tags } from '../state/records';
import { AwsError } from '../wire/errors';
import { filterItems } from './filters';
import { page } from './paging';

/** Limits of the EC2 User Guide, "Tag restrictions". */
const MOST_TAGS = 50;
const LONGEST_KEY = 128;
const LONGEST_VALUE = 256;

export const tagList = (tags: Tags): Tag[] => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

/** Tags of a request as a record. @throws AwsError for those that AWS would refuse */
export function readTags(list: { Key?: string; Value?: string }[] | undefined, present: Tags = {}): Tags {
  const tags: Tags = { ...present };
  const seen = new Set<string>();
  for (const { Key = '', Value = '' } of list ?? []) {
    if (Key === '' || Key.length > LONGEST_KEY || /^aws:/i.test(Key))
      throw new AwsError(
        'InvalidParameterValue',
        `Value ( ${Key} ) for parameter key is invalid. Tag keys must have 1 to 128 characters and not begin with aws:.`,
      );
    if (Value.length > LONGEST_VALUE)
      throw new AwsError(
        'InvalidParameterValue',
        `Value for tag ${Key} exceeds the maximum length of 256 characters.`,
      );
    if (seen.has(Key)) throw new AwsError('InvalidParameterValue', `Duplicate tag key '${Key}' specified.`);
    seen.add(Key);
    tags[Key] = Value;
  }
  if (Object.keys(tags).length > MOST_TAGS)
    throw new AwsError('TagLimitExceeded', 'The maximum number of Tags for a resource has been reached.');
  return tags;
}

/** The tags that a request's TagSpecifications have for one kind of resource. */
export function specifiedTags(
  specifications: TagSpecification[] | undefined,
  resourceType: string,
  allowed: readonly string[] = [resourceType],
): Tags {
  let tags: Tags = {};
  for (const specification of specifications ?? []) {
    const type = specification.ResourceType;
    if (type === undefined || !allowed.includes(type))
      throw new AwsError(
        'InvalidParameterValue',
        `'${type}' is not a valid taggable resource type for this operation.`,
      );
    if (type === resourceType) tags = readTags(specification.Tags, tags);
  }
  return tags;
}

interface TaggedResource {
  id: string;
  createdAt: string;
  type: string;
  tags: Tags;
  set: (tags: Tags) => void;
}

/** Everything that has tags. */
function taggedResources(account: Account): TaggedResource[] {
  const { volumes, snapshots, images, instances, rootReplacements } = account;
  const live = (item: { deletedAt?: string }): boolean => item.deletedAt === undefined;
  const kind = (type: string, id: string, createdAt: string, tags: Tags, set: (tags: Tags) => void) => ({
    type,
    id,
    createdAt,
    tags,
    set,
  });
  return [
    ...volumes
      .all()
      .filter(live)
      .map((v) => kind('volume', v.id, v.createdAt, v.tags, (tags) => void volumes.update(v.id, { tags }))),
    ...snapshots
      .all()
      .filter(live)
      .map((s) =>
        kind('snapshot', s.id, s.createdAt, s.tags, (tags) => void snapshots.update(s.id, { tags })),
      ),
    ...images
      .all()
      .filter(live)
      .map((i) => kind('image', i.id, i.createdAt, i.tags, (tags) => void images.update(i.id, { tags }))),
    ...instances
      .all()
      .filter(live)
      .map((i) =>
        kind('instance', i.id, i.createdAt, i.tags, (tags) => void instances.update(i.id, { tags })),
      ),
    ...rootReplacements
      .all()
      .map((r) =>
        kind(
          'replace-root-volume-task',
          r.id,
          r.createdAt,
          r.tags,
          (tags) => void rootReplacements.update(r.id, { tags }),
        ),
      ),
    ...account.fixtureTags
      .all()
      .map((f) =>
        kind(fixtureType(f.id), f.id, '', f.tags, (tags) => void account.fixtureTags.update(f.id, { tags })),
      ),
  ];
}

const fixtureType = (id: string): string =>
  ({ vpc: 'vpc', subnet: 'subnet', sg: 'security-group', eni: 'network-interface' })[
    id.split('-')[0] ?? ''
  ] ?? 'unknown';

function find(account: Account, ids: string[] | undefined): TaggedResource[] {
  const all = new Map(taggedResources(account).map((resource) => [resource.id, resource]));
  return (ids ?? []).map((id) => {
    const resource = all.get(id);
    if (resource === undefined) throw notFound(id);
    return resource;
  });
}

const NOT_FOUND: Record<string, [code: string, what: string]> = {
  i: ['InvalidInstanceID.NotFound', 'instance ID'],
  vol: ['InvalidVolume.NotFound', 'volume'],
  snap: ['InvalidSnapshot.NotFound', 'snapshot'],
  ami: ['InvalidAMIID.NotFound', 'image id'],
};

function notFound(id: string): AwsError {
  const [code, what] = NOT_FOUND[id.slice(0, id.lastIndexOf('-'))] ?? ['InvalidID', 'ID'];
  return new AwsError(code, `The ${what} '${id}' does not exist`);
}

export function tagHandlers(account: Account) {
  return {
    CreateTags(input: { Resources?: string[]; Tags?: Tag[] }) {
      const resources = find(account, input.Resources);
      const changed = resources.map((resource) => ({ resource, tags: readTags(input.Tags, resource.tags) }));
      for (const { resource, tags } of changed) resource.set(tags);
    },
    DeleteTags(input: { Resources?: string[]; Tags?: Tag[] }) {
      for (const resource of find(account, input.Resources)) {
        const gone = input.Tags;
        const kept = Object.entries(resource.tags).filter(
          ([key, value]) =>
            gone !== undefined &&
            !gone.some((tag) => tag.Key === key && (tag.Value === undefined || tag.Value === value)),
        );
        resource.set(Object.fromEntries(kept));
      }
    },
    DescribeTags(input: {
      Filters?: { Name?: string; Values?: string[] }[];
      MaxResults?: number;
      NextToken?: string;
    }) {
      const rows = taggedResources(account).flatMap((resource) =>
        Object.entries(resource.tags).map(([key, value]) => ({
          id: `${resource.id}/${key}`,
          createdAt: resource.createdAt || new Date(0).toISOString(),
          resource,
          key,
          value,
        })),
      );
      const found = filterItems(
        rows,
        input.Filters,
        {
          key: ({ key }) => [key],
          value: ({ value }) => [value],
          'resource-id': ({ resource }) => [resource.id],
          'resource-type': ({ resource }) => [resource.type],
        },
        ({ key, value }) => ({ [key]: value }),
      );
      const { items, NextToken } = page(found, input);
      return {
        Tags: items.map(({ resource, key, value }) => ({
          Key: key,
          Value: value,
          ResourceId: resource.id,
          ResourceType: resource.type,
        })),
        NextToken,
      };
    },
  };
}
