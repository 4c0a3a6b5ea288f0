import {
  type _InstanceType,
  type ArchitectureValues,
  type BootModeValues,
  type Instance,
  type InstanceBlockDeviceMapping,
  type InstanceStateName,
  type InstanceState as WireState,
} from '@aws-sdk/client-ec2';
import { type Account, ACCOUNT_ID } from '../../account';
import { derivedId, derivedMac } from '../../state/ids';
import { type InstanceRecord, type InstanceState } from '../../state/records';
import { ipv6AddressOf } from '../addresses';
import { billingView } from '../images';
import { attachedVolumes } from './instance-states';
import { findInstanceType } from './instance-types';
import { instanceProfileView } from './instance-profiles';
import { metadataOptionsView } from './metadata-options';
import { tagList } from '../tags';

/** EC2 API Reference, InstanceState. */
const STATE_CODES: Record<InstanceState, number> = {
  pending: 0,
  running: 16,
  'shutting-down': 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
};

export function stateView(state: InstanceState): WireState {
  return { Code: STATE_CODES[state], Name: state as InstanceStateName };
}

/** What an instance's network interface is called: it has exactly one. */
export const interfaceId = (instanceId: string): string => derivedId('eni', instanceId);

export const privateDnsName = (account: Account, address: string): string =>
  `ip-${address.replaceAll('.', '-')}.${account.config.region}.compute.internal`;

/** There is no such name in any zone; the address itself serves as one. */
export const publicDnsName = (address: string | undefined): string => address ?? '';

export function placeOf(account: Account, instance: InstanceRecord) {
  const subnet = account.config.fixtures.subnets.find(({ id }) => id === instance.subnetId);
  return {
    availabilityZone: subnet?.availabilityZone ?? '',
    vpc: subnet?.vpc ?? '',
    ipv6Cidr: subnet?.ipv6Cidr,
  };
}

export function groupViews(account: Account, instance: InstanceRecord) {
  return instance.securityGroups.map((id) => ({
    GroupId: id,
    GroupName: account.config.fixtures.securityGroups.find((group) => group.id === id)?.name,
  }));
}

export function blockDeviceViews(account: Account, instance: InstanceRecord): InstanceBlockDeviceMapping[] {
  return attachedVolumes(account, instance.id).map(({ id, attachment }) => ({
    DeviceName: attachment?.device,
    Ebs: {
      VolumeId: id,
      Status: attachment?.state,
      AttachTime: new Date(attachment?.attachedAt ?? 0),
      DeleteOnTermination: attachment?.deleteOnTermination,
    },
  }));
}

/** An instance as DescribeInstances and RunInstances show it. */
export function instanceView(account: Account, instance: InstanceRecord): Instance {
  const { availabilityZone, vpc, ipv6Cidr } = placeOf(account, instance);
  const ipv6 = ipv6AddressOf({ ipv6Cidr }, instance.privateAddress);
  const gone = instance.state === 'terminated';
  const groups = groupViews(account, instance);
  const type = findInstanceType(instance.instanceType);
  const association =
    instance.publicAddress === undefined
      ? undefined
      : {
          PublicIp: instance.publicAddress,
          PublicDnsName: publicDnsName(instance.publicAddress),
          IpOwnerId: 'amazon',
        };
  return {
    InstanceId: instance.id,
    ImageId: instance.imageId,
    ...billingView(instance.billing),
    State: stateView(instance.state),
    StateReason: instance.stateReason && {
      Code: instance.stateReason.code,
      Message: instance.stateReason.message,
    },
    StateTransitionReason: instance.stateTransitionReason,
    InstanceType: instance.instanceType as _InstanceType,
    LaunchTime: new Date(instance.launchedAt),
    Placement: { AvailabilityZone: availabilityZone, GroupName: '', Tenancy: 'default' },
    Monitoring: { State: 'disabled' },
    SubnetId: gone ? undefined : instance.subnetId,
    VpcId: gone ? undefined : vpc,
    PrivateIpAddress: gone ? undefined : instance.privateAddress,
    PrivateDnsName: gone ? '' : privateDnsName(account, instance.privateAddress),
    PublicIpAddress: instance.publicAddress,
    Ipv6Address: gone ? undefined : ipv6,
    PublicDnsName: publicDnsName(instance.publicAddress),
    AmiLaunchIndex: instance.launchIndex,
    KeyName: instance.keyName,
    IamInstanceProfile: instanceProfileView(instance.instanceProfile),
    Architecture: instance.architecture as ArchitectureValues,
    BootMode: instance.bootMode as BootModeValues | undefined,
    CurrentInstanceBootMode: instance.bootMode?.startsWith('uefi') ? 'uefi' : 'legacy-bios',
    RootDeviceName: instance.rootDeviceName,
    RootDeviceType: 'ebs',
    VirtualizationType: 'hvm',
    Hypervisor: 'xen', // what EC2 says for Nitro instances, too
    EnaSupport: true,
    EbsOptimized: false,
    SourceDestCheck: gone ? undefined : instance.sourceDestCheck,
    ClientToken: instance.tokenMark?.token ?? '',
    CpuOptions: { CoreCount: type.vcpus / 2, ThreadsPerCore: 2 },
    MetadataOptions: metadataOptionsView(instance),
    SecurityGroups: gone ? [] : groups,
    BlockDeviceMappings: blockDeviceViews(account, instance),
    NetworkInterfaces: gone
      ? []
      : [
          {
            NetworkInterfaceId: interfaceId(instance.id),
            InterfaceType: 'interface',
            Status: 'in-use',
            SubnetId: instance.subnetId,
            VpcId: vpc,
            OwnerId: ACCOUNT_ID,
            MacAddress: derivedMac(instance.id),
            PrivateIpAddress: instance.privateAddress,
            PrivateDnsName: privateDnsName(account, instance.privateAddress),
            SourceDestCheck: instance.sourceDestCheck,
            Groups: groups,
            Association: association,
            Attachment: {
              AttachmentId: derivedId('eni-attach', instance.id),
              AttachTime: new Date(instance.createdAt),
              DeleteOnTermination: true,
              DeviceIndex: 0,
              Status: 'attached',
            },
            Ipv6Addresses: ipv6 === undefined ? [] : [{ Ipv6Address: ipv6, IsPrimaryIpv6: false }],
            PrivateIpAddresses: [
              { Primary: true, PrivateIpAddress: instance.privateAddress, Association: association },
              ...(instance.secondaryAddresses ?? []).map((address) => ({
                Primary: false,
                PrivateIpAddress: address,
                PrivateDnsName: privateDnsName(account, address),
              })),
            ],
          },
        ],
    Tags: tagList(instance.tags),
  };
}
