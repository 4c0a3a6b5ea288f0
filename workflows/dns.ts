import { ApplicationFailure } from '@temporalio/workflow';
import { type InstanceAddresses } from '../activities/aws-proxy/contract';
import { type RunContext } from '../plan/run';
import { type DrPlan } from '../plan/schema';
import { awsProxy, control } from './run/activities';
import { causeMessage } from './run/failure-message';

/** Values that the zone's own servers must answer with; nothing where the plan has no DNS. */
export type ExpectedRecords = { name: string; values: string[] }[];

/** The plan's records go to the instances' addresses. Returns when Route 53 has the change everywhere. */
export async function moveDns(
  run: RunContext,
  plan: DrPlan,
  instances: ReadonlyMap<string, InstanceAddresses>,
): Promise<ExpectedRecords> {
  if (!plan.dns) return [];
  const records = plan.dns.records.map((record) => {
    const instance = instances.get(record.vm);
    const value = record.address === 'public' ? instance?.publicAddress : instance?.privateAddress;
    if (value === undefined)
      throw ApplicationFailure.nonRetryable(
        `${record.vm} has no ${record.address} address for ${record.name}.`,
        'NoAddress',
      );
    return { ...record, value };
  });
  await control.checkPlanState({ run });
  await awsProxy.moveDns({ run, hostedZone: plan.dns.hostedZone, records });
  return records.map(({ name, value }) => ({ name, values: [value] }));
}

/** The records get back what they had before the failover, where they are still ours. */
export async function returnDns(run: RunContext, plan: DrPlan): Promise<ExpectedRecords> {
  if (!plan.dns) return [];
  const { returned } = await awsProxy.returnDns({ run, hostedZone: plan.dns.hostedZone });
  return returned.flatMap(({ name, previous }) => (previous ? [{ name, values: previous.values }] : []));
}

/**
 * Asks the zone's own servers. By now the application serves at its new site, so a wrong or missing answer takes
 * nothing back; but the run does not say that it is done.
 */
export async function proveDns(plan: DrPlan, expected: ExpectedRecords, site: string): Promise<void> {
  if (!plan.dns || expected.length === 0) return;
  try {
    await awsProxy.checkDns({ hostedZone: plan.dns.hostedZone, expected });
  } catch (error) {
    throw ApplicationFailure.nonRetryable(
      `The application serves at the ${site} and Route 53 has the new records, but its name servers do not prove it; ` +
        `nothing was taken back. Check the zone ${plan.dns.hostedZone}: ${causeMessage(error)}`,
      'DnsNotProven',
    );
  }
}
