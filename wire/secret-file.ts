import { readFileSync, statSync } from 'node:fs';
import { messageOf } from '../host/message-of';
import { type WireError } from './wire-error';

/**
 * The text of a file of secrets. Whoever reads it reads every run; whoever writes it, too.
 * @param wrong makes the error of what is wrong with the file
 * @throws what `wrong` makes
 */
export function readSecretFile(file: string, wrong: (what: string, cause?: unknown) => WireError): string {
  let mode: number;
  let text: string;
  try {
    mode = statSync(file).mode;
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw wrong(`cannot be read (${(cause as NodeJS.ErrnoException).code ?? messageOf(cause)})`, cause);
  }
  if ((mode & 0o007) !== 0) throw wrong('is open to every user of this host: chmod o-rwx');
  return text;
}
