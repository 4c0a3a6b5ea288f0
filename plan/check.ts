import { addressProblem } from './address-problem';
import { checkDecisions } from './decisions-check';
import { checkDnsRecords } from './dns-check';
import { checkHooks } from './hooks-check';
import { type NotifyReceiver } from './notices';
import { findCycle } from './order';
import { type PlanProblem } from './plan-error';
import { bothNames, primaryNameOf } from './primary-vm';
import { show } from './schema-problems';
import { repeated } from './repeated';
import { type PlanFile } from './schema';
import { checkSnapshotLock } from './snapshot-lock';
import { checkSites } from './recovery-site/sites-check';
import { unknownVm } from './unknown-vm';

/** Longer than a year is a slip of the keyboard, and more than a Temporal timer should be asked for. */
const MAX_DURATION_SECONDS = 366 * 86_400;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** What a schema cannot see: references between the parts of a plan, and values that exclude each other. */
export function checkPlan(plan: PlanFile): PlanProblem[] {
  return [
    ...duplicates(plan),
    ...dependencies(plan),
    ...addresses(plan),
    ...hostNames(plan),
    ...durations(plan),
    ...checkSites(plan),
    ...replication(plan),
    ...checkSnapshotLock(plan.replication.lock, ['replication', 'lock']),
    ...checkDnsRecords(plan),
    ...checkDecisions(plan),
    ...checkHooks(plan),
  ];
}

function* duplicates(plan: PlanFile): Generator<PlanProblem> {
  const everyVm = <T>(field: string, pick: (vm: PlanFile['vms'][number]) => T | undefined) =>
    plan.vms.flatMap((vm, index) => {
      const value = pick(vm);
      return value === undefined ? [] : [{ path: ['vms', index, field], value: String(value) }];
    });
  yield* repeated(
    everyVm('name', (vm) => vm.name),
    (name) => `two VMs are named "${name}"; give each a name of its own`,
  );
  yield* repeated(
    plan.vms.map((vm, index) => ({
      path: ['vms', index, vm.primaryVm === undefined ? 'name' : 'primaryVm'],
      // A UUID means the same in capitals.
      value: primaryNameOf(bothNames(vm)).replace(UUID, (uuid) => uuid.toLowerCase()),
    })),
    (name) => `two VMs of the plan are ${show(name)} at the primary site; give each a primaryVm of its own`,
  );
  yield* repeated(
    everyVm('primaryAddress', (vm) => vm.primaryAddress),
    (address) => `two VMs have the address ${address} at the primary site; give each its own`,
  );
  yield* repeated(
    plan.vms.flatMap((vm, index) =>
      vm.hostNames.map((value, position) => ({ path: ['vms', index, 'hostNames', position], value })),
    ),
    (name) => `the host name "${name}" is given twice; a name can lead to one VM only`,
  );
  yield* receivers(plan.notify ?? []);
  for (const [index, vm] of plan.vms.entries()) {
    const within = (field: 'instanceTypes' | 'dependsOn' | 'excludeDisks' | 'peers') =>
      (vm[field] ?? []).map((value, position) => ({ path: ['vms', index, field, position], value }));
    yield* repeated(within('instanceTypes'), (type) => `${type} is listed twice; take one out`);
    yield* repeated(within('excludeDisks'), (key) => `"${key}" is listed twice; take one out`);
    yield* repeated(within('dependsOn'), (name) => `"${name}" is listed twice; take one out`);
    yield* repeated(within('peers'), (name) => `"${name}" is listed twice; take one out`);
  }
}

function* receivers(all: readonly NotifyReceiver[]): Generator<PlanProblem> {
  yield* repeated(
    all.map(({ webhook, sns }, index) => ({
      path: ['notify', index],
      value: webhook?.url ?? sns?.topicArn ?? '',
    })),
    (receiver) => `${receiver} would be told all of it twice; make one entry of the two`,
  );
  for (const [index, { on = [] }] of all.entries())
    yield* repeated(
      on.map((value, position) => ({ path: ['notify', index, 'on', position], value })),
      (event) => `"${event}" is listed twice; take one out`,
    );
}

function* dependencies(plan: PlanFile): Generator<PlanProblem> {
  const names = plan.vms.map(({ name }) => name);
  // Circles can be told only where each name is known and means one VM.
  let clear = new Set(names).size === names.length;
  for (const [index, vm] of plan.vms.entries())
    for (const [position, dependency] of vm.dependsOn.entries()) {
      if (names.includes(dependency)) continue;
      clear = false;
      yield { path: ['vms', index, 'dependsOn', position], message: unknownVm(dependency, names) };
    }
  const cycle = clear ? findCycle(plan.vms) : undefined;
  if (cycle === undefined) return;
  const index = names.indexOf(cycle[0] ?? '');
  const position = plan.vms[index]?.dependsOn.indexOf(cycle[1] ?? '') ?? 0;
  const message =
    cycle.length === 2
      ? `"${cycle[0]}" depends on itself; take this entry out`
      : `the VMs depend on each other in a circle, ${cycle.join(' → ')}, so that none could start first; take one entry out`;
  yield { path: ['vms', index, 'dependsOn', position], message };
}

function* addresses(plan: PlanFile): Generator<PlanProblem> {
  for (const [index, vm] of plan.vms.entries()) {
    const message = addressProblem(vm.primaryAddress);
    if (message !== undefined) yield { path: ['vms', index, 'primaryAddress'], message };
  }
}

function* hostNames(plan: PlanFile): Generator<PlanProblem> {
  for (const [index, vm] of plan.vms.entries())
    for (const [position, name] of vm.hostNames.entries()) {
      const path = ['vms', index, 'hostNames', position];
      if (name === 'localhost' || name.endsWith('.localhost'))
        yield { path, message: `"${name}" always means the guest itself; choose another name` };
      else if (/(^|\.)\d+$/.test(name)) yield { path, message: `"${name}" is an address, not a host name` };
    }
}

function* durations(plan: PlanFile): Generator<PlanProblem> {
  const all: { path: PropertyKey[]; seconds: number }[] = [
    { path: ['replication', 'frequency'], seconds: plan.replication.frequency },
    ...plan.vms.map((vm, index) => ({
      path: ['vms', index, 'readiness', 'timeout'],
      seconds: vm.readiness.timeout,
    })),
  ];
  for (const [index, { bootScript }] of plan.vms.entries())
    if (bootScript?.timeout !== undefined)
      all.push({ path: ['vms', index, 'bootScript', 'timeout'], seconds: bootScript.timeout });
  for (const field of ['rpo', 'rto', 'testEvery'] as const) {
    const seconds = plan.objectives?.[field];
    if (seconds !== undefined) all.push({ path: ['objectives', field], seconds });
  }
  const { keepWithin } = plan.repository.retention;
  if (keepWithin !== undefined)
    all.push({ path: ['repository', 'retention', 'keepWithin'], seconds: keepWithin });
  for (const { path, seconds } of all) {
    if (seconds < 1) yield { path, message: 'must be at least 1s' };
    if (seconds > MAX_DURATION_SECONDS) yield { path, message: 'must be at most 366d' };
  }
}

function* replication({ replication: { copy, launchCopy } }: PlanFile): Generator<PlanProblem> {
  if (copy === 'volume' && launchCopy === true)
    yield {
      path: ['replication', 'launchCopy'],
      message:
        'launch copies are written by EBS direct, which "copy: volume" is to do without; set one or the other',
    };
}
