import { type TagSpecification } from '@aws-sdk/client-ec2';
import { type Account, ACCOUNT_ID } from '../../account';
import { interfaceId } from '../../ec2/instances/instance-view';
import { type Asked } from './mapping';
import { requestTagKeys, resourceTagKeys, specifiedFor } from './tag-keys';

/** Kinds of EC2's resources, as their ARNs have them. */
export type Ec2Kind =
  | 'image'
  | 'instance'
  | 'network-interface'
  | 'replace-root-volume-task'
  | 'security-group'
  | 'snapshot'
  | 'subnet'
  | 'volume'
  | 'vpc';

/** Kinds that belong to no account in their ARNs. */
const WITHOUT_ACCOUNT: ReadonlySet<Ec2Kind> = new Set(['image', 'snapshot']);

const KINDS: Record<string, Ec2Kind> = {
  ami: 'image',
  i: 'instance',
  eni: 'network-interface',
  replacevol: 'replace-root-volume-task',
  sg: 'security-group',
  snap: 'snapshot',
  subnet: 'subnet',
  vol: 'volume',
  vpc: 'vpc',
};

/** The kind that an id is of; a kind of its own, which no policy allows, where it is of none. */
const kindOf = (id: string): Ec2Kind => KINDS[id.slice(0, id.indexOf('-'))] ?? ('unknown' as Ec2Kind);

/** @param id `*` of what is to be made */
export const ec2Arn = ({ config }: Account, kind: Ec2Kind, id: string): string =>
  `arn:aws:ec2:${config.region}:${WITHOUT_ACCOUNT.has(kind) ? '' : ACCOUNT_ID}:${kind}/${id}`;

/** An action on a resource that is there, or is not. */
export function onExisting(account: Account, action: string, id = ''): Asked {
  const kind = kindOf(id);
  const context = existing(account, kind, id);
  const asked = { action, resource: ec2Arn(account, kind, id) };
  return context === undefined
    ? { ...asked, context: ofRegion(account), absent: true }
    : { ...asked, context: { ...ofRegion(account), ...context } };
}

/** An action on a resource that the request makes, and the tags that it gives to it. */
export function onNew(
  account: Account,
  action: string,
  kind: Ec2Kind,
  specifications: TagSpecification[] | undefined,
  context: Asked['context'] = {},
): Asked {
  return {
    action,
    resource: ec2Arn(account, kind, '*'),
    context: {
      ...ofRegion(account),
      ...requestTagKeys(specifiedFor(specifications, kind)),
      ...context,
    },
  };
}

/** Tags that a request gives to what it makes have to be allowed for themselves ("Grant permission to tag resources during creation"). */
export function taggingNew(
  account: Account,
  operation: string,
  specifications: TagSpecification[] | undefined,
): Asked[] {
  const kinds = new Set(
    (specifications ?? []).filter(({ Tags }) => (Tags ?? []).length > 0).map((one) => one.ResourceType),
  );
  return [...kinds].map((kind) =>
    onNew(account, 'ec2:CreateTags', kind as Ec2Kind, specifications, { 'ec2:CreateAction': operation }),
  );
}

export const ofRegion = ({ config }: Account): Asked['context'] => ({ 'ec2:Region': config.region });

const OWNED = { 'ec2:Owner': ACCOUNT_ID };

function existing(account: Account, kind: Ec2Kind, id: string): Asked['context'] | undefined {
  const { fixtures } = account.config;
  const fixtureTags = (): Asked['context'] => resourceTagKeys(account.fixtureTags.get(id)?.tags ?? {});
  switch (kind) {
    case 'image': {
      const image = live(account.images.get(id));
      return (
        image && {
          ...(image.vendor === undefined ? { ...resourceTagKeys(image.tags), ...OWNED } : {}),
          ...(image.vendor === undefined ? {} : { 'ec2:Owner': image.vendor.ownerId }),
          'ec2:ImageID': id,
          'ec2:ImageType': 'machine',
          'ec2:Public': String(image.vendor !== undefined),
          'ec2:RootDeviceType': 'ebs',
        }
      );
    }
    case 'instance': {
      const instance = live(account.instances.get(id));
      return (
        instance && {
          ...resourceTagKeys(instance.tags),
          'ec2:InstanceID': id,
          'ec2:InstanceType': instance.instanceType,
          ...(instance.instanceProfile === undefined
            ? {}
            : { 'ec2:InstanceProfile': instance.instanceProfile }),
        }
      );
    }
    case 'network-interface':
      // They have no tags here, as DescribeNetworkInterfaces tells.
      return account.instances.all().some((instance) => interfaceId(instance.id) === id)
        ? { 'ec2:NetworkInterfaceID': id }
        : undefined;
    case 'replace-root-volume-task': {
      const task = account.rootReplacements.get(id);
      return task && resourceTagKeys(task.tags);
    }
    case 'security-group': {
      const group = fixtures.securityGroups.find((one) => one.id === id);
      return (
        group && { ...fixtureTags(), 'ec2:SecurityGroupID': id, 'ec2:Vpc': ec2Arn(account, 'vpc', group.vpc) }
      );
    }
    case 'snapshot': {
      const snapshot = live(account.snapshots.get(id));
      return (
        snapshot && {
          ...resourceTagKeys(snapshot.tags),
          ...OWNED,
          'ec2:VolumeSize': String(snapshot.sizeGiB),
        }
      );
    }
    case 'subnet': {
      const subnet = fixtures.subnets.find((one) => one.id === id);
      return (
        subnet && {
          ...fixtureTags(),
          'ec2:SubnetID': id,
          'ec2:Vpc': ec2Arn(account, 'vpc', subnet.vpc),
          'ec2:AvailabilityZone': subnet.availabilityZone,
        }
      );
    }
    case 'volume': {
      const volume = live(account.volumes.get(id));
      return (
        volume && {
          ...resourceTagKeys(volume.tags),
          'ec2:VolumeID': id,
          'ec2:VolumeSize': String(volume.sizeGiB),
          'ec2:VolumeType': volume.volumeType,
          'ec2:Encrypted': String(volume.encrypted),
        }
      );
    }
    case 'vpc':
      return fixtures.vpcs.some((vpc) => vpc.id === id) ? { ...fixtureTags(), 'ec2:VpcID': id } : undefined;
    default:
      return undefined;
  }
}

const live = <T extends { deletedAt?: string }>(item: T | undefined): T | undefined =>
  item?.deletedAt === undefined ? item : undefined;
