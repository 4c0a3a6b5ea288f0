import {
  type Change,
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  type ResourceRecordSet,
  type Route53Client,
} from '@aws-sdk/client-route-53';
import { ApplicationFailure } from '@temporalio/common';
import { hasCode } from '../../failures';
import { waitFor } from '../account/waiting';
import { keyOf, type LeadingSet, valuesOf } from './record-sets';

/** Changes of one name, which are made together or not at all. */
export interface NameChanges {
  name: string;
  changes: Change[];
}

/** Elements and characters of values that one batch may have; an UPSERT counts twice. "Quotas", Amazon Route 53 Developer Guide. */
const MOST_ELEMENTS = 1000;
const MOST_CHARACTERS = 32_000;
/** Characters of a batch's comment. */
const LONGEST_COMMENT = 256;
/**
 * Seconds after which a change that is still PENDING is sent again. Changes reach all name servers within 60 seconds as a rule; one
 * that us-east-1 took just before it went away never does ("accelerated recovery", Amazon Route 53 Developer Guide).
 */
const RESEND_SECONDS = 300;

/**
 * Takes exactly these sets away and puts those in their place. Route 53 refuses it where a set is no longer what was read, so
 * nothing that a person does meanwhile gets lost. Where both are the same, it asks for what is there once more.
 */
export function exchange(
  name: string,
  present: readonly LeadingSet[],
  wanted: readonly LeadingSet[],
): NameChanges {
  const change =
    (Action: 'DELETE' | 'CREATE') =>
    (set: LeadingSet): Change => ({ Action, ResourceRecordSet: set as ResourceRecordSet });
  return { name, changes: [...present.map(change('DELETE')), ...wanted.map(change('CREATE'))] };
}

/**
 * As few batches as hold the changes, in their order; a name's are in one, so that none is ever between two places.
 * @throws ApplicationFailure InvalidRequest where one name alone has too many
 */
export function inBatches(names: readonly NameChanges[]): Change[][] {
  const batches: Change[][] = [];
  let room = { elements: 0, characters: 0 };
  for (const { name, changes } of names) {
    const needed = sizeOf(changes);
    if (needed.elements > MOST_ELEMENTS || needed.characters > MOST_CHARACTERS)
      throw ApplicationFailure.nonRetryable(
        `The records of ${name} take ${needed.elements} elements and ${needed.characters} characters to change; Route 53 takes ` +
          `${MOST_ELEMENTS} and ${MOST_CHARACTERS} at once. Take the name out of the plan.`,
        'InvalidRequest',
      );
    if (changes.length === 0) continue;
    if (needed.elements > room.elements || needed.characters > room.characters) {
      batches.push([]);
      room = { elements: MOST_ELEMENTS, characters: MOST_CHARACTERS };
    }
    batches.at(-1)?.push(...changes);
    room = {
      elements: room.elements - needed.elements,
      characters: room.characters - needed.characters,
    };
  }
  return batches;
}

function sizeOf(changes: readonly Change[]): { elements: number; characters: number } {
  let elements = 0;
  let characters = 0;
  for (const { Action, ResourceRecordSet: set } of changes) {
    const values = valuesOf(set as LeadingSet);
    const times = Action === 'UPSERT' ? 2 : 1;
    // An alias has no element; counted as one all the same, as nothing says what it counts.
    elements += times * Math.max(1, values.length);
    characters += times * values.reduce((sum, value) => sum + value.length, 0);
  }
  return { elements, characters };
}

export interface ChangeOptions {
  /** Seconds between two looks at Route 53, instead of the usual pace. */
  pollSeconds?: number;
  /** Seconds after which a change that is still pending is sent again. */
  resendSeconds?: number;
}

/**
 * Makes the changes, batch by batch, and waits until every name server of the zone has them. Each batch is made as a whole or not
 * at all; where one fails, those before it are made, and a retry finds them so.
 * @throws ApplicationFailure DnsChanged, retryable, where a record is not what was read
 */
export async function changeRecords(
  route53: Route53Client,
  hostedZone: string,
  names: readonly NameChanges[],
  comment: string,
  { pollSeconds, resendSeconds = RESEND_SECONDS }: ChangeOptions = {},
): Promise<void> {
  const send = (changes: Change[]) => submit(route53, hostedZone, changes, comment);
  const sent: { changes: Change[]; id: string }[] = [];
  for (const changes of inBatches(names)) sent.push({ changes, id: await send(changes) });
  for (const { changes, id } of sent) {
    const again = asTheyAre(changes);
    let waitedFor = { id, since: Date.now() };
    await waitFor(
      `Route 53 to have the change ${id} on all name servers`,
      async () => {
        const status = await statusOf(route53, waitedFor.id);
        if (status === 'INSYNC') return true;
        const late = Date.now() - waitedFor.since > resendSeconds * 1000;
        if ((late || status === undefined) && again.length > 0)
          waitedFor = { id: await send(again), since: Date.now() };
        return undefined;
      },
      { pollSeconds },
    );
  }
}

/** @returns undefined where Route 53 knows nothing of the change, as after its control plane has moved */
async function statusOf(route53: Route53Client, id: string): Promise<string | undefined> {
  try {
    return (await route53.send(new GetChangeCommand({ Id: id }))).ChangeInfo?.Status;
  } catch (error) {
    if (hasCode(error, 'NoSuchChange')) return undefined;
    throw error;
  }
}

/** What the changes made, taken away and made once more: harmless, and a change that can be waited for. What they only took away cannot be asked for again. */
function asTheyAre(changes: readonly Change[]): Change[] {
  const made = changes.flatMap(({ Action, ResourceRecordSet }) =>
    Action === 'CREATE' ? [ResourceRecordSet as LeadingSet] : [],
  );
  return exchange('', made, made).changes;
}

async function submit(
  route53: Route53Client,
  hostedZone: string,
  changes: Change[],
  comment: string,
): Promise<string> {
  try {
    const { ChangeInfo } = await route53.send(
      new ChangeResourceRecordSetsCommand({
        HostedZoneId: hostedZone,
        ChangeBatch: { Comment: comment.slice(0, LONGEST_COMMENT), Changes: changes },
      }),
    );
    return ChangeInfo?.Id ?? '';
  } catch (error) {
    if (!hasCode(error, 'InvalidChangeBatch')) throw error;
    // Taking exactly what was read out is part of the change, so mostly somebody has changed a record since.
    throw ApplicationFailure.retryable(
      `Route 53 refused the change, as records are not what they were a moment ago: ${(error as Error).message}`,
      'DnsChanged',
    );
  }
}

/** The sets of a name by what Route 53 tells them apart by. */
export const byKey = (sets: readonly LeadingSet[]): Map<string, LeadingSet> =>
  new Map(sets.map((set) => [keyOf(set), set]));
