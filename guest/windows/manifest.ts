import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type GuestFiles } from '../files/port';
import { GuestNotAdaptableError } from '../port';
import { RUN_ID_PATTERN, STATE_DIRECTORY } from './boot-scripts';
import { findPath } from './paths';
import { registryRecordSchema } from './registry-record';

/** Beside nothing of the prepare script's, which stays in the guest for the next failover. */
export const MANIFEST = `${STATE_DIRECTORY}/adaptation.json`;
/** The record while it is written anew: a cut-off leaves this one or the other whole. */
export const NEXT_MANIFEST = `${STATE_DIRECTORY}/adaptation.next`;
export const ORIGINALS = `${STATE_DIRECTORY}/original`;
export const ORIGINAL_HOSTS = `${ORIGINALS}/hosts`;
export const HOSTS_FILE = '/Windows/System32/drivers/etc/hosts';

const MAX_MANIFEST_BYTES = 1024 * 1024;
/** All that is put into a guest: boot scripts, and a hosts file where there was none. */
const ADDABLE =
  /^\/ProgramData\/Lifeboat\/(run-id|[A-Za-z0-9][A-Za-z0-9._-]{0,63}\/(environment|launch\/(Read-LaunchData\.ps1|environment|hosts)|scripts\/[0-9]{2}-[A-Za-z0-9._-]{1,100}))$|^\/Windows\/System32\/drivers\/etc\/hosts$/i;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const manifestSchema = z
  .object({
    version: z.literal(1),
    /** Applying: the guest has not run since, so whatever is not as written is half-written. */
    state: z.enum(['applying', 'applied', 'reverting']),
    family: z.string().max(200),
    /** Names a directory that is removed on the way home. */
    runId: z.string().regex(RUN_ID_PATTERN),
    registry: registryRecordSchema,
    added: z
      .array(
        z
          .object({ path: z.string().max(300).regex(ADDABLE, 'is not for Lifeboat to remove'), sha256 })
          .strict(),
      )
      .max(200),
    /** Of the hosts file, if it was changed: ours, and the original that lies beside this record. */
    hosts: z.object({ ours: sha256, original: sha256 }).strict().optional(),
    /** While files are being replaced: what each was, with a copy beside this record, and what it is to be. */
    replacing: z
      .array(z.object({ file: z.enum(['SYSTEM', 'hosts']), before: sha256, after: sha256 }).strict())
      .max(2),
  })
  .strict();

/** What was done to a Windows guest, kept in the guest, so that exactly that can be undone. */
export type WindowsManifest = z.output<typeof manifestSchema>;
export type ReplaceableFile = WindowsManifest['replacing'][number]['file'];

/**
 * @returns undefined where the guest was never adapted
 * @throws GuestNotAdaptableError where the manifest is none of ours
 */
export async function readWindowsManifest(files: GuestFiles): Promise<WindowsManifest | undefined> {
  const record = await readRecord(files, MANIFEST);
  if (record !== undefined && !(record instanceof Error)) return record;
  const next = await readRecord(files, NEXT_MANIFEST);
  if (next !== undefined && !(next instanceof Error)) return next;
  // Cut off while the first record was written: nothing else had been changed.
  if (record === undefined) return undefined;
  throw new GuestNotAdaptableError(
    `${MANIFEST} in the guest says what was changed for the recovery site, and it is damaged (${record.message.slice(0, 200)}). ` +
      'Nothing was changed. Fail over again from the DR copy, or undo the changes in the guest and remove that file.',
  );
}

/** @returns an error where there is a record that is none of ours, or is cut off */
async function readRecord(files: GuestFiles, where: string): Promise<WindowsManifest | Error | undefined> {
  const path = await findPath(files, where);
  if (path === undefined) return undefined;
  const content = (await files.read(path, MAX_MANIFEST_BYTES)).toString('utf8');
  try {
    return manifestSchema.parse(JSON.parse(content));
  } catch (error) {
    if (error instanceof z.ZodError) return new Error(error.issues[0]?.message ?? 'invalid');
    if (error instanceof SyntaxError) return error;
    throw error;
  }
}

/** A manifest as {@link readWindowsManifest} will believe it. @throws Error where it would not */
export function checkedManifest(manifest: WindowsManifest): WindowsManifest {
  return manifestSchema.parse(manifest);
}

export function sha256Hex(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
