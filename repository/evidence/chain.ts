import { hash } from 'node:crypto';
import { z } from 'zod';
import { checkVmName } from '../objects/keys';
import { DamagedObjectError, parseJsonObject } from '../objects/json-object';
import { type ObjectStore } from '../objects/object-store';
import { retryConflicts } from '../objects/retry-conflicts';
import { type Evidence, type EvidenceFacts, evidenceSchema } from './document';
import { type SignOff, type SignOffFacts, signOffSchema } from './sign-off';

/**
 * The evidence of a plan's runs: `evidence/<plan>/<number>.json`, each with the SHA-256 of the one before and of its own page
 * (`evidence/<plan>/pages/<sha256>.html`), and `evidence/<plan>/index.json`, which names them all.
 *
 * Of two writers at one time one gets the next number (a conditional PUT), and the other takes the one after: the chain has no
 * branches. The index follows; a writer that dies between the two leaves what the next one finds by going on from the index.
 * Nothing of Lifeboat ever deletes a document.
 */

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const text = z.string().max(2000);

const entrySchema = z.object({
  sequence: z.int().min(1),
  runId: text.min(1),
  kind: text,
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
  ended: z.enum(['completed', 'failed', 'cancelled']),
  verdict: text,
  planDigest: digest,
  /** Of the document's bytes, and of its page's. */
  sha256: digest,
  page: digest,
});
const indexSchema = z.object({ version: z.literal(1), plan: z.string(), entries: z.array(entrySchema) });

/** What the index says of one document. */
export type EvidenceEntry = z.output<typeof entrySchema>;

/** Where the evidence of a run is. */
export interface KeptEvidenceDocument extends EvidenceEntry {
  key: string;
  pageKey: string;
}

/** A plan's name has the form of a VM's (plan/schema.ts). */
export const evidencePrefix = (plan: string): string => `evidence/${checkVmName(plan)}/`;
export const documentKey = (plan: string, sequence: number): string =>
  `${evidencePrefix(plan)}${String(sequence).padStart(8, '0')}.json`;
export const pageKey = (plan: string, sha256: string): string =>
  `${evidencePrefix(plan)}pages/${sha256}.html`;
export const indexKey = (plan: string): string => `${evidencePrefix(plan)}index.json`;

const sha256Of = (bytes: Uint8Array): string => hash('sha256', bytes);

interface HeldIndex {
  entries: EvidenceEntry[];
  /** Absent where there is none yet. */
  etag?: string;
}

/** Gives the page of a document, whose place in the chain is known. */
export type MakePage = (evidence: Omit<Evidence, 'page'>) => string;

/**
 * Adds the document of a run to the plan's chain. A run has one: where it has one already, that is given.
 * @throws DamagedObjectError where what the chain has to go on from is not what Lifeboat writes
 * @throws ConflictError where others keep writing meanwhile
 */
export function addEvidence(
  store: ObjectStore,
  facts: EvidenceFacts,
  makePage: MakePage,
  writtenAt: string,
): Promise<KeptEvidenceDocument> {
  const already = (entries: readonly EvidenceEntry[]): EvidenceEntry | undefined =>
    entries.find(({ runId }) => runId === facts.run.runId);
  return append(store, facts.plan.name, already, ({ sequence, previous }) => {
    const chained = { ...facts, chain: { sequence, previous }, writtenAt };
    return { document: chained, page: makePage(chained) };
  });
}

/**
 * Signs a document of a run: adds one that says so. It may be signed again, by others.
 * @param signed the document, as {@link readEvidence} gave it
 * @throws DamagedObjectError, ConflictError as {@link addEvidence}
 */
export function addSignOff(
  store: ObjectStore,
  { evidence: signed, sha256 }: { evidence: Evidence; sha256: string },
  facts: SignOffFacts,
  makePage: (signOff: Omit<SignOff, 'page'>, signed: Evidence) => string,
  writtenAt: string,
): Promise<KeptEvidenceDocument> {
  const { plan, run, outcome, objectives, chain } = signed;
  return append(
    store,
    plan.name,
    () => undefined,
    ({ sequence, previous }) => {
      // There is the one that it signs.
      if (previous === null) throw new DamagedObjectError(indexKey(plan.name), 'it names no document.');
      const chained: Omit<SignOff, 'page'> = {
        ...{ schemaVersion: 1, kind: 'sign-off', chain: { sequence, previous }, writtenAt },
        plan: { name: plan.name, digest: plan.digest },
        signs: {
          ...{ sequence: chain.sequence, runId: run.runId, kind: run.kind, sha256 },
          ...{ ended: outcome.ended, verdict: objectives.verdict },
        },
        ...facts,
      };
      return { document: chained, page: makePage(chained, signed) };
    },
  );
}

/** Adds a document to the end of the chain, wherever that is by then. */
function append(
  store: ObjectStore,
  plan: string,
  already: (entries: readonly EvidenceEntry[]) => EvidenceEntry | undefined,
  make: (place: Evidence['chain']) => { document: object; page: string },
): Promise<KeptEvidenceDocument> {
  return retryConflicts(async () => {
    const held = await goOn(store, plan, await readIndex(store, plan));
    const there = already(held.entries);
    if (there !== undefined) {
      if (held.isBehind) await writeIndex(store, plan, held);
      return located(plan, there);
    }
    const last = held.entries.at(-1);
    const sequence = (last?.sequence ?? 0) + 1;
    const made = make({ sequence, previous: last?.sha256 ?? null });
    const page = Buffer.from(made.page);
    const pageDigest = sha256Of(page);
    const body = bytesOf({ ...made.document, page: { key: pageKey(plan, pageDigest), sha256: pageDigest } });
    // First, so that no document names a page that is not there. By its digest: one that a conflict leaves over harms nothing.
    await store.put(pageKey(plan, pageDigest), page);
    await store.putNew(documentKey(plan, sequence), body);
    const entry = entryOf(parseDocument(documentKey(plan, sequence), body), sha256Of(body));
    await writeIndex(store, plan, { ...held, entries: [...held.entries, entry] });
    return located(plan, entry);
  });
}

/** Documents in the order of the chain, as the index names them, and what was written after it. @throws DamagedObjectError */
export async function listEvidence(store: ObjectStore, plan: string): Promise<KeptEvidenceDocument[]> {
  const { entries } = await goOn(store, plan, await readIndex(store, plan));
  return entries.map((entry) => located(plan, entry));
}

/** The document of a run. @throws DamagedObjectError where it is missing, or no evidence document of a run of that plan */
export async function readEvidence(
  store: ObjectStore,
  plan: string,
  sequence: number,
): Promise<{ evidence: Evidence; body: Buffer; sha256: string }> {
  const { document, ...read } = await readDocument(store, plan, sequence);
  if (isSignOff(document))
    throw new DamagedObjectError(documentKey(plan, sequence), 'it is a sign-off, and of no run itself.');
  return { evidence: document, ...read };
}

/** Any document of the chain. @throws DamagedObjectError where it is missing, or no evidence document of that plan */
export async function readDocument(
  store: ObjectStore,
  plan: string,
  sequence: number,
): Promise<{ document: EvidenceDocument; body: Buffer; sha256: string }> {
  const key = documentKey(plan, sequence);
  const object = await store.get(key);
  if (object === undefined) throw new DamagedObjectError(key, 'it is missing.');
  const document = parseDocument(key, object.body);
  if (document.plan.name !== plan || document.chain.sequence !== sequence)
    throw new DamagedObjectError(
      key,
      `it says that it is number ${document.chain.sequence} of the plan "${document.plan.name}".`,
    );
  return { document, body: object.body, sha256: sha256Of(object.body) };
}

/** The page of a document. @throws DamagedObjectError where it is missing, or not the one that was written */
export async function readEvidencePage(
  store: ObjectStore,
  { page }: Pick<Evidence, 'page'>,
): Promise<Buffer> {
  const object = await store.get(page.key);
  if (object === undefined) throw new DamagedObjectError(page.key, 'it is missing.');
  if (sha256Of(object.body) !== page.sha256)
    throw new DamagedObjectError(
      page.key,
      'it is not the page that the document names: its SHA-256 differs.',
    );
  return object.body;
}

/** @throws DamagedObjectError */
export async function readIndex(store: ObjectStore, plan: string): Promise<HeldIndex> {
  const key = indexKey(plan);
  const object = await store.get(key);
  if (object === undefined) return { entries: [] };
  const index = parseJsonObject(key, object.body, indexSchema);
  if (index.plan !== plan) throw new DamagedObjectError(key, `it is of the plan "${index.plan}".`);
  return { entries: index.entries, etag: object.etag };
}

/** Documents after the last one that the index names: their writers have died, or are about to write it. */
async function goOn(
  store: ObjectStore,
  plan: string,
  held: HeldIndex,
): Promise<HeldIndex & { isBehind: boolean }> {
  const entries = [...held.entries];
  for (;;) {
    const sequence = (entries.at(-1)?.sequence ?? 0) + 1;
    if ((await store.get(documentKey(plan, sequence))) === undefined)
      return { ...held, entries, isBehind: entries.length > held.entries.length };
    const { document, sha256 } = await readDocument(store, plan, sequence);
    entries.push(entryOf(document, sha256));
  }
}

async function writeIndex(store: ObjectStore, plan: string, { entries, etag }: HeldIndex): Promise<void> {
  const body = bytesOf({ version: 1, plan, entries });
  if (etag === undefined) await store.putNew(indexKey(plan), body);
  else await store.putIfUnchanged(indexKey(plan), body, etag);
}

const bytesOf = (value: object): Buffer => Buffer.from(`${JSON.stringify(value, null, 1)}\n`);

/** What the chain is made of. */
export type EvidenceDocument = Evidence | SignOff;

export const isSignOff = (document: EvidenceDocument): document is SignOff => 'kind' in document;

/** Before it is known what it is of. */
const kindSchema = z.looseObject({ kind: z.unknown().optional() });

function parseDocument(key: string, body: Buffer): EvidenceDocument {
  const { kind } = parseJsonObject(key, body, kindSchema);
  return parseJsonObject<EvidenceDocument>(key, body, kind === undefined ? evidenceSchema : signOffSchema);
}

/** What the index says of a document. */
export function entryOf(document: EvidenceDocument, sha256: string): EvidenceEntry {
  const { chain, plan, page } = document;
  const of = { sequence: chain.sequence, planDigest: plan.digest, sha256, page: page.sha256 };
  if (isSignOff(document)) {
    const { kind, writtenAt, signs } = document;
    return {
      // No run has this id: the run that it is about has a document of its own.
      ...{ ...of, runId: `${kind} of ${signs.sequence}`, kind, verdict: signs.verdict },
      ...{ startedAt: writtenAt, endedAt: writtenAt, ended: 'completed' },
    };
  }
  const { run, outcome, objectives } = document;
  return {
    ...{ ...of, runId: run.runId, kind: run.kind, verdict: objectives.verdict },
    ...{ startedAt: run.startedAt, endedAt: run.endedAt, ended: outcome.ended },
  };
}

const located = (plan: string, entry: EvidenceEntry): KeptEvidenceDocument => ({
  ...entry,
  key: documentKey(plan, entry.sequence),
  pageKey: pageKey(plan, entry.page),
});
