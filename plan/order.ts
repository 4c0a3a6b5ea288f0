/** The part of a planned VM that its place in the order depends on. */
interface Ordered {
  name: string;
  dependsOn: readonly string[];
}

/** The VMs that must answer before `vm` starts, in plan order. Direct ones; theirs follow from the order itself. */
export function dependenciesOf(plan: { vms: readonly Ordered[] }, vm: string): string[] {
  const planned = plan.vms.find(({ name }) => name === vm);
  if (planned === undefined) throw new Error(`There is no VM "${vm}" in this plan.`);
  return plan.vms.map(({ name }) => name).filter((name) => planned.dependsOn.includes(name));
}

/** Names of the VMs that `vm` depends on, directly or not. */
export function allDependencies(vm: string, byName: ReadonlyMap<string, Ordered>): Set<string> {
  const found = new Set(byName.get(vm)?.dependsOn);
  // A set iterates over what is added meanwhile, so this ends when nothing new turns up.
  for (const name of found) for (const next of byName.get(name)?.dependsOn ?? []) found.add(next);
  return found;
}

/**
 * The VMs in waves: each depends on VMs of earlier waves only, and stands in the earliest wave that it can.
 * A run need not wait for a whole wave; a VM may start as soon as its own dependencies answer.
 * @throws Error where the dependencies go round in a circle, or name a VM that the plan has not
 */
export function startOrder(plan: { vms: readonly Ordered[] }): string[][] {
  const waves: string[][] = [];
  const placed = new Set<string>();
  while (placed.size < plan.vms.length) {
    const wave = plan.vms
      .filter(
        ({ name, dependsOn }) => !placed.has(name) && dependsOn.every((dependency) => placed.has(dependency)),
      )
      .map(({ name }) => name);
    if (wave.length === 0) {
      const cycle = findCycle(plan.vms);
      throw new Error(
        cycle === undefined
          ? 'A VM depends on one that is not in the plan.'
          : `The VMs depend on each other in a circle: ${cycle.join(' → ')}.`,
      );
    }
    waves.push(wave);
    for (const name of wave) placed.add(name);
  }
  return waves;
}

/** The VMs, each depending on those that depended on it: the order in which they stop. */
export function reversed<V extends Ordered>(vms: readonly V[]): (V & { dependsOn: string[] })[] {
  const dependents = new Map<string, string[]>(vms.map(({ name }) => [name, []]));
  for (const { name, dependsOn } of vms) for (const needed of dependsOn) dependents.get(needed)?.push(name);
  return vms.map((vm) => ({ ...vm, dependsOn: dependents.get(vm.name) ?? [] }));
}

/** The VMs, none of which waits for another. */
export const independently = <V extends Ordered>(vms: readonly V[]): (V & { dependsOn: string[] })[] =>
  vms.map((vm) => ({ ...vm, dependsOn: [] }));

/** The VMs, each depending on no others than these. */
export function amongThemselves<V extends Ordered>(vms: readonly V[]): (V & { dependsOn: string[] })[] {
  const names = new Set(vms.map(({ name }) => name));
  return vms.map((vm) => ({ ...vm, dependsOn: vm.dependsOn.filter((name) => names.has(name)) }));
}

/**
 * A circle of dependencies, its first VM named again at its end (`web → db → web`), or undefined where there is
 * none. Begins with the VM of the circle that stands first in the plan.
 */
export function findCycle(vms: readonly Ordered[]): string[] | undefined {
  const byName = new Map(vms.map((vm) => [vm.name, vm]));
  const done = new Set<string>();
  for (const start of vms) {
    // Depth first with a stack of its own: a hostile plan could chain more VMs than calls can nest.
    const trail: { name: string; left: string[] }[] = [];
    const enter = (name: string): void => {
      trail.push({ name, left: [...(byName.get(name)?.dependsOn ?? [])] });
    };
    if (!done.has(start.name)) enter(start.name);
    for (let top = trail.at(-1); top !== undefined; top = trail.at(-1)) {
      const next = top.left.shift();
      if (next === undefined) {
        done.add(top.name);
        trail.pop();
        continue;
      }
      const seen = trail.findIndex(({ name }) => name === next);
      if (seen >= 0)
        return beginFirst(
          vms,
          trail.slice(seen).map(({ name }) => name),
        );
      if (!done.has(next)) enter(next);
    }
  }
  return undefined;
}

function beginFirst(vms: readonly Ordered[], circle: string[]): string[] {
  const first = vms.find(({ name }) => circle.includes(name))?.name ?? '';
  const at = circle.indexOf(first);
  return [...circle.slice(at), ...circle.slice(0, at), first];
}
