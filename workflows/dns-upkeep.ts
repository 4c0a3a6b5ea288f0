import { ApplicationFailure } from '@temporalio/workflow';
import { type ChangedTtls, type DnsCheck } from '../activities/aws-proxy/dns/contract';
import { type DrPlan } from '../plan/schema';
import { awsProxy } from './run/activities';
import { begin, requirePhase, type RunRequest } from './run/begin';
import { RunProgress } from './run/run-status';

export interface DnsCheckSummary extends Omit<DnsCheck, 'findings'> {
  plan: string;
}

export interface TtlSummary extends ChangedTtls {
  plan: string;
}

/**
 * What a failover would do to the plan's records, looked at any day. Takes no state and changes nothing.
 * @throws ApplicationFailure NotReadyForFailover, naming the records that could not be moved
 */
export async function checkDnsRecords(request: RunRequest): Promise<DnsCheckSummary> {
  const { plan } = await begin(request);
  requireDns(plan);
  const progress = new RunProgress(plan.name, []);
  progress.phase('looking at DNS');
  const { findings, ...checked } = await awsProxy.inspectDns({ plan });
  if (findings.length > 0)
    throw ApplicationFailure.nonRetryable(
      [
        `The DNS records of the plan ${plan.name} are not ready for a failover; nothing was changed.`,
        ...findings.map((finding) => `- ${finding}`),
      ].join('\n'),
      'NotReadyForFailover',
      { findings },
    );
  progress.phase('done');
  return { plan: plan.name, ...checked };
}

/** Days before a failover: resolvers are to forget quickly what the records have. */
export async function lowerDnsTtls(request: RunRequest): Promise<TtlSummary> {
  const begun = await begin(request);
  const { plan, run } = begun;
  const { hostedZone, records } = requireDns(plan);
  // While the application is away or on its way, the records are not those of home.
  requirePhase(begun, ['none', 'protected'], 'lower the TTLs of');
  const progress = new RunProgress(plan.name, []);
  progress.phase('lowering TTLs');
  const changed = await awsProxy.lowerDnsTtls({ run, hostedZone, records });
  progress.phase('done');
  return { plan: plan.name, ...changed };
}

/** The end of it: what was lowered gets back what it had. */
export async function restoreDnsTtls(request: RunRequest): Promise<TtlSummary> {
  const begun = await begin(request);
  const { plan, run } = begun;
  const { hostedZone } = requireDns(plan);
  requirePhase(begun, ['none', 'protected', 'failed-back'], 'restore the TTLs of');
  const progress = new RunProgress(plan.name, []);
  progress.phase('restoring TTLs');
  const changed = await awsProxy.restoreDnsTtls({ run, hostedZone });
  progress.phase('done');
  return { plan: plan.name, ...changed };
}

/** @throws ApplicationFailure NoDns */
function requireDns(plan: DrPlan): NonNullable<DrPlan['dns']> {
  if (plan.dns === undefined)
    throw ApplicationFailure.nonRetryable(
      `The plan "${plan.name}" has no DNS records: there is no "dns" in it.`,
      'NoDns',
    );
  return plan.dns;
}
