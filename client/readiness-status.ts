import {
  type KeptCheck,
  type LastTest,
  testStanding,
  type TestStanding,
  type Verdict,
} from '../plan/readiness';
import { type GuestFacts } from '../plan/tested';
import { DamagedObjectError } from '../repository/objects/json-object';
import { type ObjectStore } from '../repository/objects/object-store';
import { readReadiness, type ReadinessRecord } from '../repository/plans/readiness-record';

/** Seconds after which a check says nothing of today any more: an account changes without a word. */
const CHECK_HOLDS_SECONDS = 86_400;
/** Seconds that a DR copy may be newer than the check: the standing check comes every half hour. */
const NEW_COPY_SECONDS = 3600;

/** What is known of a plan's readiness, as of now. */
export interface ReadinessStatus {
  /** `not verified`: there is no check that holds for what is there now. */
  verdict: Verdict | 'not verified';
  /** Why it is not verified, to follow "not verified"; absent where it is. */
  because: string | undefined;
  /** The last check; absent where there was none. */
  check: KeptCheck | undefined;
  /** `no`: a test failover has come to a good end, and the plan, a guest or the AWS proxy has changed since. */
  tested: TestStanding['tested'];
  /** What has changed since the test, each to follow "since"; empty unless `tested` is `no`. */
  changed: string[];
  /** The last test failover that came to a good end, of whatever version. */
  lastTest: LastTest | undefined;
}

/** What is there now. */
export interface Present {
  /** Of the plan. */
  digest: string;
  /** The backups that the DR copies hold, by VM, with their times. */
  drCopies: ReadonlyMap<string, { recoveryPoint: string; takenAt: string }>;
  /** What the backups that these hold say of the guests, by VM; absent where nobody has looked. */
  guests?: Record<string, GuestFacts>;
  now: Date;
}

/** What is kept of the plan's last check and test, and whether it holds for what is there now. Changes nothing. */
export async function readReadinessStatus(
  store: ObjectStore,
  plan: string,
  present: Present,
): Promise<ReadinessStatus> {
  try {
    return readinessStatus(await readReadiness(store, plan), present);
  } catch (error) {
    if (!(error instanceof DamagedObjectError)) throw error;
    // The rest of a status is wanted all the same.
    const because = `${error.message.replace(/\.$/, '')}; the next check writes another`;
    return { ...readinessStatus(undefined, present), because };
  }
}

/** What a kept check and test say of what is there now. */
export function readinessStatus(record: ReadinessRecord | undefined, present: Present): ReadinessStatus {
  const { check, lastTest } = record ?? {};
  const because = check === undefined ? 'it was never checked' : outdated(check, present);
  const awsProxy = check?.proxies.aws?.version;
  const standing = testStanding(lastTest, {
    digest: present.digest,
    ...(present.guests === undefined ? {} : { guests: present.guests }),
    ...(awsProxy === undefined ? {} : { awsProxy }),
  });
  return {
    verdict: check === undefined || because !== undefined ? 'not verified' : check.verdict,
    because,
    check,
    ...standing,
    lastTest,
  };
}

/** What has changed since the check, in words; undefined where nothing has that would let it say something else. */
function outdated(check: KeptCheck, { digest, drCopies, now }: Present): string | undefined {
  if (check.digest !== digest)
    return `since the plan was changed: the check of ${check.checkedAt} was of version ${check.digest.slice(0, 12)}`;
  const age = (now.getTime() - Date.parse(check.checkedAt)) / 1000;
  if (age > CHECK_HOLDS_SECONDS) return `since ${check.checkedAt}, which is more than a day ago`;
  for (const vm of Object.keys(check.recoveryPoints))
    if (!drCopies.has(vm)) return `since the DR copy of ${vm} is gone, or not complete any more`;
  if (age <= NEW_COPY_SECONDS) return undefined;
  // Each round of replication makes new ones, and the standing check looks at them soon; that it has not means that it stands still.
  const [newer] = [...drCopies].filter(
    ([vm, { recoveryPoint }]) => check.recoveryPoints[vm] !== recoveryPoint,
  );
  return newer && `since the DR copy of ${newer[0]} of ${newer[1].takenAt}, after which no check has come`;
}
