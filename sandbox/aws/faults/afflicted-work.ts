import { AsyncLocalStorage } from 'node:async_hooks';

/** What a fault does to the work that a request begins and that goes on after its answer. */
export interface Affliction {
  /** Seconds that each of its states takes longer. */
  extraSeconds: number;
  /** Whether it ends in state `error`. */
  fails: boolean;
}

/** Follows a request into its background work, so that neither handlers nor states know of faults' rules. */
const present = new AsyncLocalStorage<Affliction>();

export function afflicting<T>(affliction: Affliction, work: () => T): T {
  return present.run(affliction, work);
}

/** Seconds that the present piece of work has to wait on top of what its states take. */
export function extraSeconds(): number {
  return present.getStore()?.extraSeconds ?? 0;
}

/** Whether what the present piece of work makes is to end in state `error`. */
export function workFails(): boolean {
  return present.getStore()?.fails ?? false;
}
