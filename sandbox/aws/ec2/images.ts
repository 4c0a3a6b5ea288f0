import {
  type ArchitectureValues,
  type BlockDeviceMapping,
  type BootModeValues,
  type DeregisterImageRequest,
  type DescribeImagesRequest,
  type DescribeImagesResult,
  type Image,
  type PlatformValues,
  type RegisterImageRequest,
  type RegisterImageResult,
  type VolumeType,
} from '@aws-sdk/client-ec2';
import { type Account, ACCOUNT_ID, now } from '../account';
import { newId } from '../state/ids';
import { type Billing, type ImageDevice, type ImageRecord } from '../state/records';
import { AwsError } from '../wire/errors';
import { filterItems } from './filters';
import { checkDryRun, findImage, findSnapshot, select } from './lookup';
import { page } from './paging';
import { specifiedTags, tagList } from './tags';
import { checkBoots, volumeShape } from './volume-types';

function view(account: Account, image: ImageRecord): Image {
  return {
    ImageId: image.id,
    Name: image.name,
    Description: image.description,
    State: 'available',
    OwnerId: ownerOf(image),
    ImageOwnerAlias: image.vendor?.alias,
    Public: image.vendor !== undefined,
    Architecture: image.architecture as ArchitectureValues,
    ImageType: 'machine',
    ImageLocation: `${ownerOf(image)}/${image.name}`,
    ...billingView(image.billing),
    RootDeviceType: 'ebs',
    RootDeviceName: image.rootDeviceName,
    VirtualizationType: 'hvm',
    Hypervisor: 'xen', // what EC2 says for Nitro images, too
    EnaSupport: image.enaSupport,
    BootMode: image.bootMode as BootModeValues | undefined,
    CreationDate: image.createdAt,
    BlockDeviceMappings: image.blockDevices.map((device) => ({
      DeviceName: device.deviceName,
      Ebs: {
        SnapshotId: device.snapshotId,
        VolumeSize: device.sizeGiB ?? account.snapshots.get(device.snapshotId ?? '')?.sizeGiB,
        VolumeType: device.volumeType as VolumeType,
        Iops: device.iops,
        Throughput: device.throughput,
        DeleteOnTermination: device.deleteOnTermination,
        Encrypted: device.encrypted,
      },
    })),
    Tags: tagList(image.tags),
  };
}

const ownerOf = ({ vendor }: ImageRecord): string => vendor?.ownerId ?? ACCOUNT_ID;

/** "Understand AMI billing information" (Amazon EC2 User Guide). */
const LINUX: Billing = { platformDetails: 'Linux/UNIX', usageOperation: 'RunInstances' };

/** What an image, or an instance, says of what AWS bills for it. */
export function billingView({ platformDetails, usageOperation, productCodes = [] }: Billing = LINUX) {
  return {
    PlatformDetails: platformDetails,
    UsageOperation: usageOperation,
    // The older word, which only Windows has; what the API answers is not what the SDK's enumeration says.
    Platform: platformDetails.startsWith('Windows') ? ('windows' as PlatformValues) : undefined,
    ProductCodes: productCodes.map(({ id, type }) => ({ ProductCodeId: id, ProductCodeType: type })),
  };
}

/** Whether an image is one of an owner's of the request: an account, `self`, or what AWS calls a vendor. */
function isOf(image: ImageRecord, owner: string): boolean {
  if (owner === 'self') return image.vendor === undefined;
  return owner === ownerOf(image) || (image.vendor !== undefined && owner === image.vendor.alias);
}

/** A device of a block device mapping. @throws AwsError for a snapshot or size that cannot be */
export function readDevice(
  account: Account,
  mapping: BlockDeviceMapping,
  deleteByDefault: boolean,
): ImageDevice {
  const { DeviceName: deviceName, Ebs: ebs } = mapping;
  if (deviceName === undefined)
    throw new AwsError('MissingParameter', 'The request must contain the parameter DeviceName');
  if (ebs === undefined)
    throw new AwsError('InvalidBlockDeviceMapping', `The device '${deviceName}' is no EBS volume.`);
  const snapshot = ebs.SnapshotId === undefined ? undefined : findSnapshot(account, ebs.SnapshotId);
  if (snapshot !== undefined && snapshot.state !== 'completed')
    throw new AwsError('IncorrectState', `Snapshot is in invalid state - ${snapshot.state}`);
  const { volumeType, volumeInitializationRate } = volumeShape(
    {
      volumeType: ebs.VolumeType,
      sizeGiB: ebs.VolumeSize,
      iops: ebs.Iops,
      throughput: ebs.Throughput,
      volumeInitializationRate: ebs.VolumeInitializationRate,
    },
    snapshot?.sizeGiB,
  );
  return {
    deviceName,
    snapshotId: snapshot?.id,
    sizeGiB: ebs.VolumeSize,
    volumeType,
    iops: ebs.Iops,
    throughput: ebs.Throughput,
    volumeInitializationRate,
    deleteOnTermination: ebs.DeleteOnTermination ?? deleteByDefault,
    encrypted: ebs.Encrypted ?? snapshot?.encrypted ?? false,
  };
}

export function imageHandlers(account: Account) {
  return {
    RegisterImage(input: RegisterImageRequest): RegisterImageResult {
      const name = input.Name ?? '';
      if (!/^[\w()[\] ./\-'@]{3,128}$/.test(name))
        throw new AwsError(
          'InvalidAMIName.Malformed',
          "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, and ()[] ./-'@_",
        );
      if (account.images.all().some((image) => image.deletedAt === undefined && image.name === name))
        throw new AwsError('InvalidAMIName.Duplicate', `AMI name ${name} is already in use by another AMI.`);
      const architecture = input.Architecture ?? 'i386';
      if (architecture !== 'x86_64')
        throw new AwsError(
          'InvalidParameterValue',
          `The architecture '${architecture}' is not offered here; use x86_64.`,
        );
      if (input.VirtualizationType !== 'hvm')
        throw new AwsError('InvalidParameterValue', 'Only the virtualization type hvm is offered here.');
      const rootDeviceName = input.RootDeviceName ?? '/dev/sda1';
      const blockDevices = (input.BlockDeviceMappings ?? []).map((mapping) =>
        readDevice(account, mapping, true),
      );
      // "Initialize Amazon EBS volumes" lists where it can be said: for volumes, launches, launch templates and root replacements.
      if (blockDevices.some((device) => device.volumeInitializationRate !== undefined))
        throw new AwsError(
          'InvalidParameterCombination',
          'The parameter volumeInitializationRate is not supported for images.',
        );
      const root = blockDevices.find((device) => device.deviceName === rootDeviceName);
      if (root?.snapshotId === undefined)
        throw new AwsError(
          'InvalidBlockDeviceMapping',
          `The root device '${rootDeviceName}' must be made from a snapshot.`,
        );
      checkBoots(root.volumeType);
      const tags = specifiedTags(input.TagSpecifications, 'image', ['image', 'snapshot']);
      checkDryRun(input);
      const id = newId('ami');
      account.images.put({
        id,
        tags,
        createdAt: now(),
        name,
        description: input.Description ?? '',
        architecture,
        rootDeviceName,
        bootMode: input.BootMode,
        enaSupport: input.EnaSupport ?? false,
        blockDevices,
      });
      return { ImageId: id };
    },

    DeregisterImage(input: DeregisterImageRequest): { Return: boolean } {
      const image = findImage(account, input.ImageId);
      if (image.vendor !== undefined)
        throw new AwsError('AuthFailure', `Not authorized for image:${image.id}`, 403);
      if (input.DeleteAssociatedSnapshots)
        throw new AwsError(
          'UnsupportedOperation',
          'This sandbox does not delete snapshots with their image.',
        );
      checkDryRun(input);
      account.images.put({ ...image, deletedAt: now() });
      return { Return: true };
    },

    DescribeImages(input: DescribeImagesRequest): DescribeImagesResult {
      const { Owners: owners = [] } = input;
      // IncludeDeprecated has nothing to add here: no image is ever deprecated.
      const images = select(account.images, input.ImageIds, (id) => findImage(account, id)).filter(
        (image) => owners.length === 0 || owners.some((owner) => isOf(image, owner)),
      );
      const found = filterItems(
        images,
        input.Filters,
        {
          'image-id': ({ id }) => [id],
          name: ({ name }) => [name],
          description: ({ description }) => [description],
          architecture: ({ architecture }) => [architecture],
          state: () => ['available'],
          'boot-mode': ({ bootMode }) => [bootMode],
          'root-device-name': ({ rootDeviceName }) => [rootDeviceName],
          'root-device-type': () => ['ebs'],
          'virtualization-type': () => ['hvm'],
          'owner-id': (image) => [ownerOf(image)],
          'owner-alias': ({ vendor }) => [vendor?.alias],
          'is-public': ({ vendor }) => [vendor !== undefined],
          'product-code': ({ billing }) => billing?.productCodes?.map(({ id }) => id) ?? [],
          'block-device-mapping.snapshot-id': ({ blockDevices }) =>
            blockDevices.map((device) => device.snapshotId),
          'block-device-mapping.device-name': ({ blockDevices }) =>
            blockDevices.map((device) => device.deviceName),
        },
        ({ tags }) => tags,
      );
      const { items, NextToken } = page(found, input, 1);
      return { Images: items.map((image) => view(account, image)), NextToken };
    },
  };
}
