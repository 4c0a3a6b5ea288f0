import { checkVmName } from '../objects/keys';
import { DamagedObjectError } from '../objects/json-object';
import { type ListedObject, type ObjectStore } from '../objects/object-store';

/**
 * What the consoles of a plan's VMs showed in failovers: `consoles/<plan>/<vm>/<runId>/<outcome>.jpg` is the screen,
 * `….txt` the end of what the guest wrote to its serial console. Those of a VM's newest runs stay.
 *
 * Both are what a guest shows and writes, which may be hostile. The store keeps them as bytes of no type, so that no browser
 * runs them.
 */

/** Whether the VM answered its probe. */
export type ConsoleOutcome = 'ready' | 'not-ready';

const OUTCOMES: readonly ConsoleOutcome[] = ['ready', 'not-ready'];
const KINDS = { screenshot: 'jpg', output: 'txt' } as const;
type Kind = keyof typeof KINDS;

/** Runs of which a VM's consoles are kept: two years of a test every month. */
export const KEPT_RUNS = 24;

/** EC2's pictures are JPEGs of a text or an unaccelerated screen and have some tens of KiB. Whatever has more is none of them. */
export const SCREENSHOT_BYTES = 2 ** 20;
/** GetConsoleOutput gives 64 KiB; nothing larger is written. */
const OUTPUT_BYTES = 64 * 2 ** 10;

/** A plan's name has the form of a VM's (plan/schema.ts). */
const prefixOf = (plan: string, vm: string): string => `consoles/${checkVmName(plan)}/${checkVmName(vm)}/`;

/** Run ids are Temporal's; the form is that of tags. */
const RUN_ID = '[A-Za-z0-9][A-Za-z0-9._:-]{0,127}';
const namePattern = new RegExp(`^(${RUN_ID})/(${OUTCOMES.join('|')})\\.(jpg|txt)$`);

/** What is kept of a VM's console in a run. */
export interface KeptConsole {
  runId: string;
  outcome: ConsoleOutcome;
  /** When it was last written, by the store's clock. */
  at: Date;
  /** Keys, below the repository's prefix. */
  screenshot?: string;
  output?: string;
}

/** What the objects of a VM in a run are named by. */
interface ConsoleOf {
  plan: string;
  vm: string;
  runId: string;
  outcome: ConsoleOutcome;
}

export function consoleKey({ plan, vm, runId, outcome }: ConsoleOf, kind: Kind): string {
  const name = `${runId}/${outcome}.${KINDS[kind]}`;
  if (!namePattern.test(name)) throw new Error(`A run cannot have the id ${JSON.stringify(runId)}.`);
  return prefixOf(plan, vm) + name;
}

/** Why bytes are no screenshot; undefined where they are one. */
export function screenshotProblem(bytes: Buffer): string | undefined {
  if (bytes.length > SCREENSHOT_BYTES) return `it has ${bytes.length} bytes, more than any screen of EC2's`;
  // JPEG begins with the markers SOI and the next one, and ends with EOI (ITU-T T.81, annex B).
  const begins = bytes.subarray(0, 3).equals(Buffer.from([0xff, 0xd8, 0xff]));
  const ends = bytes.subarray(-2).equals(Buffer.from([0xff, 0xd9]));
  return begins && ends ? undefined : 'it is no JPEG picture';
}

/** Stores what there is, over what another try of the same step has stored. @returns its key */
export async function keepConsole(
  store: ObjectStore,
  of: ConsoleOf,
  kind: Kind,
  bytes: Buffer,
): Promise<string> {
  const key = consoleKey(of, kind);
  await store.put(key, kind === 'output' ? bytes.subarray(-OUTPUT_BYTES) : bytes);
  return key;
}

/** All that is kept of a VM, the newest first. */
export async function listConsoles(store: ObjectStore, plan: string, vm: string): Promise<KeptConsole[]> {
  const found = new Map<string, KeptConsole>();
  for (const { object, runId, outcome, kind } of await listObjects(store, plan, vm)) {
    const { key, modified } = object;
    const one = found.get(`${runId} ${outcome}`) ?? { runId, outcome, at: modified };
    one[kind] = key;
    if (modified > one.at) one.at = modified;
    found.set(`${runId} ${outcome}`, one);
  }
  return [...found.values()].sort((a, b) => b.at.getTime() - a.at.getTime());
}

/** Deletes those of all but the newest runs. */
export async function pruneConsoles(store: ObjectStore, plan: string, vm: string): Promise<void> {
  const objects = await listObjects(store, plan, vm);
  const newest = new Map<string, number>();
  for (const { object, runId } of objects)
    newest.set(runId, Math.max(newest.get(runId) ?? 0, object.modified.getTime()));
  const runs = [...newest].sort(([, a], [, b]) => b - a).map(([runId]) => runId);
  const gone = new Set(runs.slice(KEPT_RUNS));
  for (const { object, runId } of objects) if (gone.has(runId)) await store.delete(object.key);
}

/** @throws DamagedObjectError where it is missing, or is no picture: whoever can write to the bucket can write anything there */
export async function readScreenshot(store: ObjectStore, key: string): Promise<Buffer> {
  const body = await read(store, key);
  const problem = screenshotProblem(body);
  if (problem !== undefined) throw new DamagedObjectError(key, `${problem}.`);
  return body;
}

/** What a guest wrote to its console, or whoever wrote the object: text of any origin. @throws DamagedObjectError */
export async function readConsoleOutput(store: ObjectStore, key: string): Promise<string> {
  const body = await read(store, key);
  if (body.length > OUTPUT_BYTES)
    throw new DamagedObjectError(key, `it has ${body.length} bytes, more than Lifeboat ever writes.`);
  return body.toString('utf8');
}

async function read(store: ObjectStore, key: string): Promise<Buffer> {
  const object = await store.get(key);
  if (object === undefined) throw new DamagedObjectError(key, 'it is missing.');
  return object.body;
}

async function listObjects(
  store: ObjectStore,
  plan: string,
  vm: string,
): Promise<{ object: ListedObject; runId: string; outcome: ConsoleOutcome; kind: Kind }[]> {
  const prefix = prefixOf(plan, vm);
  const found = [];
  for await (const object of store.list(prefix)) {
    const [, runId, told, ending] = namePattern.exec(object.key.slice(prefix.length)) ?? [];
    const outcome = OUTCOMES.find((one) => one === told);
    // Something else that somebody put there is not ours to look at, or to delete.
    if (runId === undefined || outcome === undefined) continue;
    found.push({ object, runId, outcome, kind: ending === 'jpg' ? 'screenshot' : 'output' } as const);
  }
  return found;
}
