import { type Notice } from '../../../plan/notices';
import { printable } from '../../../plan/printable';

/** Version of the document below; it rises when a field gets another meaning or goes. */
export const NOTICE_SCHEMA = 1;

/** SNS takes at most 100 characters of a subject, ASCII, on one line ("Publish", Amazon SNS API Reference). */
const SUBJECT_CHARACTERS = 100;

/**
 * What receivers get: `type`, `timestamp` and `data`, as the Standard Webhooks specification advises; documented in
 * docs/operations.md.
 */
export function noticeDocument({ id, event, plan, at, ...what }: Notice): Record<string, unknown> {
  return { schema: NOTICE_SCHEMA, id, type: event, timestamp: at, data: { plan, ...what } };
}

/** The bytes that are signed and sent. */
export const noticeBody = (notice: Notice): string => JSON.stringify(noticeDocument(notice));

/** For receivers that are mailboxes and telephones. */
export function noticeSubject({ event, plan, text, standing }: Notice): string {
  const over = standing === 'over' ? ' over' : '';
  // SNS refuses what is not ASCII, and a subject that begins with a blank.
  const subject = printable(`[lifeboat] ${plan} ${event}${over}: ${text}`).replace(/[^\x20-\x7e]/g, '?');
  return subject.length <= SUBJECT_CHARACTERS ? subject : `${subject.slice(0, SUBJECT_CHARACTERS - 3)}...`;
}
