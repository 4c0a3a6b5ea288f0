import { ApplicationFailure } from '@temporalio/workflow';
import { type DnsTold, type ExpectedAnswer } from '../activities/aws-proxy/dns/contract';
import { type InstanceAddresses } from '../activities/aws-proxy/launch/contract';
import { type PlannedDnsRecord } from '../plan/dns-record';
import { vmsOf } from '../plan/record-vms';
import { type RunContext } from '../plan/run';
import { type DrPlan } from '../plan/schema';
import { awsProxy, control } from './run/activities';
import { causeMessage } from './run/failure-message';

/** Of a run that changes no DNS. */
export const NO_DNS: DnsTold = { expected: [], notes: [] };

/** What earlier releases returned, which are in the histories of runs that began with them. */
interface ReturnedBefore {
  returned: { name: string; previous?: { values: string[] } }[];
}

/** The plan's records go to the instances' addresses. Returns when Route 53 has the change everywhere. */
export async function moveDns(
  run: RunContext,
  plan: DrPlan,
  instances: ReadonlyMap<string, InstanceAddresses>,
): Promise<DnsTold> {
  if (!plan.dns) return NO_DNS;
  const records = plan.dns.records.map((record) => ({ ...record, ...placesOf(record, instances) }));
  await control.checkPlanState({ run });
  const moved = await awsProxy.moveDns({ run, hostedZone: plan.dns.hostedZone, records });
  // Earlier releases returned what they had stored, and moved simple A records only.
  return 'expected' in moved
    ? { expected: moved.expected, notes: moved.notes }
    : { expected: records.map(({ name, values }) => ({ name, values })), notes: [] };
}

/** Where a record leads while the plan is away. @throws ApplicationFailure NoAddress */
function placesOf(
  record: PlannedDnsRecord,
  instances: ReadonlyMap<string, InstanceAddresses>,
): { values: string[]; ipv6Values?: string[] } {
  if (record.target !== undefined) return { values: [record.target] };
  const values = vmsOf(record).map((vm) => {
    const instance = instances.get(vm);
    const value = record.address === 'public' ? instance?.publicAddress : instance?.privateAddress;
    if (value === undefined)
      throw ApplicationFailure.nonRetryable(
        `${vm} has no ${record.address} address for ${record.name}.`,
        'NoAddress',
      );
    return value;
  });
  const ipv6Values = vmsOf(record).flatMap((vm) => instances.get(vm)?.ipv6Addresses ?? []);
  return { values, ...(ipv6Values.length === 0 ? {} : { ipv6Values }) };
}

/** The records get back what they had before the failover, where they are still ours. */
export async function returnDns(run: RunContext, plan: DrPlan): Promise<DnsTold> {
  if (!plan.dns) return NO_DNS;
  const result = await awsProxy.returnDns({ run, hostedZone: plan.dns.hostedZone });
  return 'expected' in result
    ? { expected: result.expected, notes: result.notes }
    : { expected: expectedBefore(result), notes: [] };
}

const expectedBefore = ({ returned }: ReturnedBefore): ExpectedAnswer[] =>
  returned.flatMap(({ name, previous }) => (previous ? [{ name, values: previous.values }] : []));

/**
 * Asks the zone's own servers. By now the application serves at its new site, so a wrong or missing answer takes
 * nothing back; but the run does not say that it is done.
 * @returns all that a person should know of the change, one sentence each
 */
export async function proveDns(plan: DrPlan, { expected, notes }: DnsTold, site: string): Promise<string[]> {
  if (!plan.dns || expected.length === 0) return notes;
  try {
    // Earlier releases returned nothing.
    const asked = (await awsProxy.checkDns({ hostedZone: plan.dns.hostedZone, expected })) as
      { notes: string[] } | undefined;
    return [...notes, ...(asked?.notes ?? [])];
  } catch (error) {
    throw ApplicationFailure.nonRetryable(
      `The application serves at the ${site} and Route 53 has the new records, but its name servers do not prove it; ` +
        `nothing was taken back. Check the zone ${plan.dns.hostedZone}: ${causeMessage(error)}`,
      'DnsNotProven',
    );
  }
}
