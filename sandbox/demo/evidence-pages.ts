import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot } from '../../host/project-root';
import { readEvidence, readEvidencePage } from '../../repository/evidence/chain';
import { verifyEvidence } from '../../repository/evidence/verify';
import { type ObjectStore } from '../../repository/objects/object-store';
import { type WithEvidence } from '../../workflows/evidence';
import { prove } from './steps';

/** The page of the test's evidence, which outlives the sandbox. */
const pageFile = (): string => join(projectRoot(), '.lifeboat', 'demo', 'evidence.html');

/** Keeps a run's page where a browser finds it. @returns its address @throws Error where the run has left none */
export async function keepEvidencePage(
  store: ObjectStore,
  plan: string,
  { evidence, noEvidence }: WithEvidence,
): Promise<string> {
  prove(evidence !== undefined, noEvidence ?? 'the run left no evidence.');
  const { evidence: document } = await readEvidence(store, plan, evidence.sequence);
  await mkdir(dirname(pageFile()), { recursive: true });
  await writeFile(pageFile(), await readEvidencePage(store, document));
  return pathToFileURL(pageFile()).href;
}

/** @throws Error where the plan's evidence is not a chain of so many documents */
export async function proveEvidence(store: ObjectStore, plan: string, documents: number): Promise<void> {
  const verified = await verifyEvidence(store, plan);
  const faults = verified.faults.map(({ key, problem }) => `${key} ${problem}`);
  prove(faults.length === 0, faults.join('; '));
  prove(
    verified.documents === documents,
    `there are ${verified.documents} evidence documents instead of ${documents}.`,
  );
}
