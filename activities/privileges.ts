import { type Finding, type Severity } from '../plan/readiness';
import { ConflictError, type ObjectStore } from '../repository/objects/object-store';
import { answerWithin } from './answer-within';
import { hasCode, toFailure } from './failures';

/** Seconds for a service to answer one harmless question. */
const QUESTION_SECONDS = 8;

/** What a worker may not do, or what of it could not be asked. */
export interface Privilege {
  /** Who is meant to do it, for people: "The backup proxy". */
  who: string;
  /** IAM action, such as `s3:PutObject`. */
  action: string;
  /** On what, for people. */
  on: string;
  /**
   * What the finding is known again by, besides the action, where `who` and `on` say more than that: nothing that changes with a start
   * of the worker or a round of replication.
   */
  about?: string;
  /** What it is for, to follow "which". */
  needed: string;
  /** What it means that it may not. */
  severity: Severity;
}

/**
 * Asks a question that changes nothing and that a service answers by whether it is permitted first, and by anything else then.
 * @param harmless codes that the service answers with when it is permitted, beside no error at all
 */
export async function privilegeFindings(
  privilege: Privilege,
  ask: () => Promise<unknown>,
  harmless: readonly string[] = [],
): Promise<Finding[]> {
  const { who, action, on, needed, severity } = privilege;
  try {
    await answerWithin(QUESTION_SECONDS, ask);
    return [];
  } catch (error) {
    if (error instanceof ConflictError || hasCode(error, ...harmless)) return [];
    const about = privilege.about === undefined ? `${who}: ${action} ${on}` : `${privilege.about}: ${action}`;
    const failure = toFailure(error, `ask whether ${who} may ${action}`);
    if (failure.type === 'NotPermitted')
      return [
        {
          code: 'permission',
          severity,
          text: `${who} may not ${action} on ${on}, which ${needed}.`,
          todo: `Allow it, as docs/aws.md has it: ${action}.`,
          about,
        },
      ];
    return [
      {
        code: 'not-checked',
        severity: 'warning',
        text: `Whether ${who} may ${action} on ${on} is not known: ${failure.message}`,
        todo: 'Look at what is told, and check again.',
        about,
      },
    ];
  }
}

/** A version that no object has. */
const NO_ETAG = '"00000000000000000000000000000000"';

/**
 * Whether an object may be written, asked by a write that is bound to a version that there is not: S3 looks at the permission first, and
 * nothing is ever written ("Conditional writes", Amazon S3 User Guide).
 */
export function writeFindings(
  store: ObjectStore,
  key: string,
  privilege: Omit<Privilege, 'action'>,
): Promise<Finding[]> {
  return privilegeFindings(
    { ...privilege, action: 's3:PutObject' },
    () => store.putIfUnchanged(key, new Uint8Array(), NO_ETAG),
    ['NoSuchKey', 'NotFound'],
  );
}

/**
 * Whether objects may be added where none may be put over another, asked by adding one that is there: S3 looks at the permission first, and
 * refuses then ("Conditional writes", Amazon S3 User Guide).
 * @param key of an object that is there
 */
export function addFindings(
  store: ObjectStore,
  key: string,
  privilege: Omit<Privilege, 'action'>,
): Promise<Finding[]> {
  return privilegeFindings({ ...privilege, action: 's3:PutObject' }, () =>
    store.putNew(key, new Uint8Array()),
  );
}
