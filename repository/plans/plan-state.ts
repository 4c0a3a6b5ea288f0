import { z } from 'zod';
import { type PlanPhase, type PlanState, type RunContext } from '../../plan/run';
import { DamagedObjectError, parseJsonObject } from '../objects/json-object';
import { type ObjectStore } from '../objects/object-store';
import { retryConflicts } from '../objects/retry-conflicts';
import { arriving, leaving, type Moved, type Taken, travellingFields } from './travelling-state';

/**
 * The one state of each plan, `state/<plan>.json`. It is written with conditional PUTs only, so that of two runs which
 * want it at the same time one gets it and the other finds out; and every taking raises the generation, which fences
 * off whoever held it before, even a run that does not know that it is no longer wanted.
 */

/** The plan is in a phase from which the run may not begin. */
export class WrongPhaseError extends Error {
  constructor(
    readonly plan: string,
    readonly phase: PlanPhase | 'none',
    readonly allowed: readonly (PlanPhase | 'none')[],
  ) {
    const phrase = (value: PlanPhase | 'none') => (value === 'none' ? 'without a state' : `"${value}"`);
    super(`The plan "${plan}" is ${phrase(phase)}; this needs it to be ${allowed.map(phrase).join(' or ')}.`);
    this.name = 'WrongPhaseError';
  }
}

/** Another run has taken the plan's state: this one may change nothing any more. */
export class FencedError extends Error {
  constructor(
    run: Omit<RunContext, 'generation'> & Partial<Pick<RunContext, 'generation'>>,
    current: PlanState | undefined,
  ) {
    const before = run.generation === undefined ? 'it' : `generation ${run.generation} of it`;
    super(
      current === undefined
        ? `The plan "${run.plan}" has no state any more; this run held ${before}.`
        : current.runId === run.runId
          ? `This run has taken the plan "${run.plan}" before, and moved it on to "${current.phase}"; it takes it once.`
          : `The run ${current.runId} has taken the plan "${run.plan}" (generation ${current.generation}, ` +
            `"${current.phase}") since this run took or read ${before}.`,
    );
    this.name = 'FencedError';
  }
}

const stateSchema: z.ZodType<PlanState> = z.object({
  plan: z.string(),
  phase: z.enum(['protected', 'failing-over', 'failed-over', 'failing-back', 'failed-back']),
  generation: z.int().positive(),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  runId: z.string().min(1),
  formerRunIds: z.array(z.string().min(1)).optional(),
  updatedAt: z.iso.datetime(),
  ...travellingFields,
});

/** A plan replicates every few minutes at most, so these are some hours: no call that was held up comes later. */
const FORMER_RUNS = 50;

interface Held {
  state: PlanState;
  etag: string;
}

/** Where a plan's state is, below the repository's prefix. */
export const stateKey = (plan: string) => `state/${plan}.json`;

/** @returns undefined where the plan never had a state. @throws DamagedObjectError */
export async function readPlanState(store: ObjectStore, plan: string): Promise<PlanState | undefined> {
  return (await readHeld(store, plan))?.state;
}

/**
 * Takes the state: moves it from one of `from` to `to` and raises the generation by one. The run that holds it with
 * the phase `to` already gets what it holds: a reply that was lost does no harm. A run gets it once: a call that comes
 * late, when the run has moved it on or lost it, must not take it for a run that is over.
 * @throws WrongPhaseError
 * @throws FencedError
 * @throws ConflictError where others keep changing the state meanwhile
 */
export async function takePlanState(
  store: ObjectStore,
  run: Omit<RunContext, 'generation'>,
  from: readonly (PlanPhase | 'none')[],
  to: PlanPhase,
  taken: Taken = {},
): Promise<PlanState> {
  return retryConflicts(async () => {
    const held = await readHeld(store, run.plan);
    if (held?.state.runId === run.runId && held.state.phase === to) return held.state;
    const phase = held?.state.phase ?? 'none';
    if (!from.includes(phase)) throw new WrongPhaseError(run.plan, phase, from);
    const formerRunIds = held === undefined ? [] : [held.state.runId, ...(held.state.formerRunIds ?? [])];
    if (formerRunIds.includes(run.runId)) throw new FencedError(run, held?.state);
    const now = new Date();
    return write(store, held, {
      plan: run.plan,
      phase: to,
      generation: (held?.state.generation ?? 0) + 1,
      digest: run.digest,
      runId: run.runId,
      formerRunIds: formerRunIds.slice(0, FORMER_RUNS),
      updatedAt: now.toISOString(),
      ...leaving(held?.state, to, taken, now),
    });
  });
}

/**
 * Moves the state that the run holds on to another phase, keeping the generation.
 * @throws FencedError
 * @throws ConflictError where others keep changing the state meanwhile
 */
export async function movePlanState(
  store: ObjectStore,
  run: RunContext,
  to: PlanPhase,
  moved: Moved = {},
): Promise<PlanState> {
  return retryConflicts(async () => {
    const held = await readHeld(store, run.plan);
    if (held === undefined || !holds(run, held.state)) throw new FencedError(run, held?.state);
    if (held.state.phase === to) return held.state;
    return write(store, held, arriving(held.state, to, moved, new Date().toISOString()));
  });
}

/**
 * Changes what the state says beside its phase, whoever holds it.
 * @param change gets the state as it is; what it returns is written, unless it is the same object
 * @throws ConflictError where others keep changing the state meanwhile
 */
export async function changePlanState(
  store: ObjectStore,
  plan: string,
  change: (state: PlanState | undefined) => PlanState | undefined,
): Promise<PlanState | undefined> {
  return retryConflicts(async () => {
    const held = await readHeld(store, plan);
    const changed = change(held?.state);
    if (changed === undefined || changed === held?.state) return held?.state;
    return write(store, held, changed);
  });
}

/** @throws FencedError where the run does not hold the state (any more) */
export async function checkPlanState(store: ObjectStore, run: RunContext): Promise<void> {
  const state = await readPlanState(store, run.plan);
  if (state === undefined || !holds(run, state)) throw new FencedError(run, state);
}

/**
 * For a run that takes nothing of the state, but may change things only as long as nobody else has taken it.
 * @throws FencedError where another run has taken the state since this one read it
 */
export async function checkGeneration(store: ObjectStore, run: RunContext): Promise<void> {
  const state = await readPlanState(store, run.plan);
  if ((state?.generation ?? 0) !== run.generation) throw new FencedError(run, state);
}

function holds(run: RunContext, state: PlanState): boolean {
  return state.runId === run.runId && state.generation === run.generation;
}

async function readHeld(store: ObjectStore, plan: string): Promise<Held | undefined> {
  const key = stateKey(plan);
  const object = await store.get(key);
  if (object === undefined) return undefined;
  const state = parseJsonObject(key, object.body, stateSchema);
  if (state.plan !== plan) throw new DamagedObjectError(key, `it is the state of the plan "${state.plan}".`);
  return { state, etag: object.etag };
}

async function write(store: ObjectStore, replaced: Held | undefined, state: PlanState): Promise<PlanState> {
  const body = Buffer.from(JSON.stringify(state));
  if (replaced === undefined) await store.putNew(stateKey(state.plan), body);
  else await store.putIfUnchanged(stateKey(state.plan), body, replaced.etag);
  return state;
}
