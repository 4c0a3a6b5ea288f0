import { type EC2Client, type Subnet } from '@aws-sdk/client-ec2';
import { type IAMClient } from '@aws-sdk/client-iam';
import { type Route53Client } from '@aws-sdk/client-route-53';
import { ApplicationFailure } from '@temporalio/common';
import { mapAhead } from '../../../blocks/pipeline';
import { type ChosenPoint } from '../../../plan/lines';
import { type RepositoryAddress } from '../../../plan/run';
import { type DrPlan } from '../../../plan/schema';
import { subnetsOf } from '../../../plan/recovery-site/subnets';
import { MANIFESTS_AT_ONCE } from '../../../repository/backups/backups';
import { readPlanState } from '../../../repository/plans/plan-state';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { type DrCopy } from '../account/contract';
import { type DrCopySet, findDrCopies, withBackup } from '../account/dr-copy';
import { findLaunchCopies } from '../account/launch-copy';
import { inspectDns } from '../dns/inspect';
import { addressFindings, fixedSubnets } from './addresses';
import {
  addressCount,
  findSite,
  networkFindings,
  type PlacedVm,
  placedVms,
  type Site,
  subnetsIn,
} from './network';
import { profileFindings } from './instance-profiles';
import { type CheckedCopy, checkPoint, diskFindings, guestFindings, lineFindings } from './points';
import { typeFindings, type TypePlace } from './instance-types';
import { licensedImageFindings } from './licensed-images';
import { volumeFindings } from './volumes';
import { type FailoverReadiness, type ReadinessActivities, type VmPlace } from './contract';
import { type RefusalDetails, type StagedFindings } from './refusal';

export interface PreflightDependencies {
  ec2: EC2Client;
  route53: Route53Client;
  iam: IAMClient;
  /** Region that the clients ask. */
  region: string;
  objectStore: (address: RepositoryAddress) => ObjectStore;
  /** Recursive resolvers that know where a domain is delegated to; none where it is not asked. */
  resolvers?: string[];
}

type CheckFailover = Parameters<ReadinessActivities['checkFailover']>[0];

/**
 * Everything that can be known before a failover, by reading only.
 * @throws ApplicationFailure NotReadyForFailover, non-retryable: one failure that names all that is wrong
 */
export async function checkFailover(
  dependencies: PreflightDependencies,
  { run, plan, test, points, whole = plan }: CheckFailover,
): Promise<FailoverReadiness> {
  const { ec2, iam, region } = dependencies;
  if (plan.recoverySite.region !== region)
    throw notReady(plan, test, {
      region: [
        `The plan's recovery site is in ${plan.recoverySite.region}; this AWS proxy works in ${region}.`,
      ],
    });
  const wanted = test ? plan.recoverySite.test : plan.recoverySite.production;
  const placed = placedVms(plan, test);
  const site = await findSite(ec2, [wanted, ...placed.map((one) => one.site)]);
  const fixed = fixedSubnets(placed, site);
  const places = placesOf(placed, site, fixed);
  const {
    drCopies,
    toCopy,
    findings: copyFindings,
  } = await checkDrCopies(dependencies, run.repository, plan, points, whole);
  const dns = await inspectDns(dependencies, plan);
  // In the order in which they are told.
  const findings: StagedFindings = {
    network: networkFindings(wanted, placed, site),
    'test-network':
      test && sharesSubnets(plan, placed)
        ? ['The test subnet is the production subnet; a test would meet the application itself.']
        : [],
    'instance-type': await typeFindings(ec2, plan, drCopies, places),
    'licensed-image': await licensedImageFindings(ec2, plan, drCopies),
    'dr-copy': copyFindings,
    volume: volumeFindings(plan, drCopies, test),
    address: await addressFindings(ec2, plan.name, placed, fixed),
    'instance-profile': await profileFindings(iam, placed),
    dns: dns.findings,
  };
  const found = Object.values(findings).some((texts) => texts.length > 0);
  const availabilityZone = subnetsIn(site, wanted)[0]?.AvailabilityZone;
  if (found || availabilityZone === undefined) throw notReady(plan, test, findings);
  // What becomes of the records is told by their move, with the addresses; a test has none.
  const notes = test ? [...dns.zoneNotes, ...dns.notes] : dns.zoneNotes;
  const told = placed.flatMap(({ vm, ownSubnets }): VmPlace[] => {
    const zone = places.get(vm)?.zones[0];
    const subnet = fixed.get(vm)?.SubnetId;
    if (zone === undefined || (subnet === undefined && !ownSubnets)) return [];
    return [{ vm, ...(subnet === undefined ? {} : { subnet }), availabilityZone: zone }];
  });
  const unmade = new Set(toCopy.map(({ vm }) => vm));
  return {
    availabilityZone,
    drCopies: drCopies.filter(({ vm }) => !unmade.has(vm)),
    ...(toCopy.length === 0 ? {} : { toCopy }),
    ...(told.length === 0 ? {} : { places: told }),
    ...(notes.length === 0 ? {} : { notes }),
  };
}

/** The zones that each VM may be launched in, and what its network card has to take. */
function placesOf(
  placed: PlacedVm[],
  site: Site,
  fixed: ReadonlyMap<string, Subnet>,
): Map<string, TypePlace> {
  return new Map(
    placed.map(({ vm, site: where }) => {
      const bound = fixed.get(vm);
      const subnets = bound === undefined ? subnetsIn(site, where) : [bound];
      const zones = subnets.flatMap(({ AvailabilityZone }) => AvailabilityZone ?? []);
      return [vm, { zones, addresses: addressCount(where) }];
    }),
  );
}

/** Whether a VM's test would run in a subnet of production's. */
function sharesSubnets(plan: DrPlan, placed: PlacedVm[]): boolean {
  const { production, test } = plan.recoverySite;
  const ofProduction = new Set([
    ...subnetsOf(production),
    ...placedVms(plan, false).flatMap(({ site }) => subnetsOf(site)),
  ]);
  return [test, ...placed.map(({ site }) => site)].some((site) =>
    subnetsOf(site).some((id) => ofProduction.has(id)),
  );
}

/** The failure that lists the findings, one a line. */
export function notReady(plan: DrPlan, test: boolean, byStage: StagedFindings): ApplicationFailure {
  const findings = Object.values(byStage).flat();
  return ApplicationFailure.create({
    message: [
      `The plan ${plan.name} is not ready for a ${test ? 'test ' : ''}failover; nothing was changed.`,
      ...findings.map((finding) => `- ${finding}`),
    ].join('\n'),
    type: 'NotReadyForFailover',
    nonRetryable: true,
    details: [{ findings, byStage } satisfies RefusalDetails],
  });
}

/** The DR copies of the plan's VMs, those that are yet to be made included, by one list of snapshots; and what is wrong with them, in the plan's order. */
async function checkDrCopies(
  { ec2, objectStore }: PreflightDependencies,
  repository: RepositoryAddress,
  plan: DrPlan,
  points: ChosenPoint[] | undefined,
  whole: DrPlan,
): Promise<{ drCopies: DrCopy[]; toCopy: ChosenPoint[]; findings: string[] }> {
  const sets = await findDrCopies(ec2, plan.name);
  const launchCopies = await findLaunchCopies(ec2, whole, sets);
  const store = objectStore(repository);
  const drCopies: DrCopy[] = [];
  const toCopy: ChosenPoint[] = [];
  const findings: string[] = [];
  const lines = points === undefined ? ((await readPlanState(store, plan.name)) ?? {}) : {};
  const chosen = new Map(points?.map((point) => [point.vm, point]));
  const check = ({ name }: DrPlan['vms'][number]): Promise<CheckedCopy> => {
    const point = chosen.get(name);
    const set = sets.get(name);
    return point === undefined || point.recoveryPoint === set?.recoveryPoint
      ? checkDrCopy(store, name, set)
      : checkPoint(store, plan, point);
  };
  for await (const checked of mapAhead(plan.vms, MANIFESTS_AT_ONCE, check)) {
    const { drCopy } = checked;
    if (checked.toCopy !== undefined) toCopy.push(checked.toCopy);
    if (drCopy !== undefined) {
      const launchCopy = checked.toCopy === undefined ? launchCopies.get(drCopy.vm) : undefined;
      drCopies.push(launchCopy === undefined ? drCopy : { ...drCopy, launchCopy });
      findings.push(...lineFindings(lines, plan.name, drCopy));
    }
    findings.push(...checked.findings);
  }
  return { drCopies, toCopy, findings };
}

async function checkDrCopy(store: ObjectStore, vm: string, set: DrCopySet | undefined): Promise<CheckedCopy> {
  if (set === undefined)
    return { findings: [`There is no complete DR copy of ${vm}; back it up and restore it first.`] };
  const findings = diskFindings(vm, set.disks.length);
  try {
    const { drCopy, guest } = await withBackup(store, set);
    findings.push(
      ...guestFindings(drCopy, guest, `Mend it at the primary site, then back up and restore ${vm} again.`),
    );
    return { drCopy, findings };
  } catch (error) {
    // What the repository lacks is one finding among others; that it cannot be reached is not.
    if (!(error instanceof ApplicationFailure) || error.nonRetryable !== true) throw error;
    return { findings: [...findings, error.message] };
  }
}
