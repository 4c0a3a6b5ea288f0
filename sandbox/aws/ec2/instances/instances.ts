import {
  type DescribeInstancesRequest,
  type DescribeInstancesResult,
  type InstanceStateChange,
  type RunInstancesRequest,
  type StartInstancesRequest,
  type StartInstancesResult,
  type StopInstancesRequest,
  type StopInstancesResult,
  type TerminateInstancesRequest,
  type TerminateInstancesResult,
} from '@aws-sdk/client-ec2';
import { type Account, now } from '../../account';
import { type InstanceRecord, type InstanceState } from '../../state/records';
import { AwsError } from '../../wire/errors';
import { choosePublicAddress } from '../addresses';
import { type FilterFields, filterItems } from '../filters';
import { attachedVolumes, continueInstance } from './instance-states';
import { interfaceId, placeOf, stateView } from './instance-view';
import { checkDryRun, findInstance, select } from '../lookup';
import { page } from '../paging';
import { reservation, runInstances } from './run-instances';

export function instanceFilters(account: Account): FilterFields<InstanceRecord> {
  return {
    'instance-id': ({ id }) => [id],
    'instance-state-name': ({ state }) => [state],
    'instance-state-code': ({ state }) => [stateView(state).Code],
    'instance-type': ({ instanceType }) => [instanceType],
    'image-id': ({ imageId }) => [imageId],
    'subnet-id': ({ subnetId }) => [subnetId],
    'vpc-id': (instance) => [placeOf(account, instance).vpc],
    'availability-zone': (instance) => [placeOf(account, instance).availabilityZone],
    'private-ip-address': ({ privateAddress }) => [privateAddress],
    'ip-address': ({ publicAddress }) => [publicAddress],
    'client-token': ({ tokenMark }) => [tokenMark?.token],
    'reservation-id': ({ reservationId }) => [reservationId],
    'root-device-name': ({ rootDeviceName }) => [rootDeviceName],
    'launch-time': ({ launchedAt }) => [launchedAt],
    architecture: ({ architecture }) => [architecture],
    'instance.group-id': ({ securityGroups }) => securityGroups,
    'network-interface.network-interface-id': ({ id }) => [interfaceId(id)],
    'block-device-mapping.volume-id': ({ id }) => attachedVolumes(account, id).map((volume) => volume.id),
    'block-device-mapping.device-name': ({ id }) =>
      attachedVolumes(account, id).map((v) => v.attachment?.device),
  };
}

/** Why an instance stops, or goes: somebody asked for it. */
const userInitiated = (): Pick<InstanceRecord, 'stateReason' | 'stateTransitionReason'> => ({
  stateReason: {
    code: 'Client.UserInitiatedShutdown',
    message: 'Client.UserInitiatedShutdown: User initiated shutdown',
  },
  stateTransitionReason: `User initiated (${now()})`,
});

export function instanceHandlers(account: Account) {
  const find = (id: string): InstanceRecord => findInstance(account, id);
  const several = (ids: string[] | undefined): InstanceRecord[] => {
    if (ids === undefined || ids.length === 0)
      throw new AwsError('MissingParameter', 'The request must contain the parameter InstanceId');
    return select(account.instances, ids, find);
  };

  /** Checks all instances before it changes any, as EC2 does. */
  function change(
    ids: string[] | undefined,
    input: { DryRun?: boolean },
    check: (instance: InstanceRecord) => void,
    apply: (instance: InstanceRecord) => InstanceState,
  ): InstanceStateChange[] {
    const instances = several(ids);
    instances.forEach(check);
    checkDryRun(input);
    return instances.map((instance) => {
      const current = apply(instance);
      return {
        InstanceId: instance.id,
        PreviousState: stateView(instance.state),
        CurrentState: stateView(current),
      };
    });
  }

  function incorrectState(instance: InstanceRecord, action: string): AwsError {
    return new AwsError(
      'IncorrectInstanceState',
      `The instance '${instance.id}' is not in a state from which it can be ${action}.`,
    );
  }

  function refuseHost(instance: InstanceRecord): void {
    if (instance.host)
      throw new AwsError(
        'UnsupportedOperation',
        `The instance '${instance.id}' is this host; it cannot be stopped.`,
      );
  }

  return {
    RunInstances: (input: RunInstancesRequest) => runInstances(account, input),

    StartInstances(input: StartInstancesRequest): StartInstancesResult {
      const check = (instance: InstanceRecord): void => {
        if (!['stopped', 'pending', 'running'].includes(instance.state))
          throw incorrectState(instance, 'started');
        if (instance.state !== 'stopped') return;
        const root = attachedVolumes(account, instance.id).find(
          (v) => v.attachment?.device === instance.rootDeviceName,
        );
        if (root === undefined)
          throw new AwsError(
            'IncorrectInstanceState',
            `Instance '${instance.id}' does not have a volume attached at root (${instance.rootDeviceName})`,
          );
      };
      const StartingInstances = change(input.InstanceIds, input, check, (instance) => {
        if (instance.state !== 'stopped') return instance.state;
        account.instances.put({
          ...instance,
          state: 'pending',
          stateReason: undefined,
          stateTransitionReason: '',
          launchedAt: now(),
          publicAddress: instance.wantsPublicAddress ? choosePublicAddress(account) : undefined,
        });
        continueInstance(account, instance.id);
        return 'pending';
      });
      return { StartingInstances };
    },

    StopInstances(input: StopInstancesRequest): StopInstancesResult {
      if (input.Hibernate)
        throw new AwsError(
          'UnsupportedHibernationConfiguration',
          'Hibernation is not configured for this instance.',
        );
      const check = (instance: InstanceRecord): void => {
        refuseHost(instance);
        if (!['running', 'stopping', 'stopped'].includes(instance.state))
          throw incorrectState(instance, 'stopped');
      };
      const StoppingInstances = change(input.InstanceIds, input, check, (instance) => {
        if (instance.state === 'stopped') return 'stopped';
        const forced = input.Force === true || input.SkipOsShutdown === true;
        if (instance.state === 'stopping' && !forced) return 'stopping';
        account.instances.put({
          ...instance,
          state: 'stopping',
          stopMode: forced ? 'forced' : 'graceful',
          ...userInitiated(),
        });
        // A graceful stop under way is waiting for the guest; without its machine it need not.
        if (instance.state === 'stopping')
          void account.background.run(`${instance.id} kill`, () => account.runner.kill(instance.id));
        continueInstance(account, instance.id);
        return 'stopping';
      });
      return { StoppingInstances };
    },

    TerminateInstances(input: TerminateInstancesRequest): TerminateInstancesResult {
      const check = (instance: InstanceRecord): void => {
        refuseHost(instance);
        if (instance.disableApiTermination)
          throw new AwsError(
            'OperationNotPermitted',
            `The instance '${instance.id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.`,
          );
      };
      const TerminatingInstances = change(input.InstanceIds, input, check, (instance) => {
        if (instance.state === 'shutting-down' || instance.state === 'terminated') return instance.state;
        account.instances.put({
          ...instance,
          state: 'shutting-down',
          ...userInitiated(),
        });
        if (instance.state === 'stopping')
          void account.background.run(`${instance.id} kill`, () => account.runner.kill(instance.id));
        continueInstance(account, instance.id);
        return 'shutting-down';
      });
      return { TerminatingInstances };
    },

    DescribeInstances(input: DescribeInstancesRequest): DescribeInstancesResult {
      const instances = select(account.instances, input.InstanceIds, find);
      const found = filterItems(instances, input.Filters, instanceFilters(account), ({ tags }) => tags);
      const { items, NextToken } = page(found, input);
      const reservations = new Map<string, InstanceRecord[]>();
      for (const instance of items)
        reservations.set(instance.reservationId, [
          ...(reservations.get(instance.reservationId) ?? []),
          instance,
        ]);
      return {
        Reservations: [...reservations.values()].map((group) => reservation(account, group)),
        NextToken,
      };
    },
  };
}
