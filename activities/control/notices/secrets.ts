import { readFile } from 'node:fs/promises';
import { ApplicationFailure } from '@temporalio/common';
import { parse } from 'yaml';
import { keepSecret } from '../../../host/secrets';

/** Prefix of a secret of the Standard Webhooks specification; base64 of the key's bytes follows. */
const PREFIX = 'whsec_';
/** The specification asks for 24 to 64 bytes. */
const LEAST_BYTES = 24;
const MOST_BYTES = 64;

/** Where a control worker has the secrets that sign webhooks. */
export interface SecretSource {
  /** A YAML file of names and secrets; undefined: the environment. */
  file: string | undefined;
  env: NodeJS.ProcessEnv;
}

/** Name of the environment's variable that holds a secret. */
export const secretVariable = (name: string): string =>
  `LIFEBOAT_WEBHOOK_SECRET_${name.toUpperCase().replaceAll('-', '_')}`;

/**
 * The keys that sign for a name, asked anew each time, so that a secret can be changed while the worker runs. More than one
 * while receivers change from one to the next.
 * @throws ApplicationFailure NoWebhookSecret, which says nothing of what is there
 */
export async function signingKeys(name: string, { file, env }: SecretSource): Promise<Buffer[]> {
  const where = file ?? secretVariable(name);
  const value = file === undefined ? env[where] : await inFile(file, name);
  if (value === undefined || value === '') throw problem(name, where, 'is not there');
  const secrets: unknown[] = Array.isArray(value) ? value : String(value).split(/\s+/);
  keepSecret(...secrets.filter((secret) => typeof secret === 'string'));
  const keys = secrets.map((secret) => keyOf(secret));
  if (keys.length === 0 || keys.some((key) => key === undefined))
    throw problem(name, where, `must be ${PREFIX} and the base64 of ${LEAST_BYTES} to ${MOST_BYTES} bytes`);
  return keys.filter((key) => key !== undefined);
}

async function inFile(file: string, name: string): Promise<unknown> {
  let content: unknown;
  try {
    content = parse(await readFile(file, 'utf8'), { prettyErrors: false });
  } catch (error) {
    // An error of the parser's may quote the text.
    const code = (error as NodeJS.ErrnoException).code;
    throw problem(
      name,
      file,
      code === undefined || code.startsWith('E') === false ? 'is no valid YAML' : code,
    );
  }
  return typeof content === 'object' && content !== null && Object.hasOwn(content, name)
    ? (content as Record<string, unknown>)[name]
    : undefined;
}

function keyOf(secret: unknown): Buffer | undefined {
  if (typeof secret !== 'string' || !secret.startsWith(PREFIX)) return undefined;
  const base64 = secret.slice(PREFIX.length);
  const key = Buffer.from(base64, 'base64');
  const whole = key.toString('base64').replace(/=+$/, '') === base64.replace(/=+$/, '');
  return whole && key.length >= LEAST_BYTES && key.length <= MOST_BYTES ? key : undefined;
}

/** A person puts it right while it is tried again. */
function problem(name: string, where: string, what: string): ApplicationFailure {
  return ApplicationFailure.retryable(
    `The control worker cannot sign with the secret "${name}": ${where} ${what}. docs/operations.md says how it gets one.`,
    'NoWebhookSecret',
  );
}
