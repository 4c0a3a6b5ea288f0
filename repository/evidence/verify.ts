import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { DamagedObjectError } from '../objects/json-object';
import { type ObjectStore } from '../objects/object-store';
import {
  documentKey,
  entryOf,
  type EvidenceEntry,
  evidencePrefix,
  indexKey,
  isSignOff,
  readDocument,
  readEvidencePage,
  readIndex,
} from './chain';

/** What is wrong with an object of a plan's evidence. */
export interface EvidenceFault {
  key: string;
  problem: string;
}

export interface VerifiedEvidence {
  plan: string;
  documents: number;
  /** SHA-256 of the last document, which stands for all before it; null where there is none. */
  head: string | null;
  /** Documents that somebody has signed, and by whom, as they said. */
  signOffs: { sequence: number; signs: number; by: string; at: string }[];
  /** None where every document is there, unchanged, and follows from the one before. */
  faults: EvidenceFault[];
}

/** A test every hour for 50 years. */
const OBJECTS_AT_MOST = 1_000_000;

/**
 * Reads every document of a plan's chain. It shows that none was changed, removed or put between others since: not who wrote them,
 * nor that nobody has written all of them anew. Whoever keeps `head` elsewhere can show that, too.
 * @param expected a head that was kept elsewhere: it must be in the chain
 */
export async function verifyEvidence(
  store: ObjectStore,
  plan: string,
  expected?: string,
): Promise<VerifiedEvidence> {
  const faults: EvidenceFault[] = [];
  const found = (key: string, problem: string): void => void faults.push({ key, problem });
  const present = await keysOf(store, plan);
  const index = await indexOf(store, plan, found);
  const numbered = [...present].flatMap((key) => numberIn(plan, key) ?? []);
  const named = new Map(index.map((entry) => [entry.sequence, entry]));
  if (numbered.length > 0 && !present.has(indexKey(plan)))
    found(indexKey(plan), 'is missing, though there are documents.');
  const known = new Set([indexKey(plan)]);
  const signOffs: VerifiedEvidence['signOffs'] = [];
  const digests = new Map<number, string>();
  let head: string | null = null;
  let before = 0;
  for (const sequence of [...new Set([...numbered, ...named.keys()])].sort((a, b) => a - b)) {
    const key = documentKey(plan, sequence);
    known.add(key);
    if (sequence > before + 1)
      found(
        documentKey(plan, before + 1),
        sequence === before + 2 ? 'is missing.' : `is missing, as are all until number ${sequence}.`,
      );
    before = sequence;
    const entry = named.get(sequence);
    const body = present.has(key) ? (await store.get(key))?.body : undefined;
    if (body === undefined) {
      found(key, 'is missing.');
      head = entry?.sha256 ?? null;
      continue;
    }
    const sha256 = hash('sha256', body);
    if (entry === undefined)
      found(
        key,
        'is not in the index: its writer has died before it could write that, or somebody else has put it there.',
      );
    else if (entry.sha256 !== sha256) found(key, 'was changed: its SHA-256 is not the one in the index.');
    const page = await verifyDocument(
      store,
      plan,
      sequence,
      { entry, sha256, before: head, digests, signOffs },
      found,
    );
    digests.set(sequence, sha256);
    if (page !== undefined) known.add(page);
    head = sha256;
  }
  for (const key of present)
    if (!known.has(key) && !isSparePage(plan, key)) found(key, 'belongs to no document.');
  if (expected !== undefined && ![...digests.values()].includes(expected))
    found(indexKey(plan), `has no document with the SHA-256 ${expected}, which was kept elsewhere.`);
  return { plan, documents: digests.size, head, signOffs, faults };
}

/** @returns key of its page */
async function verifyDocument(
  store: ObjectStore,
  plan: string,
  sequence: number,
  told: {
    entry: EvidenceEntry | undefined;
    sha256: string;
    before: string | null;
    /** Of the documents before it, by their numbers. */
    digests: ReadonlyMap<number, string>;
    /** Gets this one, where it is a sign-off. */
    signOffs: VerifiedEvidence['signOffs'];
  },
  found: (key: string, problem: string) => void,
): Promise<string | undefined> {
  const key = documentKey(plan, sequence);
  try {
    const { document: evidence } = await readDocument(store, plan, sequence);
    if (evidence.chain.previous !== told.before)
      found(
        key,
        'does not follow from the document before it: that one was changed, removed, or put there later.',
      );
    if (isSignOff(evidence))
      told.signOffs.push({
        ...{ sequence, signs: evidence.signs.sequence, by: evidence.by, at: evidence.writtenAt },
      });
    if (isSignOff(evidence) && told.digests.get(evidence.signs.sequence) !== evidence.signs.sha256)
      found(key, `signs another document than number ${evidence.signs.sequence} is.`);
    if (told.entry?.sha256 === told.sha256 && !isDeepStrictEqual(told.entry, entryOf(evidence, told.sha256)))
      found(indexKey(plan), `says something else of ${key} than the document itself.`);
    try {
      await readEvidencePage(store, evidence);
    } catch (error) {
      tell(error, found);
    }
    return evidence.page.key;
  } catch (error) {
    tell(error, found);
    return undefined;
  }
}

function tell(error: unknown, found: (key: string, problem: string) => void): void {
  if (!(error instanceof DamagedObjectError)) throw error;
  found(error.key, error.reason);
}

async function indexOf(
  store: ObjectStore,
  plan: string,
  found: (key: string, problem: string) => void,
): Promise<EvidenceEntry[]> {
  try {
    return (await readIndex(store, plan)).entries;
  } catch (error) {
    tell(error, found);
    return [];
  }
}

async function keysOf(store: ObjectStore, plan: string): Promise<Set<string>> {
  const keys = new Set<string>();
  for await (const { key } of store.list(evidencePrefix(plan))) {
    keys.add(key);
    // Anybody who can write to the bucket can put something there.
    if (keys.size > OBJECTS_AT_MOST)
      throw new DamagedObjectError(evidencePrefix(plan), `it has more than ${OBJECTS_AT_MOST} objects.`);
  }
  return keys;
}

function numberIn(plan: string, key: string): number | undefined {
  const [, digits] = /^(\d{8})\.json$/.exec(key.slice(evidencePrefix(plan).length)) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** A writer that died after the page and before the document leaves one, and no document says anything of it. */
const isSparePage = (plan: string, key: string): boolean =>
  /^pages\/[0-9a-f]{64}\.html$/.test(key.slice(evidencePrefix(plan).length));
