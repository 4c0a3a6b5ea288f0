import { PLAN_NAME, planNamePattern } from '../../plan/names';

/**
 * Where the objects of a backup repository are. All keys are relative to the repository's prefix and depend on no plan:
 * a VM's backups outlive the plan that made them.
 *
 *   <vm>/backups/<backupId>/manifest.json
 *   <vm>/backups/<backupId>/retired.json
 *   <vm>/backups/<backupId>/<disk>.map
 *   <vm>/maps/<backupId>-<disk>-<n>
 *   <vm>/packs/<backupId>-<disk>-<n>
 *   pins/<vm>/<user>.json, see pins.ts
 */

/** Disk keys: letters, digits and "-"; see DiskConfiguration. 64 is far more than any adapter makes. */
const DISK = '[A-Za-z0-9-]{1,64}';
/** UTC time of the backup, then 8 hex digits of its run: ids sort by time. */
const BACKUP_ID = '\\d{8}T\\d{6}Z-[0-9a-f]{8}';

const diskPattern = new RegExp(`^${DISK}$`);
const backupIdPattern = new RegExp(`^${BACKUP_ID}$`);
/** Packs and page objects are numbered per backup and disk. */
const numberedPattern = (kind: string) =>
  new RegExp(`^(${PLAN_NAME})/${kind}/(${BACKUP_ID})-(${DISK})-(\\d{1,9})$`);
const packPattern = numberedPattern('packs');
const mapPagesPattern = numberedPattern('maps');
const backupPattern = new RegExp(`^(${PLAN_NAME})/backups/(${BACKUP_ID})/([^/]+)$`);

/** No key of a pack or page object is longer: 40 for the VM, 64 for the disk, 25 for the backup, the rest as it stands. */
export const MAX_OBJECT_KEY_BYTES = 160;

/** What the key of a pack or page object is made of. */
export interface ObjectKey {
  vm: string;
  backupId: string;
  disk: string;
  n: number;
}

/** A name that could not be part of a key: it came from a plan, a hypervisor or a tag, and is not what it should be. */
export class InvalidNameError extends Error {
  constructor(kind: string, name: string) {
    super(`${JSON.stringify(name)} is no valid ${kind}.`);
    this.name = 'InvalidNameError';
  }
}

function checked(pattern: RegExp, kind: string, name: string): string {
  if (!pattern.test(name)) throw new InvalidNameError(kind, name);
  return name;
}

/** @throws InvalidNameError */
export function checkBackupId(backupId: string): string {
  return checked(backupIdPattern, 'backup id', backupId);
}

/** @throws InvalidNameError */
export function checkVmName(vm: string): string {
  return checked(planNamePattern, 'VM name', vm);
}

/** @throws InvalidNameError */
export function checkDiskKey(disk: string): string {
  return checked(diskPattern, 'disk key', disk);
}

/** Prefix under which all backups of a VM are listed. */
export function backupsPrefix(vm: string): string {
  return `${checkVmName(vm)}/backups/`;
}

export function manifestKey(vm: string, backupId: string): string {
  return `${backupsPrefix(vm)}${checkBackupId(backupId)}/manifest.json`;
}

export function blockMapKey(vm: string, backupId: string, disk: string): string {
  return `${backupsPrefix(vm)}${checkBackupId(backupId)}/${checkDiskKey(disk)}.map`;
}

/** Prefix of all packs of a VM. */
export const packsPrefix = (vm: string): string => `${checkVmName(vm)}/packs/`;

export function packKey(vm: string, backupId: string, disk: string, n: number): string {
  return `${checkVmName(vm)}/packs/${checkBackupId(backupId)}-${checkDiskKey(disk)}-${n}`;
}

/** The mark of a backup that nothing may be built on any more. */
export function retiredKey(vm: string, backupId: string): string {
  return `${backupsPrefix(vm)}${checkBackupId(backupId)}/retired.json`;
}

/** Key of an object with pages of a disk's block map. */
export function mapPagesKey(vm: string, backupId: string, disk: string, n: number): string {
  return `${checkVmName(vm)}/maps/${checkBackupId(backupId)}-${checkDiskKey(disk)}-${n}`;
}

/** The parts of a pack's key; undefined for any other key. */
export function parsePackKey(key: string): ObjectKey | undefined {
  return parseNumbered(packPattern, key);
}

/** The parts of a page object's key; undefined for any other key. */
export function parseMapPagesKey(key: string): ObjectKey | undefined {
  return parseNumbered(mapPagesPattern, key);
}

function parseNumbered(pattern: RegExp, key: string): ObjectKey | undefined {
  const [, vm, backupId, disk, n] = pattern.exec(key) ?? [];
  return vm !== undefined && backupId !== undefined && disk !== undefined
    ? { vm, backupId, disk, n: Number(n) }
    : undefined;
}

/** What a key of a VM's objects is, and the backup that stored it; undefined for anything else. */
export function parseVmKey(
  vm: string,
  key: string,
): { backupId: string; kind: 'manifest' | 'retired' | 'map' | 'pages' | 'pack' } | undefined {
  const numbered = parsePackKey(key) ?? parseMapPagesKey(key);
  if (numbered !== undefined)
    return numbered.vm === vm
      ? { backupId: numbered.backupId, kind: packPattern.test(key) ? 'pack' : 'pages' }
      : undefined;
  const [, owner, backupId, name = ''] = backupPattern.exec(key) ?? [];
  if (owner !== vm || backupId === undefined) return undefined;
  if (name === 'manifest.json') return { backupId, kind: 'manifest' };
  if (name === 'retired.json') return { backupId, kind: 'retired' };
  return name.endsWith('.map') && diskPattern.test(name.slice(0, -4)) ? { backupId, kind: 'map' } : undefined;
}
