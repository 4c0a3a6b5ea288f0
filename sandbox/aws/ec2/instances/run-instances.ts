import {
  type BlockDeviceMapping,
  type InstanceNetworkInterfaceSpecification,
  type Reservation,
  type RunInstancesRequest,
} from '@aws-sdk/client-ec2';
import { type Account, ACCOUNT_ID, now } from '../../account';
import { type SubnetFixture } from '../../config';
import { newId } from '../../state/ids';
import { type ImageDevice, type ImageRecord, type InstanceRecord } from '../../state/records';
import { madeBefore, tokenMark } from '../../state/tokens';
import { AwsError } from '../../wire/errors';
import { chooseAddresses, choosePublicAddress, type WantedAddresses, wantedAddresses } from '../addresses';
import { encryptionOf } from '../encryption';
import { readDevice } from '../images';
import { continueInstance } from './instance-states';
import { findInstanceType } from './instance-types';
import { findInstanceProfile } from './instance-profiles';
import { instanceView } from './instance-view';
import { checkDryRun, findImage, findSubnet } from '../lookup';
import { readMetadataOptions } from './metadata-options';
import { specifiedTags } from '../tags';
import { checkUserData } from './user-data';
import { continueAttachment, createVolumeFile } from '../volume-states';
import { checkBoots, volumeShape } from '../volume-types';

/** What RunInstances takes when the request names no type. */
const DEFAULT_TYPE = 'm5.large';
/** Instances of one request; EC2's own limit is a quota. */
const MOST_INSTANCES = 20;

/** What RunInstances heeds here. Anything else is refused: an instance without it would be another one. */
const HEEDED = new Set([
  'BlockDeviceMappings',
  'ClientToken',
  'DisableApiTermination',
  'DryRun',
  'IamInstanceProfile',
  'ImageId',
  'InstanceInitiatedShutdownBehavior',
  'InstanceType',
  'KeyName',
  'MaxCount',
  'MetadataOptions',
  'MinCount',
  'NetworkInterfaces',
  'Placement',
  'PrivateIpAddress',
  'SecurityGroupIds',
  'SubnetId',
  'TagSpecifications',
  'UserData',
  // Nothing to heed: every volume is a local file.
  'EbsOptimized',
  'Monitoring',
]);

export function runInstances(account: Account, input: RunInstancesRequest): Reservation {
  const mark = tokenMark('RunInstances', input.ClientToken, input);
  const before = madeBefore(account.instances, mark);
  if (before.length > 0) return reservation(account, before);

  for (const name of Object.keys(input))
    if (!HEEDED.has(name))
      throw new AwsError('UnsupportedOperation', `This sandbox does not heed ${name} of RunInstances.`);
  const image = findImage(account, input.ImageId);
  const type = findInstanceType(input.InstanceType ?? DEFAULT_TYPE);
  const count = readCount(input);
  const network = readNetwork(account, input, count, type.addressesPerCard);
  const instanceProfile = findInstanceProfile(account, input.IamInstanceProfile);
  const zone = input.Placement?.AvailabilityZone;
  if (zone !== undefined && zone !== network.subnet.availabilityZone)
    throw new AwsError(
      'InvalidParameterValue',
      `Invalid availability zone: [${zone}] does not match the subnet's.`,
    );
  const devices = mergeDevices(account, image, input.BlockDeviceMappings ?? []);
  for (const { deviceName, volumeType } of devices)
    if (deviceName === image.rootDeviceName) checkBoots(volumeType);
  const types = ['instance', 'volume', 'network-interface'];
  const tags = specifiedTags(input.TagSpecifications, 'instance', types);
  const volumeTags = specifiedTags(input.TagSpecifications, 'volume', types);
  const metadataOptions = readMetadataOptions(input.MetadataOptions);
  const userData = checkUserData(input.UserData);
  checkDryRun(input);

  const createdAt = now();
  const reservationId = newId('r');
  const made = Array.from({ length: count }, (_, launchIndex) => {
    const id = newId('i');
    // Volumes first: those of an instance that was never recorded are removed at the next start of the endpoint.
    const volumes = devices.map((device) =>
      createVolume(account, device, { id, network, createdAt, tags: volumeTags }),
    );
    const instance = account.instances.put({
      id,
      tags,
      createdAt,
      tokenMark: mark,
      reservationId,
      launchIndex,
      state: 'pending',
      stateTransitionReason: '',
      imageId: image.id,
      billing: image.billing,
      instanceType: type.name,
      subnetId: network.subnet.id,
      securityGroups: network.securityGroups,
      ...chooseAddresses(account, network.subnet, network.addresses),
      wantsPublicAddress: network.wantsPublicAddress,
      publicAddress: network.wantsPublicAddress ? choosePublicAddress(account) : undefined,
      launchedAt: createdAt,
      rootDeviceName: image.rootDeviceName,
      bootMode: image.bootMode,
      architecture: image.architecture,
      keyName: input.KeyName,
      instanceProfile,
      userData,
      metadataOptions,
      sourceDestCheck: true,
      disableApiTermination: input.DisableApiTermination ?? false,
      shutdownBehavior: input.InstanceInitiatedShutdownBehavior ?? 'stop',
    });
    for (const volume of volumes) {
      createVolumeFile(account, volume);
      continueAttachment(account, volume);
    }
    continueInstance(account, id);
    return instance;
  });
  return reservation(account, made);
}

export function reservation(account: Account, instances: InstanceRecord[]): Reservation {
  return {
    ReservationId: instances[0]?.reservationId,
    OwnerId: ACCOUNT_ID,
    Groups: [],
    Instances: instances.map((instance) => instanceView(account, instance)),
  };
}

function readCount(input: RunInstancesRequest): number {
  const least = input.MinCount ?? 1;
  const most = input.MaxCount ?? least;
  if (!(least >= 1 && most >= least && most <= MOST_INSTANCES))
    throw new AwsError(
      'InvalidParameterValue',
      `MinCount ${least} and MaxCount ${most} must be 1 to ${MOST_INSTANCES} and in order.`,
    );
  return most;
}

interface NetworkChoice {
  subnet: SubnetFixture;
  securityGroups: string[];
  wantsPublicAddress: boolean;
  addresses: WantedAddresses;
}

/** The network of the instances: given on the request, or on its one network interface. */
function readNetwork(
  account: Account,
  input: RunInstancesRequest,
  instances: number,
  mostAddresses: number,
): NetworkChoice {
  const [card, ...more] = input.NetworkInterfaces ?? [];
  if (more.length > 0)
    throw new AwsError('UnsupportedOperation', 'This sandbox gives an instance one network interface.');
  if (card !== undefined) checkCard(card, input);
  const subnetId = card?.SubnetId ?? input.SubnetId;
  if (subnetId === undefined)
    throw new AwsError(
      'VPCIdNotSpecified',
      'No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.',
    );
  const subnet = findSubnet(account, subnetId);
  const securityGroups = card?.Groups ?? input.SecurityGroupIds ?? [];
  for (const id of securityGroups) {
    const group = account.config.fixtures.securityGroups.find((candidate) => candidate.id === id);
    if (group === undefined)
      throw new AwsError('InvalidGroup.NotFound', `The security group '${id}' does not exist`);
    if (group.vpc !== subnet.vpc)
      throw new AwsError(
        'InvalidParameter',
        `Security group ${id} and subnet ${subnet.id} belong to different networks.`,
      );
  }
  return {
    subnet,
    securityGroups,
    wantsPublicAddress: card?.AssociatePublicIpAddress ?? subnet.mapPublicIpOnLaunch ?? false,
    addresses: wantedAddresses(
      card ?? { PrivateIpAddress: input.PrivateIpAddress },
      instances,
      mostAddresses,
    ),
  };
}

function checkCard(card: InstanceNetworkInterfaceSpecification, input: RunInstancesRequest): void {
  if (input.SubnetId !== undefined || input.SecurityGroupIds?.length || input.PrivateIpAddress !== undefined)
    throw new AwsError(
      'InvalidParameterCombination',
      'Network interfaces and an instance-level subnet ID, security groups or private address may not be specified on the same request',
    );
  if (card.NetworkInterfaceId !== undefined)
    throw new AwsError(
      'UnsupportedOperation',
      'This sandbox does not launch with existing network interfaces.',
    );
  if ((card.DeviceIndex ?? 0) !== 0)
    throw new AwsError(
      'InvalidParameterCombination',
      'The first network interface must have device index 0.',
    );
}

/** The image's devices, with those of the request over them. */
function mergeDevices(account: Account, image: ImageRecord, mappings: BlockDeviceMapping[]): ImageDevice[] {
  const devices = new Map(image.blockDevices.map((device) => [device.deviceName, device]));
  for (const mapping of mappings) {
    const name = mapping.DeviceName ?? '';
    const base = devices.get(name);
    if (mapping.NoDevice !== undefined) devices.delete(name);
    else if (base === undefined) devices.set(name, readDevice(account, mapping, true));
    else {
      const inherited = {
        SnapshotId: base.snapshotId,
        VolumeSize: base.sizeGiB,
        VolumeType: base.volumeType as never,
        Iops: base.iops,
        Throughput: base.throughput,
        DeleteOnTermination: base.deleteOnTermination,
      };
      devices.set(
        name,
        readDevice(account, { DeviceName: name, Ebs: { ...inherited, ...mapping.Ebs } }, true),
      );
    }
  }
  return [...devices.values()];
}

function createVolume(
  account: Account,
  device: ImageDevice,
  of: { id: string; network: NetworkChoice; createdAt: string; tags: Record<string, string> },
): string {
  const id = newId('vol');
  const snapshot = account.snapshots.get(device.snapshotId ?? '');
  const { volumeType, iops, throughput, volumeInitializationRate } = device;
  const request = { volumeType, sizeGiB: device.sizeGiB, iops, throughput, volumeInitializationRate };
  account.volumes.put({
    id,
    tags: of.tags,
    createdAt: of.createdAt,
    state: 'creating',
    ...volumeShape(request, snapshot?.sizeGiB),
    availabilityZone: of.network.subnet.availabilityZone,
    snapshotId: snapshot?.id,
    ...encryptionOf(account, { encrypted: device.encrypted, kmsKeyId: snapshot?.kmsKeyId }),
    baseMap: snapshot?.map,
    lineage: snapshot?.lineage ?? id,
    madeFor: of.id,
    attachment: {
      instanceId: of.id,
      device: device.deviceName,
      state: 'attaching',
      deleteOnTermination: device.deleteOnTermination,
      attachedAt: of.createdAt,
    },
  });
  return id;
}
