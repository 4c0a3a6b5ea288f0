import { type DrPlan } from '../../../plan/schema';
import { type HistoryStep, type RunHistory } from './history';
import { listAt, textAt, valueAt } from './values';

/** A step, and the VM that it is about. */
export interface StepOf extends HistoryStep {
  vm: string | undefined;
}

/** What the histories of a run say, by what it is asked for. */
export class RunFacts {
  /** Of the run and of its children, in the order in which they were asked for. */
  readonly steps: readonly StepOf[];
  private readonly byActivity = new Map<string, StepOf[]>();
  private readonly byVm = new Map<string, StepOf[]>();
  private readonly results: ReadonlyMap<string, unknown>;
  readonly plan: DrPlan | undefined;
  readonly digest: string | undefined;

  constructor(readonly history: RunHistory) {
    this.steps = [
      ...history.run.steps
        // By which this is written.
        .filter(({ activity }) => activity !== 'writeEvidence')
        .map((step) => ({ ...step, vm: textAt(step.input, 'vm') })),
      ...history.children.flatMap(({ vm, history: { steps } }) =>
        steps.map((step) => ({ ...step, vm: vm ?? textAt(step.input, 'vm') })),
      ),
    ].sort((one, other) => (one.from < other.from ? -1 : one.from > other.from ? 1 : 0));
    for (const step of this.steps) {
      add(this.byActivity, step.activity, step);
      if (step.vm !== undefined) add(this.byVm, step.vm, step);
    }
    this.results = new Map(
      history.children.flatMap(({ vm, of: { result } }) =>
        vm === undefined || result === undefined ? [] : [[vm, result]],
      ),
    );
    const loaded = this.of('loadPlan').find(({ outcome }) => outcome === 'done')?.result;
    // The control worker has validated it when it was published.
    this.plan = valueAt(loaded, 'plan') as DrPlan | undefined;
    this.digest = textAt(loaded, 'digest');
  }

  /** Whether VMs have workflows of their own, which tell that they are up. */
  get hasVmChildren(): boolean {
    return this.history.children.some(({ vm }) => vm !== undefined);
  }

  of(...activities: string[]): StepOf[] {
    return activities.flatMap((activity) => this.byActivity.get(activity) ?? []);
  }

  /** Steps that came to a good end. */
  done(...activities: string[]): StepOf[] {
    return this.of(...activities).filter(({ outcome }) => outcome === 'done');
  }

  ofVm(vm: string, ...activities: string[]): StepOf[] {
    const all = this.byVm.get(vm) ?? [];
    return activities.length === 0 ? all : all.filter(({ activity }) => activities.includes(activity));
  }

  /** What the VM's child workflow came to. */
  resultOf(vm: string): unknown {
    return this.results.get(vm);
  }

  /** The entry about a VM in the lists that these activities gave, the last one. */
  entryOf(vm: string, path: string[], ...activities: string[]): unknown {
    for (const activity of activities) {
      const lists = this.done(activity).map(({ result }) => this.entries(result, path));
      for (const list of lists.reverse()) if (list.has(vm)) return list.get(vm);
    }
    return undefined;
  }

  private readonly lists = new WeakMap<object, Map<string, Map<string, unknown>>>();

  /** A list of entries by their VM; of a thousand VMs, it is gone through once. */
  private entries(result: unknown, path: string[]): Map<string, unknown> {
    if (typeof result !== 'object' || result === null) return new Map();
    const known = this.lists.get(result) ?? new Map<string, Map<string, unknown>>();
    this.lists.set(result, known);
    const before = known.get(path.join());
    if (before !== undefined) return before;
    const made = new Map(
      listAt(result, ...path).flatMap((entry) => {
        const vm = textAt(entry, 'vm');
        return vm === undefined ? [] : [[vm, entry] as const];
      }),
    );
    known.set(path.join(), made);
    return made;
  }
}

function add<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
