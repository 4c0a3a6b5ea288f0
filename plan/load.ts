import path from 'node:path';
import { BootScriptError, type LoadedBootScript, readBootScript } from './boot-scripts';
import { checkPlan } from './check';
import { type PlanDocument, readPlanDocument } from './document';
import { type PlanProblem } from './plan-error';
import { type DrPlan, type PlanFile, planFileSchema, type PlannedVm } from './schema';
import { schemaProblems } from './schema-problems';

export { PlanError } from './plan-error';

/** A plan from a file, normalized, with the boot scripts that it refers to; each script once. */
export interface LoadedPlan {
  plan: DrPlan;
  scripts: LoadedBootScript[];
}

/**
 * Loads and checks a plan file. Nothing is asked of AWS or the primary site.
 * @throws PlanError the first problem of the file, with line, column and field
 */
export async function loadPlanFile(file: string): Promise<LoadedPlan> {
  const document = await readPlanDocument(file);
  const parsed = planFileSchema.safeParse(document.value);
  if (!parsed.success) throw first(document, schemaProblems(planFileSchema, document.value, parsed.error));

  const problems = checkPlan(parsed.data);
  const scripts = await loadScripts(path.dirname(file), parsed.data, problems);
  if (problems.length > 0) throw first(document, problems);
  return {
    plan: { ...parsed.data, vms: parsed.data.vms.map((vm) => normalizedVm(vm, scripts)) },
    scripts: [...new Map([...scripts.values()].map((script) => [script.sha256, script])).values()],
  };
}

/** The problem that stands first in the file: later ones are often only its consequence. */
function first(document: PlanDocument, problems: PlanProblem[]) {
  const [earliest] = problems
    .map((problem) => ({ problem, offset: document.offset(problem) }))
    .sort((a, b) => a.offset - b.offset);
  return document.error(earliest?.problem ?? { path: [], message: 'is no valid plan' });
}

/** Reads the scripts by their path in the plan; adds what is wrong to `problems`. */
async function loadScripts(directory: string, plan: PlanFile, problems: PlanProblem[]) {
  const scripts = new Map<string, LoadedBootScript>();
  for (const [index, { bootScript }] of plan.vms.entries()) {
    if (bootScript === undefined) continue;
    try {
      scripts.set(bootScript.file, await readBootScript(directory, bootScript.file));
    } catch (error) {
      if (!(error instanceof BootScriptError)) throw error;
      problems.push({ path: ['vms', index, 'bootScript'], message: error.message });
    }
  }
  return scripts;
}

function normalizedVm(
  { bootScript, ...vm }: PlanFile['vms'][number],
  scripts: Map<string, LoadedBootScript>,
): PlannedVm {
  const script = bootScript && scripts.get(bootScript.file);
  if (bootScript === undefined || script === undefined) return vm;
  const { timeout, required } = bootScript;
  return {
    ...vm,
    bootScript: {
      name: script.name,
      sha256: script.sha256,
      ...(timeout === undefined ? {} : { timeout }),
      // What is not required is what it would be without a word, and the same plan.
      ...(required === true ? { required } : {}),
    },
  };
}
