import {
  type DescribeInstanceStatusRequest,
  type DescribeInstanceStatusResult,
  type InstanceStatus,
  type InstanceStatusSummary,
} from '@aws-sdk/client-ec2';
import { type Account } from '../../account';
import { type InstanceRecord } from '../../state/records';
import { AwsError } from '../../wire/errors';
import { type FilterFields, filterItems } from '../filters';
import { machineOf } from './instance-states';
import { placeOf, stateView } from './instance-view';
import { findInstance, select } from '../lookup';
import { page } from '../paging';

/** "Maximum 100 explicitly specified instance IDs" (EC2 API Reference, DescribeInstanceStatus). */
const MOST_IDS = 100;

type Check = 'initializing' | 'passed' | 'failed';
const SUMMARIES = { initializing: 'initializing', passed: 'ok', failed: 'impaired' } as const;

/** An instance with its status checks, which only a running one has. */
interface Checked {
  id: string;
  createdAt: string;
  instance: InstanceRecord;
  checks?: { system: Check; instance: Check };
}

/**
 * DescribeInstanceStatus. Its filters are not those of DescribeInstances: there is none of ids or tags. The system check of a machine
 * here always passes; that of the instance is made when it is asked for, not every minute.
 */
export function instanceStatusHandlers(account: Account) {
  async function checked(instance: InstanceRecord): Promise<Checked> {
    const { id, createdAt, state, launchedAt, host } = instance;
    if (state !== 'running') return { id, createdAt, instance };
    const due = Date.parse(launchedAt) + account.times.statusChecks * 1000;
    if (!host && Date.now() < due)
      return { id, createdAt, instance, checks: { system: 'initializing', instance: 'initializing' } };
    const answers = host === true || (await account.runner.answersArp(machineOf(account, instance)));
    return { id, createdAt, instance, checks: { system: 'passed', instance: answers ? 'passed' : 'failed' } };
  }

  const fields: FilterFields<Checked> = {
    'availability-zone': ({ instance }) => [placeOf(account, instance).availabilityZone],
    'instance-state-name': ({ instance }) => [instance.state],
    'instance-state-code': ({ instance }) => [stateView(instance.state).Code],
    'instance-status.reachability': ({ checks }) => [checks?.instance],
    'instance-status.status': ({ checks }) => [summaryOf(checks?.instance)],
    'system-status.reachability': ({ checks }) => [checks?.system],
    'system-status.status': ({ checks }) => [summaryOf(checks?.system)],
    // Nothing is ever scheduled here.
    'event.code': () => [],
    'event.description': () => [],
    'event.not-after': () => [],
    'event.not-before': () => [],
  };

  return {
    async DescribeInstanceStatus(
      input: DescribeInstanceStatusRequest,
    ): Promise<DescribeInstanceStatusResult> {
      const ids = input.InstanceIds ?? [];
      if (ids.length > MOST_IDS)
        throw new AwsError(
          'InvalidParameterValue',
          `${ids.length} instance IDs are given; ${MOST_IDS} are the most.`,
        );
      if (ids.length > 0 && input.MaxResults !== undefined)
        throw new AwsError(
          'InvalidParameterCombination',
          'The parameter instancesSet cannot be used with the parameter maxResults',
        );
      const instances = select(account.instances, ids, (id) => findInstance(account, id)).filter(
        ({ state }) => input.IncludeAllInstances === true || state === 'running',
      );
      const found = filterItems(await Promise.all(instances.map(checked)), input.Filters, fields);
      const { items, NextToken } = page(found, input);
      return { InstanceStatuses: items.map((item) => view(account, item)), NextToken };
    },
  };
}

const summaryOf = (check: Check | undefined) => (check === undefined ? 'not-applicable' : SUMMARIES[check]);

function view(account: Account, { instance, checks }: Checked): InstanceStatus {
  const summary = (check: Check | undefined): InstanceStatusSummary => ({
    Status: summaryOf(check),
    Details:
      check === undefined
        ? []
        : [
            {
              Name: 'reachability',
              Status: check,
              // "For an instance that was launched and impaired, this is the time when the instance was launched."
              ...(check === 'failed' ? { ImpairedSince: new Date(instance.launchedAt) } : {}),
            },
          ],
  });
  return {
    InstanceId: instance.id,
    AvailabilityZone: placeOf(account, instance).availabilityZone,
    InstanceState: stateView(instance.state),
    InstanceStatus: summary(checks?.instance),
    SystemStatus: summary(checks?.system),
    Events: [],
  };
}
