import { ApplicationFailure } from '@temporalio/common';
import { type Finding, FORCEABLE, isForceable } from '../../../plan/readiness';
import { subnetsOf } from '../../../plan/recovery-site/subnets';
import { type DrPlan } from '../../../plan/schema';
import { addressFindings } from './addresses';
import { type FailoverReadiness, type ReadinessActivities, type VmPlace } from './contract';
import { archiveFindings } from './dr-copy-state';
import { typeFindings } from './instance-types';
import { profileFindings } from './instance-profiles';
import { licensedImageFindings } from './licensed-images';
import { lookAtSite, type Mode, type Placement, type PreflightDependencies, type SiteLooks } from './looks';
import { networkFindings, placedVms, subnetsIn } from './network';
import { type RefusalDetails, stageFindings } from './refusal';
import { volumeFindings } from './volumes';
import { lifeboatVersion } from '../../../host/version';

type CheckFailover = Parameters<ReadinessActivities['checkFailover']>[0];

/**
 * Everything that can be known before a failover, by reading only.
 * @throws ApplicationFailure NotReadyForFailover, non-retryable: one failure that names all that is wrong
 */
export async function checkFailover(
  dependencies: PreflightDependencies,
  { run, plan, test, points, force = [], whole }: CheckFailover,
): Promise<FailoverReadiness> {
  const elsewhere = regionFindings(plan, dependencies.region);
  if (elsewhere.length > 0) throw notReady(plan, test, elsewhere);
  const mode = test ? 'test' : 'production';
  const looks = await lookAtSite(dependencies, plan, {
    repository: run.repository,
    ...(points === undefined ? {} : { points }),
    ...(whole === undefined ? {} : { whole }),
    modes: [mode],
  });
  const findings = failoverFindings(plan, mode, looks);
  const stopping = findings.filter(({ code }) => !force.includes(code) || !isForceable(code));
  const ready = failoverReadiness(plan, mode, looks);
  if (stopping.length > 0 || ready === undefined) throw notReady(plan, test, stopping);
  return findings.length === 0 ? ready : { ...ready, overridden: findings.map(({ text }) => text) };
}

/** In another Region, all that would be asked is of another site. */
export function regionFindings(plan: DrPlan, region: string): Finding[] {
  const wanted = plan.recoverySite.region;
  return wanted === region
    ? []
    : stageFindings(plan, 'region', [
        `The plan's recovery site is in ${wanted}; this AWS proxy works in ${region}.`,
      ]);
}

/** What makes a failover impossible, in the order in which it is told. */
export function failoverFindings(plan: DrPlan, mode: Mode, looks: SiteLooks): Finding[] {
  const { site, copies, types, images, taken, missingProfiles, quotas, dns } = looks;
  const { placed, fixed, places } = looks[mode];
  const { drCopies } = copies;
  const test = mode === 'test';
  return [
    ...stageFindings(plan, 'network', networkFindings(plan.recoverySite[mode], placed, site)),
    ...stageFindings(
      plan,
      'test-network',
      test && sharesSubnets(plan, placed)
        ? ['The test subnet is the production subnet; a test would meet the application itself.']
        : [],
    ),
    ...stageFindings(plan, 'instance-type', typeFindings(types, plan, drCopies, places)),
    ...stageFindings(plan, 'licensed-image', licensedImageFindings(images, plan, drCopies)),
    ...stageFindings(plan, 'dr-copy', copies.findings),
    ...archiveFindings(copies.sets, copies.snapshots),
    ...stageFindings(plan, 'volume', volumeFindings(plan, drCopies, test)),
    ...stageFindings(plan, 'address', addressFindings(taken, plan.name, placed, fixed)),
    ...stageFindings(plan, 'instance-profile', profileFindings(missingProfiles, placed)),
    ...quotas.filter(({ severity }) => severity === 'impossible'),
    ...stageFindings(plan, 'dns', dns.findings),
  ];
}

/** What a failover is made of; undefined where there is no subnet to make it in. */
export function failoverReadiness(
  plan: DrPlan,
  mode: Mode,
  { site, copies, dns, ...looks }: SiteLooks,
): FailoverReadiness | undefined {
  const { placed, fixed, places } = looks[mode];
  const availabilityZone = subnetsIn(site, plan.recoverySite[mode])[0]?.AvailabilityZone;
  if (availabilityZone === undefined) return undefined;
  // What becomes of the records is told by their move, with the addresses; a test has none.
  const notes = mode === 'test' ? [...dns.zoneNotes, ...dns.notes] : dns.zoneNotes;
  const told = placed.flatMap(({ vm, ownSubnets }): VmPlace[] => {
    const zone = places.get(vm)?.zones[0];
    const subnet = fixed.get(vm)?.SubnetId;
    if (zone === undefined || (subnet === undefined && !ownSubnets)) return [];
    return [{ vm, ...(subnet === undefined ? {} : { subnet }), availabilityZone: zone }];
  });
  const { drCopies, toCopy } = copies;
  const unmade = new Set(toCopy.map(({ vm }) => vm));
  return {
    availabilityZone,
    drCopies: drCopies.filter(({ vm }) => !unmade.has(vm)),
    ...(toCopy.length === 0 ? {} : { toCopy }),
    ...(told.length === 0 ? {} : { places: told }),
    ...(notes.length === 0 ? {} : { notes }),
    version: lifeboatVersion(),
  };
}

/** Whether a VM's test would run in a subnet of production's. */
function sharesSubnets(plan: DrPlan, placed: Placement['placed']): boolean {
  const { production, test } = plan.recoverySite;
  const ofProduction = new Set([
    ...subnetsOf(production),
    ...placedVms(plan, false).flatMap(({ site }) => subnetsOf(site)),
  ]);
  return [test, ...placed.map(({ site }) => site)].some((site) =>
    subnetsOf(site).some((id) => ofProduction.has(id)),
  );
}

/** The failure that lists the findings, one a line, and how to go on all the same where that can be. */
function notReady(plan: DrPlan, test: boolean, stopping: Finding[]): ApplicationFailure {
  const codes = FORCEABLE.filter((code) => stopping.some((finding) => finding.code === code));
  const canBeForced = stopping.length > 0 && stopping.every(({ code }) => isForceable(code));
  return ApplicationFailure.create({
    message: [
      `The plan ${plan.name} is not ready for a ${test ? 'test ' : ''}failover; nothing was changed.`,
      ...stopping.map(({ text }) => `- ${text}`),
      ...(canBeForced ? [`To go on all the same: --force ${codes.join(',')}`] : []),
    ].join('\n'),
    type: 'NotReadyForFailover',
    nonRetryable: true,
    details: [
      {
        findings: stopping.map(({ text }) => text),
        codes: [...new Set(stopping.map(({ code }) => code))],
      } satisfies RefusalDetails,
    ],
  });
}
