import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Asked } from './calls/mapping';

/** In the endpoint's directory, where its config asks for it: {@link AskedRecord}, one JSON document a line. */
const ASKED_FILE = 'asked.jsonl';

/** What one principal has asked for, by ARN: once, however often. */
export interface AskedRecord extends Asked {
  principal: string;
  /** The operation of the API; its dependent actions have their own names. */
  operation: string;
}

/** Writes down what is asked of policies, also for those who may do everything. */
export function askedLog(directory: string): (record: AskedRecord) => void {
  const path = join(directory, ASKED_FILE);
  const written = new Set<string>();
  return (record) => {
    const line = JSON.stringify(record);
    if (written.has(line)) return;
    written.add(line);
    appendFileSync(path, `${line}\n`);
  };
}
