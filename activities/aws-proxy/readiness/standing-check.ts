import { GetEbsEncryptionByDefaultCommand } from '@aws-sdk/client-ec2';
import { type ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { mapAhead } from '../../../blocks/pipeline';
import { type Finding, type Severity } from '../../../plan/readiness';
import { type DrPlan } from '../../../plan/schema';
import { MANIFESTS_AT_ONCE, readManifest } from '../../../repository/backups/backups';
import { DamagedObjectError } from '../../../repository/objects/json-object';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { type DrCopySet, findCopySnapshots, newestSets } from '../account/dr-copy';
import { findKeptInstances } from '../account/kept-tests';
import { findLaunchCopies } from '../account/launch-copy';
import { toFailure } from '../../failures';
import { type CheckedReadiness, type FailoverReadiness, type ReadinessActivities } from './contract';
import {
  ageFindings,
  archiveFindings,
  encryptionFindings,
  guestFindings,
  keyFindings,
  launchCopyFindings,
} from './dr-copy-state';
import { keptTestFindings } from './kept-test-findings';
import { checkFailover, type PreflightDependencies } from './preflight';
import { refusalFindings, refusalOf } from './refusal';
import { vcpuFindings } from './vcpu-quotas';

/** More than a person reads; a plan of a thousand VMs with each in trouble must not fill a workflow's history. */
const MOST_FINDINGS = 500;
/** What a guest's warning or AWS's message may have of a finding. */
const MOST_CHARACTERS = 2000;

type CheckReadiness = Parameters<ReadinessActivities['checkReadiness']>[0];

/** See {@link ReadinessActivities}. Changes nothing. */
export async function checkReadiness(
  dependencies: PreflightDependencies & { serviceQuotas: ServiceQuotasClient },
  { run, plan, replicated }: CheckReadiness,
): Promise<CheckedReadiness> {
  const { ec2, serviceQuotas, region } = dependencies;
  const production = await failoverFindings(dependencies, { run, plan, test: false }, 'impossible');
  // In another Region, all that is asked is of another account's site.
  if (plan.recoverySite.region !== region)
    return { findings: production.findings, recoveryPoints: {}, proxyZones: [] };
  const test = await failoverFindings(dependencies, { run, plan, test: true }, 'warning');

  const snapshots = await findCopySnapshots(ec2, { plan: plan.name, role: 'dr-copy' });
  const sets = newestSets(snapshots);
  const planned = plan.vms.flatMap(({ name }) => sets.get(name) ?? []);
  const launchCopies = await findLaunchCopies(ec2, plan, sets);
  const findings = [
    ...production.findings,
    ...test.findings.filter(({ text }) => !production.findings.some((one) => one.text === text)),
    ...archiveFindings(planned, snapshots),
    ...(replicated ? ageFindings(plan, planned, new Date()) : []),
    ...keyFindings(plan, planned),
    ...launchCopyFindings(plan, planned, launchCopies),
    ...(await rehearsalFindings(dependencies.objectStore(run.repository), planned)),
    ...(await asked('EBS encryption by default', 'ec2:GetEbsEncryptionByDefault', async () => {
      const { EbsEncryptionByDefault } = await ec2.send(new GetEbsEncryptionByDefaultCommand({}));
      return encryptionFindings(EbsEncryptionByDefault ?? false, plan, planned);
    })),
    ...(await vcpuFindings(ec2, serviceQuotas, plan)),
    ...keptTestFindings(plan.name, await findKeptInstances(ec2, plan.name), new Date()),
  ];
  return {
    findings: mostOf(findings),
    recoveryPoints: Object.fromEntries(planned.map(({ vm, recoveryPoint }) => [vm, recoveryPoint])),
    proxyZones: proxyZones(plan, production.ready, launchCopies),
  };
}

/** What would refuse a failover, and what a failover would be made of where nothing does. */
async function failoverFindings(
  dependencies: PreflightDependencies,
  input: Parameters<ReadinessActivities['checkFailover']>[0],
  severity: Severity,
): Promise<{ findings: Finding[]; ready?: FailoverReadiness }> {
  try {
    return { findings: [], ready: await checkFailover(dependencies, input) };
  } catch (error) {
    const found = refusalOf(error);
    if (found === undefined) throw error;
    return { findings: refusalFindings(input.plan, found, severity) };
  }
}

async function rehearsalFindings(store: ObjectStore, planned: DrCopySet[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  const look = async ({ vm, recoveryPoint }: DrCopySet): Promise<Finding[]> => {
    try {
      return guestFindings(vm, (await readManifest(store, vm, recoveryPoint))?.guest);
    } catch (error) {
      // That it cannot be read is what a failover is refused for.
      if (error instanceof DamagedObjectError) return [];
      throw error;
    }
  };
  for await (const found of mapAhead(planned, MANIFESTS_AT_ONCE, look)) findings.push(...found);
  return findings;
}

/** What a failover can do without is asked in passing: that AWS does not tell it is one finding among others. */
async function asked(what: string, action: string, ask: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await ask();
  } catch (error) {
    const failure = toFailure(error, `ask for ${what}`);
    // A passing trouble is tried again, with all the rest.
    if (failure.nonRetryable !== true) throw error;
    const todo = `Allow the AWS proxy ${action}.`;
    return [{ code: 'not-checked', severity: 'warning', text: failure.message, todo, about: what }];
  }
}

/** Zones of the volumes of VMs that have no launch copy; none where a failover would be refused anyway. */
function proxyZones(
  plan: DrPlan,
  ready: FailoverReadiness | undefined,
  launchCopies: ReadonlyMap<string, unknown>,
): string[] {
  if (ready === undefined) return [];
  const places = new Map(ready.places?.map(({ vm, availabilityZone }) => [vm, availabilityZone]));
  const zones = plan.vms
    .filter(({ name }) => !launchCopies.has(name))
    .map(({ name }) => places.get(name) ?? ready.availabilityZone);
  return [...new Set(zones)].sort();
}

/** The worst first, as many as anybody reads, each no longer than that. */
function mostOf(findings: Finding[]): Finding[] {
  const worstFirst = [
    ...findings.filter(({ severity }) => severity === 'impossible'),
    ...findings.filter(({ severity }) => severity === 'warning'),
  ].map((finding) => ({ ...finding, text: finding.text.slice(0, MOST_CHARACTERS) }));
  if (worstFirst.length <= MOST_FINDINGS) return worstFirst;
  return [
    ...worstFirst.slice(0, MOST_FINDINGS),
    {
      code: 'not-checked',
      severity: 'warning',
      text: `There are ${worstFirst.length - MOST_FINDINGS} more findings, which are not told.`,
      todo: 'Mend these first, and check again.',
      about: 'more',
    },
  ];
}
