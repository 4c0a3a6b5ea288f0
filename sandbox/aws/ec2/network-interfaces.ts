import {
  type DescribeNetworkInterfacesRequest,
  type DescribeNetworkInterfacesResult,
  type NetworkInterface,
} from '@aws-sdk/client-ec2';
import { type Account } from '../account';
import { type InstanceRecord } from '../state/records';
import { AwsError } from '../wire/errors';
import { filterItems } from './filters';
import { instanceView, interfaceId, placeOf } from './instances/instance-view';
import { page } from './paging';

/** Network interfaces: exactly one an instance, until that is terminated. */
export function networkInterfaceHandlers(account: Account) {
  function view(instance: InstanceRecord): NetworkInterface {
    const [card] = instanceView(account, instance).NetworkInterfaces ?? [];
    return {
      ...card,
      AvailabilityZone: placeOf(account, instance).availabilityZone,
      Attachment: { ...card?.Attachment, InstanceId: instance.id },
      TagSet: [],
    } as NetworkInterface;
  }

  return {
    DescribeNetworkInterfaces(input: DescribeNetworkInterfacesRequest): DescribeNetworkInterfacesResult {
      const instances = account.instances
        .all()
        .filter(({ state, deletedAt }) => deletedAt === undefined && state !== 'terminated');
      const wanted = input.NetworkInterfaceIds?.map((id) => {
        const owner = instances.find((instance) => interfaceId(instance.id) === id);
        if (owner === undefined)
          throw new AwsError(
            'InvalidNetworkInterfaceID.NotFound',
            `The networkInterface ID '${id}' does not exist`,
          );
        return owner;
      });
      const found = filterItems(
        wanted?.length ? wanted : instances,
        input.Filters,
        {
          'network-interface-id': ({ id }) => [interfaceId(id)],
          'attachment.instance-id': ({ id }) => [id],
          'subnet-id': ({ subnetId }) => [subnetId],
          'vpc-id': (instance) => [placeOf(account, instance).vpc],
          'group-id': ({ securityGroups }) => securityGroups,
          'private-ip-address': ({ privateAddress }) => [privateAddress],
          'association.public-ip': ({ publicAddress }) => [publicAddress],
          'addresses.private-ip-address': ({ privateAddress, secondaryAddresses = [] }) => [
            privateAddress,
            ...secondaryAddresses,
          ],
          status: () => ['in-use'],
        },
        () => ({}),
      );
      const { items, NextToken } = page(found, input);
      return { NetworkInterfaces: items.map(view), NextToken };
    },
  };
}
