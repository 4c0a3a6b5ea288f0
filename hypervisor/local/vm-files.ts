import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../../host/atomic-file';
import { readIfExists } from '../../host/if-exists';
import { CONTROLLERS_A_BUS, nameControllers, placeConflict } from '../../machines/disk-place';
import { isMachineController, isMachineSlot, MACHINE_CONTROLLERS } from '../../machines/hardware';
import { printable } from '../../plan/printable';
import { schemaProblems } from '../../plan/schema-problems';
import { type ControllerKind, VmNotFoundError, VmRefusedError, type VmConfiguration } from '../port';

/**
 * A VM's place: `<directory>/vms/<name>/` with vm.json, the disks' images, the files of its QEMU, snapshots/ and
 * open/ (disks handed out). A disk's image is `<key>.vmdk`, unless vm.json names another file and format of it under
 * `images`. Names and keys come from plans, backups and tags, so each is checked before it becomes part of a path.
 */

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,39}$/, 'must be 1 to 40 letters, digits or "-"');
/** As long as vSphere's: a VM that is set aside gets a name with a word and a time in it. */
const vmName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,79}$/);

/** Largest capacity of a VMDK on VMware. */
const MAX_DISK_BYTES = 62 * 1024 ** 4;

/** QEMU has no others of VMware's; see machines/hardware.ts. */
const controllerKind = z.enum(MACHINE_CONTROLLERS);

const disk = z.strictObject({
  key: name,
  sizeBytes: z.number().int().positive().max(MAX_DISK_BYTES).multipleOf(512),
  /** Which of them a controller has is for {@link placeProblem}: it depends on the kind. */
  slot: z.number().int().min(0).max(15),
  controller: z
    .strictObject({
      kind: controllerKind,
      bus: z
        .number()
        .int()
        .min(0)
        .max(CONTROLLERS_A_BUS - 1),
    })
    .optional(),
  boot: z.boolean(),
});

/** As file systems have it, in bytes. */
const MAX_FILE_NAME_BYTES = 255;

/** In the VM's own directory, and by its ending none of the other files there. Data centres call disks as they like. */
const imageFile = z
  .string()
  .regex(
    /^[^/\p{Cc}\p{Cs}]+\.(vmdk|qcow2|raw|img)$/iu,
    'must be the name of a .vmdk, .qcow2, .raw or .img file, without "/" and control characters',
  )
  .refine(
    (file) => Buffer.byteLength(file) <= MAX_FILE_NAME_BYTES,
    `must be a name of at most ${MAX_FILE_NAME_BYTES} bytes in UTF-8`,
  );

const image = z.strictObject({
  file: imageFile,
  /** Never found out from the image: what looks like a header may have been written by the guest. */
  format: z.enum(['vmdk', 'qcow2', 'raw']),
});

const hardware = z.strictObject({
  cpus: z.number().int().min(1).max(256),
  memoryMiB: z
    .number()
    .int()
    .min(16)
    .max(24 * 1024 * 1024),
  firmware: z.enum(['bios', 'uefi']),
  nics: z
    .array(
      z.strictObject({
        network: z.string().min(1).max(80),
        mac: z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/, 'must be a MAC address in lower case'),
      }),
    )
    .max(3),
  guestOs: z.string().max(200),
  displayName: z.string().min(1).max(200).optional(),
  diskController: controllerKind.optional(),
});

const vmFileParts = z.strictObject({
  version: z.literal(1),
  configuration: hardware.extend({ disks: z.array(disk).max(15) }),
  /** By disk key; what is not named has a VMDK. */
  images: z.record(name, image).optional(),
  /** By disk key: the name by which a disk tells itself from all others. VMware gives every new disk a new one. */
  wwns: z.record(name, z.string().regex(/^[0-9a-f]{16}$/, 'must be 16 hexadecimal digits')).optional(),
  /** Whose VM it is; see createVm of the port. */
  mark: z.string().min(1).max(500).optional(),
  /** What the VM is told from all others by; VMs that were not made here may have none. */
  uuid: z.uuid().optional(),
  /** The id under which it is held; see hold.ts. */
  heldBy: z.string().min(1).max(500).optional(),
  /** Raised before anything may write to the disks; a powered-off snapshot of another revision is void. */
  revision: z.number().int().min(0),
});

const vmFile = vmFileParts.refine(({ configuration, images }) => {
  const named = configuration.disks.map(({ key }) => imageOf(images, key).file);
  return new Set(named).size === named.length;
}, 'two disks must not have the same image');

/** What keeps the disks from being where they are, in a sentence. */
export function placeProblem({
  disks,
  diskController,
}: Pick<VmConfiguration, 'disks' | 'diskController'>): string | undefined {
  const named = nameControllers(disks, diskController);
  for (const { key, slot, controller } of named) {
    const kind = controller?.kind ?? diskController ?? 'pvscsi';
    if (!isMachineSlot(kind, slot))
      return `The disk "${key}" cannot be at slot ${slot} of a ${kind} controller.`;
  }
  return placeConflict(named);
}

export type VmFile = z.infer<typeof vmFileParts>;

function imageOf(images: VmFile['images'], key: string): z.infer<typeof image> {
  // Object.hasOwn: a key may be "constructor".
  const named = images && Object.hasOwn(images, key) ? images[key] : undefined;
  return named ?? { file: `${key}.vmdk`, format: 'vmdk' };
}

/** Begins as those of VMware do, whose number the first digits are; the rest is by chance. */
export function newWwn(): string {
  return `6000c29${randomBytes(5).toString('hex').slice(1)}`;
}

/** Where a disk's bytes are, and how they are laid out; the path may be of a descriptor that names further files. */
export interface DiskImage {
  path: string;
  format: z.infer<typeof image>['format'];
}

/** A vm.json is not as docs/local-data-centre.md says; the message names the file and each field. */
export class VmFileError extends Error {
  constructor(path: string, problems: readonly string[]) {
    super(`${path} cannot be used: ${problems.join('; ')}. Correct it (docs/local-data-centre.md).`);
    this.name = 'VmFileError';
  }
}

/** @throws VmRefusedError, ZodError that names what is wrong */
export function checkHardware(configuration: Omit<VmConfiguration, 'disks'>): z.infer<typeof hardware> {
  // Callers may hand over a description with more in it; what is not hardware is left out here.
  const { cpus, memoryMiB, firmware, nics, guestOs, displayName, diskController } = configuration;
  requireController(diskController);
  return hardware.parse({
    ...{ cpus, memoryMiB, firmware, nics, guestOs },
    ...(displayName === undefined ? {} : { displayName }),
    ...(diskController === undefined ? {} : { diskController }),
  });
}

/** @throws VmRefusedError, ZodError that names what is wrong */
export function checkDisk(value: VmConfiguration['disks'][number]): z.infer<typeof disk> {
  const { key, sizeBytes, slot, controller, boot } = value;
  requireController(controller?.kind);
  return disk.parse({ key, sizeBytes, slot, ...(controller === undefined ? {} : { controller }), boot });
}

function requireController(kind: ControllerKind | undefined): void {
  if (kind !== undefined && !isMachineController(kind))
    throw new VmRefusedError(
      `This data centre's machines (QEMU) have no ${kind} controller; they have ${MACHINE_CONTROLLERS.join(', ')}.`,
    );
}

/** The paths of a VM. */
export class VmFiles {
  readonly home: string;
  /** What machines calls the machine's directory. */
  readonly machine: string;
  readonly snapshots: string;
  readonly open: string;
  /** What is kept of a VM that is held. */
  readonly held: string;
  readonly lock: string;

  /** @throws Error when the name cannot be a VM's */
  constructor(
    private readonly directory: string,
    readonly vm: string,
  ) {
    if (!vmName.safeParse(vm).success) throw new VmNotFoundError(vm);
    this.home = join(directory, 'vms', vm);
    this.machine = this.home;
    this.snapshots = join(this.home, 'snapshots');
    this.open = join(this.home, 'open');
    this.held = join(this.home, 'held');
    // Beside the VM, for it must outlive its deletion.
    this.lock = join(directory, 'locks', vm);
  }

  /** The image that a disk has when it is made here. */
  disk(key: string): string {
    return join(this.home, imageOf(undefined, name.parse(key)).file);
  }

  /** The image of a disk. */
  image({ images }: Pick<VmFile, 'images'>, key: string): DiskImage {
    const { file, format } = imageOf(images, key);
    return { path: join(this.home, file), format };
  }

  /** Where what QEMU opens of a disk is made, if it is not the image itself. */
  parts(key: string): string {
    return join(this.home, 'parts', name.parse(key));
  }

  /** @throws VmNotFoundError, VmFileError */
  async read(): Promise<VmFile> {
    const path = join(this.home, 'vm.json');
    const text = await readIfExists(path);
    if (text === undefined) throw new VmNotFoundError(this.vm);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new VmFileError(path, [`it is no JSON (${printable((error as Error).message)})`]);
    }
    return parseVmFile(path, value);
  }

  async write(file: VmFile): Promise<void> {
    const path = join(this.home, 'vm.json');
    const checked = parseVmFile(path, file);
    await mkdir(this.home, { recursive: true });
    await writeFileAtomically(path, JSON.stringify(checked, null, 2));
  }

  /** Makes the directory that the lock file lies in. */
  async prepareLock(): Promise<void> {
    await mkdir(join(this.directory, 'locks'), { recursive: true });
  }
}

/** @throws VmFileError */
export function parseVmFile(path: string, value: unknown): VmFile {
  const { success, data, error } = vmFile.safeParse(value);
  if (success) return data;
  const problems = schemaProblems(vmFileParts, value, error).map(({ path: field, message }) =>
    field.length === 0 ? message : `${fieldName(field)} ${message}`,
  );
  throw new VmFileError(path, problems);
}

/** `images.system.file`, `configuration.disks[0].key`. */
function fieldName(path: readonly PropertyKey[]): string {
  return printable(
    path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join(''),
  ).replace(/^\./, '');
}

/** Names of the VMs in a data centre's directory, sorted. */
export async function vmNames(directory: string): Promise<string[]> {
  let entries;
  try {
    entries = await readdir(join(directory, 'vms'), { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const names: string[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory() || !vmName.safeParse(entry.name).success) continue;
    const files = await readdir(join(directory, 'vms', entry.name));
    if (files.includes('vm.json')) names.push(entry.name);
  }
  return names.sort();
}

/** A short name made from what may be long or hold anything. */
export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
