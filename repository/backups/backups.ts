import { hash } from 'node:crypto';
import { z } from 'zod';
import { CONTROLLER_KINDS, CONTROLLERS_A_BUS } from '../../machines/disk-place';
import { BlockMap } from '../maps/block-map';
import { BlockMapError } from '../maps/block-map-format';
import { DamagedObjectError, parseJsonObject } from '../objects/json-object';
import { blockMapKey, checkBackupId, checkDiskKey, manifestKey } from '../objects/keys';
import { type BackedUpDisk, type BackupManifest, isSealed, sealManifest } from './manifest';
import { ConflictError, type ObjectStore } from '../objects/object-store';
import { backupStates, isAbandonment } from './retirement';

const count = z.int().nonnegative();
const passes = (check: (text: string) => string) => (text: string) => {
  try {
    return check(text) === text;
  } catch {
    // A name of another form; the caller's message says so.
    return false;
  }
};
const backupId = z.string().refine(passes(checkBackupId), 'is no backup id');
const diskKey = z.string().refine(passes(checkDiskKey), 'is no disk key');
const diskSize = z.int().positive().multipleOf(512);

const controllerKind = z.enum(CONTROLLER_KINDS);

const manifestSchema: z.ZodType<BackupManifest> = z.object({
  version: z.literal(1),
  vm: z.string(),
  backupId,
  takenAt: z.iso.datetime(),
  consistency: z.enum(['crash', 'powered-off', 'quiesced']),
  notes: z.array(z.string()).optional(),
  excludedDisks: z.array(diskKey).optional(),
  configuration: z.object({
    cpus: z.int().positive(),
    memoryMiB: z.int().positive(),
    firmware: z.enum(['bios', 'uefi']),
    nics: z.array(z.object({ network: z.string(), mac: z.string() })),
    guestOs: z.string(),
    displayName: z.string().optional(),
    identity: z.string().optional(),
    diskController: controllerKind.optional(),
    disks: z
      .array(
        z.object({
          key: diskKey,
          sizeBytes: diskSize,
          slot: count,
          controller: z.object({ kind: controllerKind, bus: count.max(CONTROLLERS_A_BUS - 1) }).optional(),
          boot: z.boolean(),
        }),
      )
      .min(1),
  }),
  previous: backupId.optional(),
  disks: z
    .array(
      z.object({
        key: diskKey,
        sizeBytes: diskSize,
        changeMarker: z.string().optional(),
        blockMap: z.string(),
        blockMapSha256: z.string().regex(/^[0-9a-f]{64}$/),
        dataBlocks: count,
        storedBlocks: count,
        storedBytes: count,
      }),
    )
    .min(1),
  guest: z
    .object({
      rehearsedAt: z.iso.datetime(),
      outcome: z.enum(['adaptable', 'not adaptable', 'unknown']),
      family: z.string().optional(),
      kernels: z.array(z.string()).optional(),
      problem: z.string().optional(),
      warnings: z.array(z.string()),
    })
    .optional(),
});

/** Ids of a VM's backups that have a manifest and are not retired, oldest first. */
export async function listBackups(store: ObjectStore, vm: string): Promise<string[]> {
  const states = await backupStates(store, vm);
  return [...states].flatMap(([id, { manifest, retired }]) => (manifest && !retired ? [id] : [])).sort();
}

/**
 * Manifests of a plan's VMs that are read at once: of a thousand VMs, at 0.1 s each, in 6 s. They are a few KiB each, and
 * S3 gives 5,500 objects a second; more would take from the client's 50 connections (Node's HTTP handler of the AWS SDK)
 * those that copies beside them read and write by.
 */
export const MANIFESTS_AT_ONCE = 16;

/**
 * The manifest of a backup, also of a retired one, which can be read for as long as something refers to it.
 * @returns undefined where there is no such backup, or it was given up before it was finished
 * @throws DamagedObjectError where the manifest is not what it should be
 */
export async function readManifest(
  store: ObjectStore,
  vm: string,
  id: string,
): Promise<BackupManifest | undefined> {
  const key = manifestKey(vm, id);
  const object = await store.get(key);
  if (object === undefined || isAbandonment(object.body)) return undefined;
  const manifest = parseJsonObject(key, object.body, manifestSchema);
  if (manifest.vm !== vm || manifest.backupId !== id)
    throw new DamagedObjectError(key, `it is of the backup ${manifest.backupId} of ${manifest.vm}`);
  const configured = manifest.configuration.disks.map((disk) => `${disk.key}:${disk.sizeBytes}`).sort();
  const stored = manifest.disks.map((disk) => `${disk.key}:${disk.sizeBytes}`).sort();
  if (
    configured.join() !== stored.join() ||
    new Set(manifest.disks.map((disk) => disk.key)).size !== stored.length
  )
    throw new DamagedObjectError(key, 'the disks that it stores are not those of its configuration');
  for (const disk of manifest.disks)
    if (disk.blockMap !== blockMapKey(vm, id, disk.key))
      throw new DamagedObjectError(key, `the block map of ${disk.key} is said to be at "${disk.blockMap}"`);
  if (!isSealed(object.body))
    throw new DamagedObjectError(key, 'its SHA-256 is not the one that stands in it');
  return manifest;
}

/** The VM's newest backup. @param except an id that does not count: the backup that is being made */
export async function newestManifest(
  store: ObjectStore,
  vm: string,
  except?: string,
): Promise<BackupManifest | undefined> {
  for (const id of (await listBackups(store, vm)).reverse()) {
    const manifest = id === except ? undefined : await readManifest(store, vm, id);
    if (manifest !== undefined) return manifest;
  }
  return undefined;
}

/**
 * Writes the manifest that makes a backup a recovery point. Writing it again with the same content is harmless.
 * @throws ConflictError where there is another one
 */
export async function writeManifest(store: ObjectStore, manifest: BackupManifest): Promise<void> {
  await putOnce(store, manifestKey(manifest.vm, manifest.backupId), sealManifest(manifest));
}

/** Stores an immutable object; one that is there already with the same bytes is as good. @throws ConflictError */
export async function putOnce(store: ObjectStore, key: string, bytes: Buffer): Promise<void> {
  try {
    await store.putNew(key, bytes);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    if (!(await store.get(key))?.body.equals(bytes)) throw error;
  }
}

/**
 * The block map of a backed-up disk, checked against its manifest. Its pages are read and checked when they are needed.
 * @throws DamagedObjectError where it is missing, or not the one that the manifest means
 */
export async function openBlockMap(store: ObjectStore, vm: string, disk: BackedUpDisk): Promise<BlockMap> {
  const object = await store.get(disk.blockMap);
  if (object === undefined) throw new DamagedObjectError(disk.blockMap, 'it is missing');
  if (hash('sha256', object.body) !== disk.blockMapSha256)
    throw new DamagedObjectError(disk.blockMap, 'its SHA-256 is not the one in the manifest');
  const map = parseMap(store, vm, disk.blockMap, object.body);
  const { dataBlocks, storedBlocks, storedBytes } = disk;
  if (
    map.diskSizeBytes !== disk.sizeBytes ||
    map.length !== dataBlocks ||
    map.storedBlocks !== storedBlocks ||
    map.storedBytes !== storedBytes
  )
    throw new DamagedObjectError(disk.blockMap, 'its size or number of blocks is not that of the manifest');
  return map;
}

/** The block map of a backup that has no manifest yet. @returns undefined where there is none */
export async function findBlockMap(
  store: ObjectStore,
  vm: string,
  id: string,
  disk: string,
): Promise<{ map: BlockMap; key: string; sha256: string } | undefined> {
  const key = blockMapKey(vm, id, disk);
  const object = await store.get(key);
  return object && { map: parseMap(store, vm, key, object.body), key, sha256: hash('sha256', object.body) };
}

function parseMap(store: ObjectStore, vm: string, key: string, bytes: Buffer): BlockMap {
  try {
    return BlockMap.parse(store, vm, bytes);
  } catch (error) {
    if (error instanceof BlockMapError) throw new DamagedObjectError(key, error.message);
    throw error;
  }
}
