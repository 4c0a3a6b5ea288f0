import { createHash } from 'node:crypto';
import { z } from 'zod';
import { checkPlan } from '../../plan/check';
import { PLAN_NAME, planNamePattern } from '../../plan/names';
import { normalizedPlanSchema } from '../../plan/normalized';
import { fieldPath } from '../../plan/plan-error';
import { type BootScriptReference, type DrPlan } from '../../plan/schema';
import { canonicalJson, DamagedObjectError, parseJsonObject } from '../objects/json-object';
import { type ObjectStore } from '../objects/object-store';
import { type RetentionPolicy } from '../upkeep/retention';

/**
 * Published plans. A plan and its boot scripts are stored under the SHA-256 of their bytes, which makes them
 * immutable; `plans/by-name/<name>.json` points to the version that new runs use.
 */

/** No plan of that name, or with that digest, was ever published to this repository. */
export class PlanNotFoundError extends Error {
  constructor(plan: string, digest?: string) {
    super(
      digest === undefined
        ? `The backup repository has no plan named "${plan}". Publish it first, with any command that takes the plan file.`
        : `The backup repository has no plan "${plan}" with the digest ${digest}.`,
    );
    this.name = 'PlanNotFoundError';
  }
}

const sha256Pattern = /^[0-9a-f]{64}$/;
const pointerSchema = z.object({ digest: z.string().regex(sha256Pattern), publishedAt: z.iso.datetime() });

const planKey = (digest: string) => `plans/${digest}.json`;
const scriptKey = (sha256: string) => `plans/scripts/${sha256}`;
const pointerPrefix = 'plans/by-name/';
const pointerPattern = new RegExp(`^(${PLAN_NAME})\\.json$`);
const pointerKey = (name: string) => `${pointerPrefix}${name}.json`;

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

/** The digest that a normalized plan is stored under: SHA-256, lower-case hex, of its canonical JSON. */
export function planDigest(plan: DrPlan): string {
  return sha256(canonicalJson(plan));
}

/**
 * Stores a plan with its boot scripts and makes it the one that new runs use.
 * The pointer comes last, so that a plan which can be found is whole.
 * @throws Error where a boot script that the plan refers to is missing, or is not what its digest says
 */
export async function publishPlan(
  store: ObjectStore,
  plan: DrPlan,
  scripts: { sha256: string; content: Uint8Array }[],
): Promise<{ digest: string }> {
  for (const script of scripts)
    if (sha256(script.content) !== script.sha256)
      throw new Error(`A boot script's bytes do not have the digest ${script.sha256}.`);
  for (const { name, bootScript } of plan.vms)
    if (bootScript !== undefined && !scripts.some((script) => script.sha256 === bootScript.sha256))
      throw new Error(`The boot script "${bootScript.name}" of the VM "${name}" was not given.`);

  for (const script of scripts) await store.put(scriptKey(script.sha256), script.content);
  const json = canonicalJson(plan);
  const digest = sha256(json);
  await store.put(planKey(digest), Buffer.from(json));
  const pointer = { digest, publishedAt: new Date().toISOString() };
  await store.put(pointerKey(plan.name), Buffer.from(JSON.stringify(pointer)));
  return { digest };
}

/**
 * Finds a published plan: the version with the digest where one is given, else the newest.
 * @throws PlanNotFoundError
 * @throws DamagedObjectError where what is stored is no plan, another plan, or not what its digest says
 */
export async function loadPlan(
  store: ObjectStore,
  name: string,
  wantedDigest?: string,
): Promise<{ digest: string; plan: DrPlan }> {
  // Both become parts of object keys, and come from whoever started the workflow.
  if (!planNamePattern.test(name)) throw new PlanNotFoundError(name);
  if (wantedDigest !== undefined && !sha256Pattern.test(wantedDigest))
    throw new PlanNotFoundError(name, wantedDigest);

  const digest = wantedDigest ?? (await newestDigest(store, name));
  const key = planKey(digest);
  const object = await store.get(key);
  if (object === undefined) throw new PlanNotFoundError(name, digest);
  if (sha256(object.body) !== digest) throw new DamagedObjectError(key, 'its bytes do not have that digest.');
  const plan = parseJsonObject(key, object.body, normalizedPlanSchema);
  if (plan.name !== name) throw new DamagedObjectError(key, `it is the plan "${plan.name}", not "${name}".`);
  // A digest says that nobody changed the plan, not that whoever published it had checked it.
  const vms = plan.vms.map(({ bootScript, ...vm }) =>
    bootScript === undefined ? vm : { ...vm, bootScript: { ...bootScript, file: bootScript.name } },
  );
  const [problem] = checkPlan({ ...plan, vms });
  if (problem !== undefined)
    throw new DamagedObjectError(key, `${fieldPath(problem.path)}: ${problem.message}.`);
  return { digest, plan };
}

/** Names of all plans that were published to the repository. */
export async function publishedPlans(store: ObjectStore): Promise<string[]> {
  const names: string[] = [];
  for await (const { key } of store.list(pointerPrefix)) {
    const name = pointerPattern.exec(key.slice(pointerPrefix.length))?.[1];
    if (name !== undefined) names.push(name);
  }
  return names;
}

/**
 * The retention policies of all published plans that protect the VM: plans may share a repository, and what one of them
 * keeps no other may remove.
 * @throws DamagedObjectError where a published plan cannot be read: nobody knows what it keeps
 */
export async function retentionPolicies(store: ObjectStore, vm: string): Promise<RetentionPolicy[]> {
  const policies: RetentionPolicy[] = [];
  for (const name of await publishedPlans(store)) {
    const { plan } = await loadPlan(store, name);
    if (plan.vms.some((planned) => planned.name === vm)) policies.push(plan.repository.retention);
  }
  return policies;
}

async function newestDigest(store: ObjectStore, name: string): Promise<string> {
  const key = pointerKey(name);
  const object = await store.get(key);
  if (object === undefined) throw new PlanNotFoundError(name);
  return parseJsonObject(key, object.body, pointerSchema).digest;
}

/**
 * The bytes of a boot script that a published plan refers to.
 * @throws DamagedObjectError where it is missing or not what its digest says
 */
export async function loadBootScript(store: ObjectStore, reference: BootScriptReference): Promise<Buffer> {
  if (!sha256Pattern.test(reference.sha256))
    throw new DamagedObjectError(`plans/scripts/${reference.sha256}`, 'that is no SHA-256.');
  const key = scriptKey(reference.sha256);
  const object = await store.get(key);
  if (object === undefined)
    throw new DamagedObjectError(key, `the boot script "${reference.name}" is missing.`);
  if (sha256(object.body) !== reference.sha256)
    throw new DamagedObjectError(key, 'its bytes do not have that digest.');
  return object.body;
}
