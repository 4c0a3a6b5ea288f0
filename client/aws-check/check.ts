import { randomBytes } from 'node:crypto';
import { requestTally } from '../../blocks/limits/request-tally';
import { type Difference } from './answer';
import { costAtMost } from './cost';
import { type CheckLine, Questions, type QuestionsOptions, StoppedError } from './questions';
import { type LookedAt, lookAround } from './read-only';
import { type CheckedSite } from './site';
import { tryBucket } from './test-resources/bucket';
import { tryImage } from './test-resources/images';
import { tryLock } from './test-resources/locks';
import { tryRecord } from './test-resources/records';
import { noteZone, type Removal, removeTestResources } from './test-resources/removal';
import { tryChildAlone } from './test-resources/reading';
import { trySnapshots } from './test-resources/snapshots';
import { startTrial, type Trial } from './test-resources/trial';
import { tryVolume } from './test-resources/volumes';

export interface AwsCheckOptions extends QuestionsOptions {
  /** Whether things are made, read back and removed. */
  withTestResources?: boolean;
  /** Whether a snapshot is locked for a moment, too. */
  withLock?: boolean;
  /** A zone in which a record may be made for a moment. */
  hostedZone?: string;
  /** Seconds that the removal of what does not go at once is tried for. */
  removalSeconds?: number;
  /** Hears what an earlier check has left, when it is removed. */
  onRemovedBefore?: (removal: Removal) => void;
}

/** What a check has found. */
export interface AwsCheck {
  lines: CheckLine[];
  /** Where AWS answers otherwise than the sandbox. */
  differences: Difference[];
  /** What an earlier check had left; absent where nothing was to be made. */
  before?: Removal;
  /** What this one has made. */
  after?: Removal;
  /** At most so many US dollars, by list prices. */
  cost?: number;
  /** A person has stopped it. */
  stopped: boolean;
  /** What was answered, by question. */
  answers: Questions['answers'];
}

/**
 * Asks an account what Lifeboat will ask of it, and compares the answers with the sandbox's. With test resources it makes things and
 * removes them, however it ends; what it cannot remove, because it was killed, the next check does.
 */
export async function checkAws(site: CheckedSite, options: AwsCheckOptions): Promise<AwsCheck> {
  const questions = new Questions(options);
  const found = { lines: questions.lines, differences: questions.differences, answers: questions.answers };
  try {
    const looked = await lookAround(questions, site, options);
    if (options.withTestResources !== true || !looked.identified) return { ...found, stopped: false };
    return { ...found, ...(await withTestResources(site, options, questions, looked)) };
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
    return { ...found, stopped: true };
  }
}

async function withTestResources(
  site: CheckedSite,
  options: AwsCheckOptions,
  questions: Questions,
  looked: LookedAt,
): Promise<Pick<AwsCheck, 'before' | 'after' | 'cost' | 'stopped'>> {
  // In a bucket that is not there is nothing to remove.
  const { repository, ...withoutBucket } = site;
  const trialSite: CheckedSite =
    looked.bucket && repository !== undefined ? { ...withoutBucket, repository } : withoutBucket;
  requestTally.take();
  const removal = {
    ...(options.hostedZone === undefined ? {} : { hostedZone: options.hostedZone }),
    ...(options.pollSeconds === undefined ? {} : { pollSeconds: options.pollSeconds }),
    ...(options.removalSeconds === undefined ? {} : { limitSeconds: options.removalSeconds }),
  };
  const before = await removeTestResources(trialSite, removal);
  if (before.removed.length > 0 || before.left.length > 0) options.onRemovedBefore?.(before);
  const trial = startTrial(`c-${randomBytes(6).toString('hex')}`, questions, site.clients);
  let stopped = false;
  let after: Removal;
  try {
    await tryAll(trial, trialSite, options, looked);
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
    stopped = true;
  } finally {
    after = await removeTestResources(trialSite, { ...removal, made: trial.made });
  }
  return { before, after, cost: costAtMost(trial.made.values(), Date.now(), requestTally.take()), stopped };
}

async function tryAll(
  trial: Trial,
  { repository }: CheckedSite,
  { withLock, hostedZone }: AwsCheckOptions,
  { place }: LookedAt,
): Promise<void> {
  const writable = repository !== undefined && (await tryBucket(trial, repository));
  if (hostedZone !== undefined && (!writable || (await noteZone(trial, repository, hostedZone))))
    await tryRecord(trial, hostedZone);
  const snapshots = await trySnapshots(trial);
  if (snapshots === undefined) return;
  await tryVolume(trial, snapshots, place);
  await tryImage(trial, snapshots.child.id, place);
  if (withLock === true) await tryLock(trial, snapshots.parent.id);
  await tryChildAlone(trial, snapshots);
}
