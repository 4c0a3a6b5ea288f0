import { createHash, timingSafeEqual } from 'node:crypto';
import { keepSecret } from '../host/secrets';
import { readSecretFile } from './secret-file';
import { WireError } from './wire-error';

/** Characters of a token: those of 96 bits in base64. */
const SHORTEST = 16;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * Whether a token is one of a file's, which has one a line and is read anew each time. Comparing takes as long whatever was sent.
 * @throws WireError where the file cannot be used
 */
export function isTokenOf(file: string, token: string): boolean {
  const asked = digest(token);
  let found = false;
  for (const one of tokensOf(file)) if (timingSafeEqual(digest(one), asked)) found = true;
  return found;
}

/** @throws WireError where the file cannot be used; nothing of it is in the error */
export function tokensOf(file: string): string[] {
  const wrong = (what: string, cause?: unknown): WireError =>
    new WireError(`The file of tokens, ${file}, ${what}.`, { cause });
  const text = readSecretFile(file, wrong);
  const tokens = text.split(/\r?\n/).filter((line) => line !== '');
  if (tokens.length === 0 || tokens.some((one) => one.length < SHORTEST || /\s/.test(one)))
    throw wrong(`must have a token a line, of ${SHORTEST} characters or more: openssl rand -hex 32`);
  keepSecret(...tokens);
  return tokens;
}
