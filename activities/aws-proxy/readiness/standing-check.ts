import { GetEbsEncryptionByDefaultCommand } from '@aws-sdk/client-ec2';
import { type KMSClient } from '@aws-sdk/client-kms';
import { type Finding } from '../../../plan/readiness';
import { type DrPlan } from '../../../plan/schema';
import { guestFactsOf } from '../../../plan/tested';
import { findKeptInstances } from '../account/kept-tests';
import { allSets, findLockedCopies } from '../account/locked-copies';
import { type CheckedReadiness, type FailoverReadiness, type ReadinessActivities } from './contract';
import {
  ageFindings,
  encryptionFindings,
  guestFindings,
  keyFindings,
  launchCopyFindings,
} from './dr-copy-state';
import { type CheckedCopies } from './dr-copies';
import { asked } from './asked';
import { keptTestFindings } from './kept-test-findings';
import { keyStateFindings } from './key-states';
import { lockFindings } from './locks';
import { lookAtSite, type PreflightDependencies, type SiteLooks } from './looks';
import { failoverFindings, failoverReadiness, regionFindings } from './preflight';
import { permissionFindings } from './permissions';
import { probePortFindings } from './probe-ports';
import { recycleBinFindings } from './recycle-bin';
import { endpointFindings } from './s3-endpoint';

/** More than a person reads; a plan of a thousand VMs with each in trouble must not fill a workflow's history. */
const MOST_FINDINGS = 500;
/** What a guest's warning or AWS's message may have of a finding. */
const MOST_CHARACTERS = 2000;

export interface StandingDependencies extends PreflightDependencies {
  kms: KMSClient;
  /** The instance that this AWS proxy is; absent where it is none. */
  instanceId?: string;
}

type CheckReadiness = Parameters<ReadinessActivities['checkReadiness']>[0];

/** See {@link ReadinessActivities}. Changes nothing. */
export async function checkReadiness(
  dependencies: StandingDependencies,
  { run, plan, replicated }: CheckReadiness,
): Promise<CheckedReadiness> {
  const { ec2, region } = dependencies;
  const elsewhere = regionFindings(plan, region);
  if (elsewhere.length > 0) return { findings: elsewhere, recoveryPoints: {}, proxyZones: [] };
  const looks = await lookAtSite(dependencies, plan, {
    repository: run.repository,
    modes: ['production', 'test'],
  });
  const { copies, quotas } = looks;
  const { sets } = copies;
  const production = failoverFindings(plan, 'production', looks);
  // Where a failover would be refused, it attaches nothing.
  const ready = production.length > 0 ? undefined : failoverReadiness(plan, 'production', looks);
  const findings = [
    ...production,
    ...testFindings(plan, looks, production),
    ...quotas.filter(({ severity }) => severity === 'warning'),
    ...(replicated ? ageFindings(plan, sets, new Date()) : []),
    ...(replicated && plan.replication.lock !== undefined
      ? await asked('locks on snapshots', 'ec2:DescribeLockedSnapshots', async () =>
          lockFindings(plan, sets, await findLockedCopies(ec2, allSets(copies.snapshots)), new Date()),
        )
      : []),
    ...keyFindings(plan, sets),
    ...(await keyStateFindings(dependencies.kms, plan, sets)),
    ...launchCopyFindings(plan, sets, copies.launchCopies),
    ...[...copies.guests].flatMap(([vm, guest]) => guestFindings(vm, guest)),
    ...probePortFindings(plan, looks),
    ...dnsWarnings(looks),
    ...(await asked('EBS encryption by default', 'ec2:GetEbsEncryptionByDefault', async () => {
      const { EbsEncryptionByDefault } = await ec2.send(new GetEbsEncryptionByDefaultCommand({}));
      return encryptionFindings(EbsEncryptionByDefault ?? false, plan, sets);
    })),
    ...(await endpointFindings(dependencies, plan, run.repository)),
    ...(await recycleBinFindings(ec2, plan)),
    ...(await permissionFindings(ec2, run, plan, looks)),
    ...keptTestFindings(plan.name, await findKeptInstances(ec2, plan.name), new Date()),
  ];
  return {
    findings: mostOf(findings),
    recoveryPoints: Object.fromEntries(sets.map(({ vm, recoveryPoint }) => [vm, recoveryPoint])),
    ...sampleOf(copies),
    proxyZones: ready === undefined ? [] : proxyZones(plan, ready, looks),
    guests: guestsOf(copies),
  };
}

/** What would stop a test failover alone, which is no reason to call the plan not ready. @param production what stops either */
function testFindings(plan: DrPlan, looks: SiteLooks, production: Finding[]): Finding[] {
  const known = new Set(production.map(({ text }) => text));
  return failoverFindings(plan, 'test', looks)
    .filter(({ text }) => !known.has(text))
    .map((finding) => ({ ...finding, severity: 'warning' }));
}

function dnsWarnings({ dns }: SiteLooks): Finding[] {
  return (dns.warnings ?? []).map((text) => ({
    code: 'dns',
    severity: 'warning',
    text,
    todo: 'Look at it: lifeboat dns check PLAN. TTLs are lowered by lifeboat dns lower-ttl PLAN.',
  }));
}

/** A snapshot that every worker may read that copies home. */
function sampleOf({ drCopies }: CheckedCopies): Pick<CheckedReadiness, 'snapshotId'> {
  const snapshotId = drCopies[0]?.disks[0]?.snapshotId;
  return snapshotId === undefined ? {} : { snapshotId };
}

const guestsOf = ({ drCopies, guests }: CheckedCopies): NonNullable<CheckedReadiness['guests']> =>
  Object.fromEntries(
    drCopies.map(({ vm, configuration }) => [vm, guestFactsOf({ configuration, guest: guests.get(vm) })]),
  );

/** Zones of the volumes of VMs that have no launch copy. */
function proxyZones(plan: DrPlan, ready: FailoverReadiness, looks: SiteLooks): string[] {
  const places = new Map(ready.places?.map(({ vm, availabilityZone }) => [vm, availabilityZone]));
  const zones = plan.vms
    .filter(({ name }) => !looks.copies.launchCopies.has(name))
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
