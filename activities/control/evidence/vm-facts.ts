import { instant } from './times';
import { startOrder } from '../../../plan/order';
import { type Probe, probesOf, type ReadinessProbe } from '../../../plan/probes';
import { subnetsOf } from '../../../plan/recovery-site/subnets';
import { vmSite } from '../../../plan/recovery-site/vm-site';
import { type DrPlan, type PlannedVm } from '../../../plan/schema';
import { type EvidenceVm } from '../../../repository/evidence/document';
import { type RunFacts, type StepOf } from './run-facts';
import { listAt, numberAt, textAt, textsAt, timeAt, told, toldOrNull, valueAt } from './values';

/** A VM that was left out of the run, as the run tells it. */
export interface LeftOut {
  vm: string;
  why: string;
  by?: string;
  at?: string;
  notRemoved?: string;
}

/** What only the repository tells of a recovery point. */
export interface PointFacts {
  takenAt: string;
  consistency: string;
  dataBlocks: number;
}

/** What a picture, or another object that is named in the document, is. */
export interface ObjectFacts {
  sha256: string | null;
  inPage: boolean;
}

export interface VmSources {
  facts: RunFacts;
  plan: DrPlan;
  test: boolean;
  leftOut: readonly LeftOut[];
  points: ReadonlyMap<string, PointFacts>;
  consoles: ReadonlyMap<string, ConsoleFacts>;
  objects: ReadonlyMap<string, ObjectFacts>;
}

/** Every VM of the plan, in its order. */
export function vmsOf(sources: VmSources): EvidenceVm[] {
  const { plan } = sources;
  const tiers = new Map(startOrder(plan).flatMap((names, tier) => names.map((name) => [name, tier + 1])));
  return plan.vms.map((vm) => vmOf(sources, vm, tiers.get(vm.name) ?? null));
}

function vmOf(sources: VmSources, vm: PlannedVm, tier: number | null): EvidenceVm {
  const { facts, plan, test, leftOut } = sources;
  const { name } = vm;
  const result = facts.resultOf(name);
  const probe = probeOf(facts, name);
  const left = leftOut.find((one) => one.vm === name);
  const site = vmSite(test ? plan.recoverySite.test : plan.recoverySite.production, vm, test);
  const up = result !== undefined || (!facts.hasVmChildren && probe?.answered === true);
  return {
    ...{ vm: name, tier, dependsOn: vm.dependsOn, optional: vm.optional === true },
    outcome: left !== undefined ? 'left out' : up ? 'up' : 'not up',
    leftOut:
      left === undefined
        ? null
        : {
            why: told(left.why),
            by: toldOrNull(left.by),
            at: left.at === undefined ? null : instant(left.at),
            notRemoved: toldOrNull(left.notRemoved),
          },
    wanted: {
      instanceTypes: vm.instanceTypes,
      subnets: subnetsOf(site),
      securityGroups: site.securityGroups,
    },
    instance: instanceOf(facts, name, result),
    capacityFallbacks: facts
      .ofVm(name)
      .filter(({ errorType, outcome }) => errorType === 'NoCapacity' && outcome === 'failed')
      .map((step) => ({
        at: step.to ?? step.from,
        instanceType: toldOrNull(textAt(step.input, 'instanceType')),
        subnet: toldOrNull(textAt(step.input, 'subnet')),
        error: told(step.error ?? 'no reason given'),
      })),
    recoveryPoint: recoveryPointOf(sources, name),
    probe,
    readyAt: timeAt(result, 'readyAt') ?? (probe?.answered === true ? probe.at : null),
    bootScripts: bootScriptsOf(facts, vm, result),
    bootProof: bootProofOf(sources, name),
    copies: facts.ofVm(name).flatMap(copyOf),
    warnings: textsAt(result, 'warnings'),
  };
}

const LAUNCHES = ['launchInstance', 'launchShell', 'launchLicensedShell'];

function instanceOf(facts: RunFacts, vm: string, result: unknown): EvidenceVm['instance'] {
  const launch = facts.ofVm(vm, ...LAUNCHES).findLast(({ outcome }) => outcome === 'done');
  const read = facts.entryOf(vm, [], 'readInstances');
  const source = [result, launch?.result, read].find((one) => textAt(one, 'instanceId') !== undefined);
  const id = textAt(source, 'instanceId');
  if (id === undefined) return null;
  const text = (field: string): string | null => toldOrNull(textAt(source, field));
  return {
    id: told(id),
    type: text('instanceType') ?? toldOrNull(textAt(launch?.input, 'instanceType')),
    availabilityZone: text('availabilityZone'),
    ...{ privateAddress: text('privateAddress'), publicAddress: text('publicAddress') },
    launchedBy: text('launchedBy'),
  };
}

/** Where the run's recovery point of a VM is told: the id of the backup, and of what the rest is read. */
export function pointOf(facts: RunFacts, vm: string): { backupId: string; source: unknown } | undefined {
  const copied = facts.done('finishPointCopy').findLast(({ result }) => textAt(result, 'vm') === vm)?.result;
  const source =
    copied ??
    facts.entryOf(vm, ['drCopies'], 'checkFailover') ??
    facts.entryOf(vm, ['toCopy'], 'checkFailover') ??
    facts.entryOf(vm, [], 'readInstances');
  const backupId = textAt(source, 'recoveryPoint');
  return backupId === undefined ? undefined : { backupId, source };
}

function recoveryPointOf({ facts, points }: VmSources, vm: string): EvidenceVm['recoveryPoint'] {
  const point = pointOf(facts, vm);
  if (point === undefined) return null;
  const { backupId, source } = point;
  const known = points.get(vm);
  const takenAt = timeAt(source, 'takenAt') ?? timeAt(known, 'takenAt') ?? null;
  const age = takenAt === null ? null : Date.parse(facts.history.run.startedAt) - Date.parse(takenAt);
  return {
    backupId: told(backupId),
    takenAt,
    // Of a planned failover the last backup is of after the start.
    ageSeconds: age === null ? null : Math.max(0, Math.round(age / 100) / 10),
    ...{ consistency: known?.consistency ?? null, dataBlocks: known?.dataBlocks ?? null },
    disks: listAt(source, 'disks').map((disk) => ({
      key: told(textAt(disk, 'key') ?? '?'),
      sizeBytes: numberAt(disk, 'sizeBytes') ?? null,
      snapshotId: toldOrNull(textAt(disk, 'snapshotId') ?? textAt(disk, 'copySnapshotId')),
    })),
    launchCopySnapshots: listAt(source, 'launchCopy', 'snapshots').flatMap(
      (snapshot) => toldOrNull(textAt(snapshot, 'snapshotId')) ?? [],
    ),
  };
}

function probeOf(facts: RunFacts, vm: string): EvidenceVm['probe'] {
  const asked = facts.ofVm(vm, 'waitUntilReady').at(-1);
  if (asked === undefined) return null;
  return {
    asked: probesIn(asked),
    answered: asked.outcome === 'done',
    at: asked.to ?? null,
    seconds: numberAt(asked.result, 'seconds') ?? null,
    tries: asked.tries,
    error: asked.error === undefined ? null : told(asked.error),
  };
}

/** What was asked, without what may be a secret: the query of a path, and the text that was to be in the answer. */
function probesIn({ input }: StepOf): string[] {
  const probe = valueAt(input, 'probe');
  const address = textAt(input, 'address') ?? 'the VM';
  if (typeof probe !== 'object' || probe === null) return [];
  return probesOf(probe as ReadinessProbe).map((one) => told(probeText(one, address)));
}

function probeText({ tcp, http, https }: Probe, address: string): string {
  if (tcp !== undefined) return `TCP ${address}:${tcp} takes a connection`;
  const [scheme, request] = https === undefined ? (['http', http] as const) : (['https', https] as const);
  if (request === undefined) return 'not recorded';
  const [path, ...query] = request.path.split('?');
  return (
    `${scheme}://${address}:${request.port}${path}${query.length > 0 ? '?…' : ''} answers ${request.status}` +
    (request.host === undefined ? '' : ` as ${request.host}`) +
    (request.contains === undefined ? '' : ', with the text that the plan wants in it')
  );
}

function bootScriptsOf(facts: RunFacts, { name, bootScript }: PlannedVm, result: unknown) {
  const inResult = listAt(result, 'bootScripts');
  const read = listAt(facts.entryOf(name, [], 'readBootScripts'), 'bootScripts');
  const required = listAt(facts.ofVm(name, 'requireBootScripts').at(-1)?.result);
  const scripts = [inResult, read, required].find((list) => list.length > 0) ?? [];
  return scripts.map((script) => {
    const scriptName = textAt(script, 'name') ?? '?';
    const status = numberAt(script, 'status');
    return {
      name: told(scriptName),
      sha256: bootScript?.name === scriptName ? bootScript.sha256 : null,
      status: status !== undefined && Number.isInteger(status) ? status : ('unknown' as const),
      reason: toldOrNull(textAt(script, 'reason')),
    };
  });
}

/** What was kept of a VM's console: keys in the repository. */
export interface ConsoleFacts {
  takenAt: string;
  /** Whether the VM had answered. */
  ready: boolean;
  statusChecks?: { system: string; instance: string };
  screenshot?: string;
  output?: string;
}

/** What was kept when the VM had answered. */
export function consoleOf(facts: RunFacts, vm: string): ConsoleFacts | undefined {
  const kept = valueAt(facts.entryOf(vm, [], 'keepConsoles'), 'console');
  const takenAt = timeAt(kept, 'takenAt');
  if (takenAt === undefined) return undefined;
  const [screenshot, output] = [textAt(kept, 'screenshot'), textAt(kept, 'output')];
  const [system, instance] = [
    textAt(kept, 'statusChecks', 'system'),
    textAt(kept, 'statusChecks', 'instance'),
  ];
  return {
    ...{ takenAt, ready: true },
    ...(system === undefined || instance === undefined ? {} : { statusChecks: { system, instance } }),
    ...(screenshot === undefined ? {} : { screenshot }),
    ...(output === undefined ? {} : { output }),
  };
}

/** Whether the VM did not answer its probe in time, of which a picture is kept, too. */
export const didNotAnswer = (facts: RunFacts, vm: string): boolean =>
  facts.ofVm(vm, 'waitUntilReady').at(-1)?.outcome === 'failed';

function bootProofOf({ consoles, objects }: VmSources, vm: string): EvidenceVm['bootProof'] {
  const kept = consoles.get(vm);
  if (kept === undefined) return null;
  const { takenAt, ready, statusChecks, screenshot, output } = kept;
  const object = (key: string | undefined) =>
    key === undefined ? null : { key: told(key), ...(objects.get(key) ?? { sha256: null, inPage: false }) };
  return {
    ...{ takenAt: instant(takenAt), ready },
    statusChecks:
      statusChecks === undefined
        ? null
        : { system: told(statusChecks.system), instance: told(statusChecks.instance) },
    ...{ screenshot: object(screenshot), output: object(output) },
  };
}

/** What a step has copied, where it has. */
export function copyOf({ activity, outcome, input, result }: StepOf): EvidenceVm['copies'] {
  const [blocks, bytes, seconds] = [
    numberAt(result, 'blocks'),
    numberAt(result, 'bytes'),
    numberAt(result, 'seconds'),
  ];
  if (outcome !== 'done' || blocks === undefined || bytes === undefined || seconds === undefined) return [];
  const disk = textAt(input, 'diskKey') ?? textAt(input, 'disk', 'key');
  return [{ step: activity, disk: toldOrNull(disk), blocks, bytes, seconds }];
}
