import { createHash } from 'node:crypto';
import { z } from 'zod';
import { withGuest, type OpenGuest } from '../../files/open-guest';
import { GuestFileError, type GuestFiles } from '../../files/port';
import { GuestNotAdaptableError } from '../../port';
import { STATE_DIRECTORY } from '../stay/boot-scripts';

export const MANIFEST = `${STATE_DIRECTORY}/adaptation.json`;
/** The record while it is written anew: a cut-off leaves this one or the other whole. */
export const NEXT_MANIFEST = `${STATE_DIRECTORY}/adaptation.next`;
export const ORIGINALS = `${STATE_DIRECTORY}/original`;
/** Both versions of a file that a person changed where undoing line by line is not possible. */
export const KEPT = `${STATE_DIRECTORY}/kept`;

const MAX_MANIFEST_BYTES = 1024 * 1024;
const MAX_CHANGES = 2000;

/**
 * All that a strategy may change. The manifest lies in a guest that somebody else ran: without this list it could
 * make the way home remove or rewrite anything on the disk.
 */
const CHANGEABLE = [
  /^\/boot\/(initrd|initramfs)([.-][A-Za-z0-9][A-Za-z0-9._+~-]{0,100})?$/,
  /^\/boot\/(grub2?|efi\/EFI\/[A-Za-z0-9._-]{1,100})\/(grub\.cfg|grubenv)$/,
  /^\/boot\/loader\/entries\/[A-Za-z0-9][A-Za-z0-9._+~@-]{0,200}\.conf$/,
  /^\/etc\/kernel\/cmdline$/,
  /^\/etc\/dracut\.conf\.d\/90-lifeboat\.conf$/,
  /^\/etc\/(hosts|fstab|crypttab|resolv\.conf|dhcpcd\.conf|default\/grub)$/,
  /^\/etc\/initramfs-tools\/(modules|initramfs\.conf|conf\.d\/[A-Za-z0-9._-]{1,100})$/,
  /^\/etc\/network\/[^/]{1,200}(\/[^/]{1,200})?$/,
  /^\/etc\/sysconfig\/network(-scripts)?\/(ifcfg-|route6?-|ifroute-|routes$)[^/]{0,200}$/,
  /^\/etc\/sysconfig\/network$/,
  /^\/etc\/(cloud\/cloud-init\.disabled|growroot-disabled)$/,
  /^\/etc\/repart\.d\/[^/]{1,200}\.conf$/,
  /^\/etc\/NetworkManager\/conf\.d\/zz-lifeboat\.conf$/,
  /^\/etc\/systemd\/resolved\.conf(\.d\/[^/]{1,200}\.conf)?$/,
  /^\/etc\/systemd\/system\/systemd-networkd-wait-online\.service\.d\/zz-lifeboat\.conf$/,
  // Masks: units that would change the guest's identity or the size of its file systems.
  /^\/etc\/systemd\/system\/(cloud-(init(-local|-main|-network)?|config|final)|systemd-(repart|growfs-root|growfs@[A-Za-z0-9:_.\\-]{1,200}))\.service$/,
  /^\/etc\/default\/grub\.d\/[^/]{1,200}\.cfg$/,
  /^\/etc\/lvm\/(lvm|lvmlocal)\.conf$/,
  /^\/etc\/lvm\/devices\/[A-Za-z0-9._-]{1,100}\.devices$/,
  /^\/etc\/(mdadm\/)?mdadm\.conf$/,
  /^\/etc\/systemd\/system\/([A-Za-z0-9:_.@-]{1,200}\.(mount|swap))$/,
  /^\/etc\/netplan\/[^/]{1,200}\.yaml$/,
  /^\/etc\/NetworkManager\/system-connections\/[^/]{1,200}$/,
  /^\/etc\/systemd\/network\/[^/]{1,200}\.(network|netdev|link)$/,
  /^\/etc\/systemd\/system\/(lifeboat-(boot|launch)\.service|(multi-user|network-online)\.target\.wants\/(lifeboat-boot|lifeboat-launch|systemd-networkd|systemd-networkd-wait-online|NetworkManager-wait-online)\.service)$/,
  /^\/etc\/udev\/rules\.d\/[^/]{1,200}\.rules$/,
  /^\/var\/lib\/lifeboat\/(run-boot-scripts|read-launch-data|launch\/(hosts|environment)|boot\.d\/[A-Za-z0-9][A-Za-z0-9._-]{0,63}\/(environment|scripts\/[0-9]{2}-[A-Za-z0-9._-]{1,100}))$/,
];
/** Directories that may be removed again, if they are empty. */
const CHANGEABLE_DIRECTORY = new RegExp(
  `^/(${[
    'etc/(systemd|systemd/network|systemd/system|systemd/system/(multi-user|network-online)\\.target\\.wants)',
    'etc/systemd/system/systemd-networkd-wait-online\\.service\\.d',
    'etc/NetworkManager(/(system-connections|conf\\.d))?',
    'etc/(cloud|repart\\.d|dracut\\.conf\\.d)',
    'var|var/lib|var/lib/lifeboat(/launch)?',
    'var/lib/lifeboat/boot\\.d(/[A-Za-z0-9][A-Za-z0-9._-]{0,63}(/scripts)?)?',
  ].join('|')})$`,
);

export function isChangeable(path: string): boolean {
  return (
    !path.split('/').some((part) => part === '..' || part === '.') &&
    CHANGEABLE.some((pattern) => pattern.test(path))
  );
}

const path = z.string().max(1024).refine(isChangeable, 'is not for Lifeboat to change');
const directory = z.string().max(1024).regex(CHANGEABLE_DIRECTORY, 'is not for Lifeboat to remove');
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const bytes = z.number().int().min(0);
/** Whether the file was one that nobody may change (chattr +i). */
const immutable = z.boolean().optional();

const change = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('directory'), path: directory }).strict(),
  z.object({ kind: z.literal('added'), path, sha256 }).strict(),
  z.object({ kind: z.literal('link'), path, target: z.string().max(1024) }).strict(),
  z.object({ kind: z.literal('replaced'), path, sha256, original: sha256, immutable }).strict(),
  z.object({ kind: z.literal('aside'), path, original: sha256, immutable }).strict(),
  z
    .object({ kind: z.literal('unlinked'), path, target: z.string().max(4096), sha256: sha256.optional() })
    .strict(),
  z
    .object({ kind: z.literal('initramfs'), path, originalBytes: bytes, segmentBytes: bytes, sha256 })
    .strict(),
]);

const manifestSchema = z
  .object({
    version: z.literal(1),
    /** Applying: the guest has not run since, so whatever is not as written is half-written. */
    state: z.enum(['applying', 'applied', 'reverting']),
    family: z.string().max(100),
    runId: z.string().max(64),
    changes: z.array(change).max(MAX_CHANGES),
  })
  .strict();

/** What was done to a guest, kept in the guest, so that exactly that can be undone. */
export type Manifest = z.output<typeof manifestSchema>;
export type RecordedChange = Manifest['changes'][number];

/**
 * @returns undefined where the guest was never adapted
 * @throws GuestNotAdaptableError where the manifest is none of ours
 */
export async function readManifest(files: GuestFiles): Promise<Manifest | undefined> {
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
async function readRecord(files: GuestFiles, path: string): Promise<Manifest | Error | undefined> {
  if ((await files.realpath(path)) === undefined) return undefined;
  try {
    return manifestSchema.parse(JSON.parse((await files.read(path, MAX_MANIFEST_BYTES)).toString('utf8')));
  } catch (error) {
    if (error instanceof z.ZodError) return new Error(error.issues[0]?.message ?? 'invalid');
    if (error instanceof SyntaxError || error instanceof GuestFileError) return error;
    throw error;
  }
}

/**
 * Makes the record of what will be done.
 * @throws GuestNotAdaptableError where it could not be undone, as it is outside of what {@link readManifest} believes
 */
export function newManifest(manifest: Manifest): Manifest {
  const result = manifestSchema.safeParse(manifest);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const index = issue?.path[1];
  const at = typeof index === 'number' ? manifest.changes[index]?.path : undefined;
  throw new GuestNotAdaptableError(
    `${at ?? 'The adaptation'} ${issue?.message ?? 'cannot be recorded'}: give it a plain name in the guest.`,
  );
}

/** Whether the guest has such a record, whole or not. */
export async function hasManifest(files: GuestFiles): Promise<boolean> {
  for (const path of [MANIFEST, NEXT_MANIFEST]) if ((await files.realpath(path)) !== undefined) return true;
  return false;
}

/**
 * Puts a record of what was done in the place of the one before. Wherever that is cut off, one of both is whole: it is written
 * twice, and each is on the disk before the next is begun.
 */
export async function writeManifest(open: OpenGuest, manifest: Manifest): Promise<void> {
  const content = Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`);
  for (const path of [NEXT_MANIFEST, MANIFEST])
    await withGuest(open, (files) => files.write(path, content, { mode: 0o600 }));
  await withGuest(open, (files) => files.remove(NEXT_MANIFEST));
}

export function sha256Hex(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
