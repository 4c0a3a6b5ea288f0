import { hash } from 'node:crypto';
import { type Client } from '@temporalio/client';
import { Context } from '@temporalio/activity';
import { forEachBounded } from '../../../blocks/pipeline';
import { type LastTest, type KeptCheck } from '../../../plan/readiness';
import { type RepositoryAddress } from '../../../plan/run';
import { readManifest } from '../../../repository/backups/backups';
import { addEvidence, listEvidence } from '../../../repository/evidence/chain';
import { DamagedObjectError } from '../../../repository/objects/json-object';
import { InvalidNameError } from '../../../repository/objects/keys';
import { type ObjectStore } from '../../../repository/objects/object-store';
import { listConsoles, readConsoleOutput, readScreenshot } from '../../../repository/plans/consoles';
import { readReadiness } from '../../../repository/plans/readiness-record';
import { type EvidenceEnd, type WrittenEvidence } from '../contract';
import { evidenceOf } from './facts';
import { fetchRunHistory } from './history';
import { evidencePage } from './evidence-page';
import { RunFacts } from './run-facts';
import {
  type ConsoleFacts,
  consoleOf,
  didNotAnswer,
  type ObjectFacts,
  pointOf,
  type PointFacts,
} from './vm-facts';

/** Objects that are read at one time. */
const READS_AT_ONCE = 8;
/**
 * Bytes of pictures in one page: a hundred screens and more. A worker has them four times for a moment: as they are, a third more of them in
 * base64, in the page, and in its bytes.
 */
const PICTURE_BYTES = 8 * 2 ** 20;

/** See {@link ControlActivities.writeEvidence}. */
export async function writeEvidence(
  store: ObjectStore,
  repository: RepositoryAddress,
  end: EvidenceEnd,
  client: Client = Context.current().client,
): Promise<WrittenEvidence | undefined> {
  const facts = new RunFacts(await fetchRunHistory(client, end.workflowId, end.runId));
  const { plan, digest } = facts;
  if (plan === undefined || digest === undefined) return undefined;
  const { consoles, objects, pictures } = await consolesOf(store, facts, end.firstRunId);
  const { lastTest, provenAt, check } = await before(store, plan.name, end.firstRunId);
  const points = await pointsOf(store, facts);
  const evidence = evidenceOf({
    end,
    facts,
    plan,
    digest,
    repository,
    lastTest,
    ...(provenAt === undefined ? {} : { provenAt }),
    check,
    points,
    consoles,
    objects,
  });
  const { sequence, key, pageKey, sha256 } = await addEvidence(
    store,
    evidence,
    (chained) => evidencePage(chained, pictures),
    new Date().toISOString(),
  );
  return { sequence, document: key, page: pageKey, sha256 };
}

/** What was known of the plan when the run began. What cannot be read is not known, and keeps no document from being written. */
async function before(
  store: ObjectStore,
  plan: string,
  runId: string,
): Promise<{
  lastTest: Pick<LastTest, 'digest' | 'runId' | 'testedAt'> | undefined;
  provenAt: string | undefined;
  check: KeptCheck | undefined;
}> {
  const documents = await listEvidence(store, plan);
  const tests = documents.filter(
    (one) => one.kind === 'test failover' && one.ended === 'completed' && one.runId !== runId,
  );
  const last = tests.at(-1);
  const record = await unlessDamaged(() => readReadiness(store, plan));
  // Of a release that wrote no evidence; a test has noted itself by now.
  const noted = record?.lastTest?.runId === runId ? undefined : record?.lastTest;
  return {
    lastTest:
      last === undefined ? noted : { digest: last.planDigest, runId: last.runId, testedAt: last.endedAt },
    provenAt: record?.lastTest?.testedAt,
    check: record?.check,
  };
}

/** What the manifests of the run's recovery points tell. */
async function pointsOf(store: ObjectStore, facts: RunFacts): Promise<Map<string, PointFacts>> {
  const points = new Map<string, PointFacts>();
  await forEach(facts.plan?.vms ?? [], async ({ name: vm }) => {
    const point = pointOf(facts, vm);
    if (point === undefined) return;
    const manifest = await unlessDamaged(() => readManifest(store, vm, point.backupId));
    if (manifest === undefined) return;
    const dataBlocks = manifest.disks.reduce((sum, disk) => sum + disk.dataBlocks, 0);
    points.set(vm, { takenAt: manifest.takenAt, consistency: manifest.consistency, dataBlocks });
  });
  return points;
}

/** What the VMs' consoles showed: digests of all, and as many pictures as a page holds, those of the plan's first VMs. */
async function consolesOf(
  store: ObjectStore,
  facts: RunFacts,
  runId: string,
): Promise<{
  consoles: Map<string, ConsoleFacts>;
  objects: Map<string, ObjectFacts>;
  pictures: Map<string, Buffer>;
}> {
  const consoles = new Map<string, ConsoleFacts>();
  const objects = new Map<string, ObjectFacts>();
  const pictures = new Map<string, Buffer>();
  let room = PICTURE_BYTES;
  await forEach(facts.plan?.vms ?? [], async ({ name: vm }) => {
    const kept = consoleOf(facts, vm) ?? (await consoleOfSilentVm(store, facts, vm, runId));
    if (kept === undefined) return;
    consoles.set(vm, kept);
    const { screenshot, output } = kept;
    if (screenshot !== undefined) {
      const bytes = await unlessDamaged(() => readScreenshot(store, screenshot));
      const inPage = bytes !== undefined && bytes.length <= room;
      if (inPage) {
        room -= bytes.length;
        pictures.set(screenshot, bytes);
      }
      objects.set(screenshot, { sha256: bytes === undefined ? null : hash('sha256', bytes), inPage });
    }
    if (output !== undefined) {
      const text = await unlessDamaged(() => readConsoleOutput(store, output));
      objects.set(output, { sha256: text === undefined ? null : hash('sha256', text), inPage: false });
    }
  });
  return { consoles, objects, pictures };
}

/** What the console of a VM showed that did not answer in time; no step of the run names it. */
async function consoleOfSilentVm(
  store: ObjectStore,
  facts: RunFacts,
  vm: string,
  runId: string,
): Promise<ConsoleFacts | undefined> {
  const { plan } = facts;
  if (plan === undefined || !didNotAnswer(facts, vm)) return undefined;
  const all = await listConsoles(store, plan.name, vm);
  const kept = all.find((one) => one.runId === runId && one.outcome === 'not-ready');
  if (kept === undefined) return undefined;
  const { at, screenshot, output } = kept;
  return {
    ...{ takenAt: at.toISOString(), ready: false },
    ...(screenshot === undefined ? {} : { screenshot }),
    ...(output === undefined ? {} : { output }),
  };
}

const forEach = <T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> =>
  forEachBounded(items, READS_AT_ONCE, Context.current().cancellationSignal, work);

/** @returns undefined where the object is missing, or not what Lifeboat writes: then it tells nothing */
async function unlessDamaged<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof DamagedObjectError || error instanceof InvalidNameError) return undefined;
    throw error;
  }
}
