import { type EC2Client } from '@aws-sdk/client-ec2';
import { type Route53Client } from '@aws-sdk/client-route-53';
import { ApplicationFailure } from '@temporalio/common';
import { mapAhead } from '../../../blocks/pipeline';
import { type RepositoryAddress } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';
import { subnetsOf } from '../../../plan/subnets';
import { MANIFESTS_AT_ONCE } from '../../../repository/backups/backups';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { hasCode } from '../../failures';
import { type DrCopy } from '../account/contract';
import { type DrCopySet, findDrCopies, withBackup } from '../account/dr-copy';
import { findLaunchCopies } from '../account/launch-copy';
import { lookUpZone, readARecords } from '../dns/hosted-zone';
import { MAXIMUM_DISKS } from '../launch/instance-volumes';
import { addressFindings, findSite, fixedSubnets, siteFindings } from './network';
import { typeFindings } from './instance-types';
import { type FailoverReadiness, type ReadinessActivities } from './contract';

export interface PreflightDependencies {
  ec2: EC2Client;
  route53: Route53Client;
  /** Region that the clients ask. */
  region: string;
  objectStore: (address: RepositoryAddress) => ObjectStore;
}

type CheckFailover = Parameters<ReadinessActivities['checkFailover']>[0];

/**
 * Everything that can be known before a failover, by reading only.
 * @throws ApplicationFailure NotReadyForFailover, non-retryable: one failure that names all that is wrong
 */
export async function checkFailover(
  dependencies: PreflightDependencies,
  { run, plan, test }: CheckFailover,
): Promise<FailoverReadiness> {
  const { ec2, region } = dependencies;
  if (plan.recoverySite.region !== region)
    throw notReady(plan, test, [
      `The plan's recovery site is in ${plan.recoverySite.region}; this AWS proxy works in ${region}.`,
    ]);
  const wanted = test ? plan.recoverySite.test : plan.recoverySite.production;
  const site = await findSite(ec2, wanted);
  const { drCopies, findings: copyFindings } = await checkDrCopies(dependencies, run.repository, plan);
  const zones = site.subnets.flatMap(({ AvailabilityZone }) => AvailabilityZone ?? []);
  const findings = [
    ...siteFindings(wanted, site, plan.vms.length),
    ...(test && subnetsOf(wanted).some((id) => subnetsOf(plan.recoverySite.production).includes(id))
      ? ['The test subnet is the production subnet; a test would meet the application itself.']
      : []),
    ...(await typeFindings(ec2, plan, drCopies, zones)),
    ...copyFindings,
    // The fixed addresses belong to the production subnet; a test gets others.
    ...(test ? [] : await addressFindings(ec2, plan, site.subnets)),
    ...(await dnsFindings(dependencies.route53, plan)),
  ];
  const [availabilityZone] = zones;
  if (findings.length > 0 || availabilityZone === undefined) throw notReady(plan, test, findings);
  const fixed = test ? [] : [...fixedSubnets(plan, site.subnets)];
  const places = fixed.flatMap(([vm, { SubnetId: subnet, AvailabilityZone: zone }]) =>
    subnet === undefined || zone === undefined ? [] : [{ vm, subnet, availabilityZone: zone }],
  );
  return { availabilityZone, drCopies, ...(places.length === 0 ? {} : { places }) };
}

/** The failure that lists the findings, one a line. */
export function notReady(plan: DrPlan, test: boolean, findings: string[]): ApplicationFailure {
  return ApplicationFailure.create({
    message: [
      `The plan ${plan.name} is not ready for a ${test ? 'test ' : ''}failover; nothing was changed.`,
      ...findings.map((finding) => `- ${finding}`),
    ].join('\n'),
    type: 'NotReadyForFailover',
    nonRetryable: true,
    details: [{ findings }],
  });
}

/** The DR copies of the plan's VMs, by one list of snapshots; and what is wrong with them, in the plan's order. */
async function checkDrCopies(
  { ec2, objectStore }: PreflightDependencies,
  repository: RepositoryAddress,
  plan: DrPlan,
): Promise<{ drCopies: DrCopy[]; findings: string[] }> {
  const sets = await findDrCopies(ec2, plan.name);
  const launchCopies = await findLaunchCopies(ec2, plan, sets);
  const store = objectStore(repository);
  const drCopies: DrCopy[] = [];
  const findings: string[] = [];
  const check = ({ name }: DrPlan['vms'][number]) => checkDrCopy(store, name, sets.get(name));
  for await (const checked of mapAhead(plan.vms, MANIFESTS_AT_ONCE, check)) {
    const { drCopy } = checked;
    if (drCopy !== undefined) {
      const launchCopy = launchCopies.get(drCopy.vm);
      drCopies.push(launchCopy === undefined ? drCopy : { ...drCopy, launchCopy });
    }
    findings.push(...checked.findings);
  }
  return { drCopies, findings };
}

async function checkDrCopy(
  store: ObjectStore,
  vm: string,
  set: DrCopySet | undefined,
): Promise<{ drCopy?: DrCopy; findings: string[] }> {
  if (set === undefined)
    return { findings: [`There is no complete DR copy of ${vm}; back it up and restore it first.`] };
  const findings: string[] = [];
  if (set.disks.length > MAXIMUM_DISKS)
    findings.push(
      `${vm} has ${set.disks.length} disks; at most ${MAXIMUM_DISKS} can be attached to an AWS proxy at once.`,
    );
  try {
    const { drCopy, guest } = await withBackup(store, set);
    if (guest?.outcome === 'not adaptable')
      findings.push(
        `EC2 cannot boot ${vm} as it was at ${drCopy.takenAt}: ${guest.problem ?? ''} ` +
          `Mend it at the primary site, then back up and restore ${vm} again.`,
      );
    return { drCopy, findings };
  } catch (error) {
    // What the repository lacks is one finding among others; that it cannot be reached is not.
    if (!(error instanceof ApplicationFailure) || error.nonRetryable !== true) throw error;
    return { findings: [...findings, error.message] };
  }
}

async function dnsFindings(route53: Route53Client, plan: DrPlan): Promise<string[]> {
  if (plan.dns === undefined) return [];
  const { hostedZone, records } = plan.dns;
  let zone;
  try {
    zone = await lookUpZone(route53, hostedZone);
  } catch (error) {
    if (!hasCode(error, 'NoSuchHostedZone', 'InvalidInput')) throw error;
    return [`The hosted zone ${hostedZone} does not exist.`];
  }
  const { name: apex } = zone;
  const isInZone = ({ name }: { name: string }) => name === apex || name.endsWith(`.${apex}`);
  const names = records.filter(isInZone).map(({ name }) => name);
  const inZone = await readARecords(route53, hostedZone, zone, names);
  const findings: string[] = [];
  for (const { name, vm, address } of records) {
    const present = inZone.get(name);
    if (present === undefined) {
      findings.push(`The record ${name} is not in the hosted zone ${hostedZone} (${apex}).`);
      continue;
    }
    if (present.kind === 'other')
      findings.push(`${name} is ${present.what}, which Lifeboat does not replace.`);
    if (address === 'public' && !plan.recoverySite.production.publicAddress)
      findings.push(
        `${name} is to have ${vm}'s public address, but recoverySite.production has publicAddress: false.`,
      );
  }
  return findings;
}
