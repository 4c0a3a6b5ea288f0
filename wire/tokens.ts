import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { keepSecret } from '../host/secrets';
import { messageOf, WireError } from './wire-error';

/** Characters of a token: those of 96 bits in base64. */
const SHORTEST = 16;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * Whether a token is one of a file's, which has one a line and is read anew each time. Comparing takes as long whatever was sent.
 * @throws WireError where the file cannot be used
 */
export async function isTokenOf(file: string, token: string): Promise<boolean> {
  const asked = digest(token);
  let found = false;
  for (const one of await tokensOf(file)) if (timingSafeEqual(digest(one), asked)) found = true;
  return found;
}

/** @throws WireError where the file cannot be used; nothing of it is in the error */
export async function tokensOf(file: string): Promise<string[]> {
  let text: string;
  try {
    // Whoever reads a token reads every run.
    if (((await stat(file)).mode & 0o007) !== 0)
      throw new WireError(`${file} is open to every user of this host: chmod o-rwx.`);
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (cause instanceof WireError) throw cause;
    throw new WireError(
      `The file of tokens, ${file}, cannot be read: ${(cause as NodeJS.ErrnoException).code ?? messageOf(cause)}.`,
      { cause },
    );
  }
  const tokens = text.split(/\r?\n/).filter((line) => line !== '');
  if (tokens.length === 0 || tokens.some((one) => one.length < SHORTEST || /\s/.test(one)))
    throw new WireError(
      `${file} must have a token a line, of ${SHORTEST} characters or more: openssl rand -hex 32`,
    );
  keepSecret(...tokens);
  return tokens;
}
