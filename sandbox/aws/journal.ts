import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Call } from './wire/endpoint';
import { AwsError } from './wire/errors';

/** In the endpoint's directory: a {@link JournalEntry} a line. */
const JOURNAL_FILE = 'journal.jsonl';

const entry = z.object({
  /** ISO 8601. */
  at: z.string(),
  /** ARN; where the signature is not verified, the access key's id. */
  who: z.string(),
  /** Such as `ec2:RunInstances`; the service alone where the signature is not verified. */
  action: z.string(),
  /** `unverified`: the signature, the session or the clock was refused; `refused`: a policy did not allow it. */
  outcome: z.enum(['refused', 'unverified']),
  code: z.string(),
  message: z.string(),
});
export type JournalEntry = z.infer<typeof entry>;

export interface Journal {
  refused(call: Call, error: AwsError): void;
  unverified(service: string, accessKeyId: string | undefined, error: AwsError): void;
  close(): void;
}

/** Who asked for what that was refused. Each line is written before the call is answered. */
export function openJournal(directory: string): Journal {
  mkdirSync(directory, { recursive: true });
  const file = openSync(join(directory, JOURNAL_FILE), 'a');
  const write = (line: Omit<JournalEntry, 'at'>): void =>
    void writeSync(file, `${JSON.stringify({ at: new Date().toISOString(), ...line })}\n`);
  return {
    refused({ principal, service, operation }, { code, message }) {
      write({ who: principal.arn, action: `${service}:${operation}`, outcome: 'refused', code, message });
    },
    unverified(service, accessKeyId = 'nobody', { code, message }) {
      write({ who: accessKeyId, action: service, outcome: 'unverified', code, message });
    },
    close: () => closeSync(file),
  };
}

/** A judge of calls whose refusals are written down. */
export function journalled(journal: Journal, authorize: (call: Call) => void): (call: Call) => void {
  return (call) => {
    try {
      authorize(call);
    } catch (error) {
      if (error instanceof AwsError) journal.refused(call, error);
      throw error;
    }
  };
}

/** The journal of an endpoint whose directory this is; empty where it has not written any. */
export function readJournal(directory: string): JournalEntry[] {
  let text: string;
  try {
    text = readFileSync(join(directory, JOURNAL_FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => entry.parse(JSON.parse(line)));
}

/** What that endpoint refused, each kind of refusal once: a worker asks for the same again and again. */
export function refusedCalls(directory: string): JournalEntry[] {
  const found = new Map<string, JournalEntry>();
  for (const call of readJournal(directory)) {
    const kind = `${call.who} ${call.action} ${call.outcome} ${call.code}`;
    if (!found.has(kind)) found.set(kind, call);
  }
  return [...found.values()];
}

/** One of the journal's lines for a person. */
export function journalText({ who, action, outcome, code, message }: JournalEntry): string {
  return `${who.replace(/^arn:aws:(sts|iam)::\d+:/, '')} asked for ${action}: ${outcome} (${code}: ${message})`;
}
