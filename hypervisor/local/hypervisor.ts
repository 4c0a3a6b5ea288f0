import { randomUUID } from 'node:crypto';
import { readdir, rename, rm, statfs } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type SandboxNetwork } from '../../machines/network/segment';
import { consoleOutput, killMachine, machineIsRunning, powerDown } from '../../machines/machine';
import { leaveOut } from '../excluded-disks';
import {
  type Hypervisor,
  NotShutDownError,
  type OpenDisk,
  type VmConfiguration,
  VmExistsError,
  VmNotFoundError,
  VmRefusedError,
} from '../port';
import { expectNotGivenUp, giveUp } from './snapshots/given-up';
import { vmSnapshot } from './snapshots/vm-snapshot';
import { changedAreas } from './snapshots/changed-areas';
import { drop, hold, isThere, revert } from './hold';
import { prepareForWriting } from './images/content-id';
import { closeExport, endExport, isOpen, openExport } from './images/disk-export';
import { checkImage } from './images/image-check';
import { withLock } from '../../host/lock';
import { removeTaps, startVm } from './power';
import { imageForQemu } from './images/qemu-image';
import { readSettings } from './settings';
import {
  endUnreadSnapshotExports,
  findSnapshotDisk,
  liveDiskPath,
  offlineExportDirectory,
  removeAllSnapshotFiles,
  removeSnapshot,
  takeSnapshot,
} from './snapshots/snapshots';
import { checkDisk, checkHardware, newWwn, placeProblem, type VmFile, VmFiles, vmNames } from './vm-files';
import { createVmdk } from './images/vmdk-create';

/** Where a data centre is; what is absent is read from its datacenter.json. */
export interface LocalHypervisorOptions {
  directory: string;
  /** Without a network here and in datacenter.json, VMs run with their cards left out. */
  network?: SandboxNetwork;
  /** Name of the data centre's segment. */
  segment?: string;
  /** For the sockets of the VMs' monitors; the network's where absent. */
  runDirectory?: string;
}

/**
 * A data centre in a directory: VMs with VMDK, qcow2 or raw disks, run by QEMU; those made here are VMDKs. Any number
 * of processes may work on it at once; each needs the directory only. Must be root: disks are handed out by FUSE, and
 * cards are taps.
 */
export function localHypervisor(options: LocalHypervisorOptions): Hypervisor {
  const directory = resolve(options.directory);

  /** Runs `work` alone on a VM. */
  async function locked<Result>(vm: string, work: (files: VmFiles) => Promise<Result>): Promise<Result> {
    const files = new VmFiles(directory, vm);
    await files.prepareLock();
    return withLock(files.lock, () => work(files));
  }

  async function site() {
    const settings = await readSettings(directory);
    const network = options.network ?? settings?.network;
    const runDirectory = options.runDirectory ?? network?.runDirectory ?? join(directory, 'run');
    return { network, runDirectory, segment: options.segment ?? settings?.segment.name ?? 'dc', settings };
  }

  return {
    listVms: () => vmNames(directory),

    async describeVm(vm) {
      const files = new VmFiles(directory, vm);
      const file = await files.read();
      const { mark, heldBy } = file;
      const power = (await machineIsRunning(files.machine)) ? 'running' : 'off';
      return {
        ...describedHardware(file),
        power,
        ...(mark === undefined ? {} : { mark }),
        ...(heldBy === undefined ? {} : { heldBy }),
      };
    },

    snapshotVm: (vm, snapshotId, options = {}) =>
      locked(vm, async (files) => {
        await expectNotGivenUp(files, snapshotId);
        const file = await files.read();
        leaveOut(file.configuration.disks, options.excludeDisks);
        return vmSnapshot(describedHardware(file), await takeSnapshot(files, snapshotId), options);
      }),

    openSnapshotDisk: (vm, snapshotId, diskKey) =>
      locked(vm, async (files) => {
        const { record, disk } = await findSnapshotDisk(files, snapshotId, diskKey);
        if (record.consistency === 'crash') {
          // QEMU holds the path until the snapshot is released.
          const path = liveDiskPath(files, record, disk.key);
          return { path, sizeBytes: disk.sizeBytes, close: () => Promise.resolve() };
        }
        return handOut(files, await files.read(), offlineExportDirectory(files, record, disk.key), disk);
      }),

    changedAreas: (vm, snapshotId, diskKey, since) =>
      locked(vm, async (files) => {
        const { record, disk } = await findSnapshotDisk(files, snapshotId, diskKey);
        return changedAreas(files, record, disk, since);
      }),

    releaseSnapshot: (vm, snapshotId) =>
      locked(vm, async (files) => {
        await giveUp(files, snapshotId);
        await removeSnapshot(files, snapshotId);
      }),

    createVm: (vm, wanted, mark) =>
      locked(vm, async (files) => {
        const hardware = checkHardware(wanted);
        const existing = await readIfExists(files);
        if (!existing) {
          const configuration = { ...hardware, disks: [] };
          return files.write({
            version: 1,
            configuration,
            revision: 0,
            uuid: randomUUID(),
            ...(mark === undefined ? {} : { mark }),
          });
        }
        if (existing.mark !== mark) throw new VmExistsError(vm);
        // Without a mark, only the same properties tell a repeated call from another VM.
        const same = isDeepStrictEqual(checkHardware(existing.configuration), hardware);
        if (mark === undefined && !same) throw new VmExistsError(vm);
      }),

    async freeBytes() {
      const { bavail, bsize } = await statfs(directory);
      return bavail * bsize;
    },

    addDisk: (vm, wanted) =>
      locked(vm, async (files) => {
        const disk = checkDisk(wanted);
        const file = await files.read();
        const { disks } = file.configuration;
        const existing = disks.find(({ key }) => key === disk.key);
        if (existing && isDeepStrictEqual(existing, disk)) return;
        if (existing)
          throw new Error(`VM "${vm}" has a disk "${disk.key}" already, of other size, place or boot flag.`);
        const problem = placeProblem({ ...file.configuration, disks: [...disks, disk] });
        if (problem !== undefined) throw new VmRefusedError(`VM "${vm}" cannot have that disk: ${problem}`);
        if (disk.boot && disks.some(({ boot }) => boot))
          throw new Error(`VM "${vm}" has a boot disk already.`);
        await mustBeOff(files);
        // Until vm.json names it, the file counts for nothing, so a broken-off try is simply made again.
        const path = files.disk(disk.key);
        await createVmdk(path, disk.sizeBytes);
        // What is written down below must be a disk that opens.
        await checkImage({ path, format: 'vmdk' }, disk.sizeBytes);
        await files.write({
          ...file,
          configuration: { ...file.configuration, disks: [...disks, disk] },
          wwns: { ...file.wwns, [disk.key]: newWwn() },
        });
      }),

    openDisk: (vm, diskKey) =>
      locked(vm, async (files) => {
        const file = await files.read();
        const disk = file.configuration.disks.find(({ key }) => key === diskKey);
        if (!disk) throw new Error(`VM "${vm}" has no disk "${diskKey}".`);
        await mustBeOff(files);
        await endUnreadSnapshotExports(files);
        await files.write({ ...file, revision: file.revision + 1 });
        return handOut(files, file, join(files.open, disk.key), disk, true);
      }),

    configureVm: (vm, wanted) =>
      locked(vm, async (files) => {
        const hardware = checkHardware(wanted);
        const file = await files.read();
        if (isDeepStrictEqual(checkHardware(file.configuration), hardware)) return;
        await mustBeOff(files);
        await files.write({ ...file, configuration: { ...hardware, disks: file.configuration.disks } });
      }),

    deleteVm: (vm) =>
      locked(vm, async (files) => {
        await stopVm(files);
        const { network, segment } = await site();
        if (network) await removeTaps(network, segment, vm);
        await rm(files.home, { recursive: true, force: true });
      }),

    holdVm: (vm, holdId) =>
      locked(vm, async (files) => {
        if ((await files.read()).heldBy === holdId) return;
        await mustBeOff(files);
        await mustBeClosed(files);
        await hold(files, holdId);
      }),

    revertVm: (vm, holdId) =>
      locked(vm, async (files) => {
        if (await isThere(files)) await revert(files, holdId, () => stopVm(files));
      }),

    dropHold: (vm, holdId) =>
      locked(vm, async (files) => {
        if (await isThere(files)) await drop(files, holdId);
      }),

    renameVm: (vm, wanted) =>
      locked(vm, async (files) => {
        await files.read();
        const renamed = namedVm(directory, wanted);
        await mustBeOff(files);
        await mustBeClosed(files);
        await renamed.prepareLock();
        await withLock(renamed.lock, async () => {
          if (await isThere(renamed)) throw new VmExistsError(wanted);
          const { network, segment } = await site();
          if (network) await removeTaps(network, segment, vm);
          await rename(files.home, renamed.home);
        });
      }),

    powerOn: (vm) =>
      locked(vm, async (files) => {
        const file = await files.read();
        if (await machineIsRunning(files.machine)) return;
        await mustBeClosed(files);
        await files.write({ ...file, revision: file.revision + 1 });
        await startVm(files, file, await site());
      }),

    async shutDown(vm, timeoutSeconds) {
      const files = new VmFiles(directory, vm);
      await files.read();
      if (!(await powerDown(files.machine, timeoutSeconds))) throw new NotShutDownError(vm, timeoutSeconds);
    },

    async powerOff(vm) {
      const files = new VmFiles(directory, vm);
      await files.read();
      await killMachine(files.machine);
    },

    async consoleOutput(vm) {
      const files = new VmFiles(directory, vm);
      await files.read();
      return (await consoleOutput(files.machine)).toString('utf8');
    },
  };

  async function handOut(
    files: VmFiles,
    file: VmFile,
    exportDirectory: string,
    { key, sizeBytes }: { key: string; sizeBytes: number },
    writable = false,
  ): Promise<OpenDisk> {
    const image = files.image(file, key);
    const checked = await checkImage(image, sizeBytes);
    if (writable) await prepareForWriting(image, checked);
    const exported = {
      directory: exportDirectory,
      image,
      opened: await imageForQemu(image, checked, files.parts(key)),
      files: checked.files,
      // A file itself cannot be handed out for reading alone.
      rawFile: writable ? checked.rawFile : undefined,
      sizeBytes,
      writable,
    };
    const { path, opener } = await openExport(exported);
    const close = () => locked(files.vm, () => closeExport(exported, opener));
    return { path, sizeBytes, close };
  }
}

/** Ends everything that runs for the VMs in `directory`, in whichever process it was begun. The VMs stay. */
export async function stopAllVms(directory: string): Promise<void> {
  for (const vm of await vmNames(directory)) {
    const files = new VmFiles(resolve(directory), vm);
    await files.prepareLock();
    await withLock(files.lock, () => stopVm(files));
  }
}

async function mustBeOff(files: VmFiles): Promise<void> {
  if (await machineIsRunning(files.machine))
    throw new Error(`VM "${files.vm}" is running; power it off first.`);
}

/** Ends what hands disks of the VM out, where whoever had them open has died. @throws Error where somebody has one open */
async function mustBeClosed(files: VmFiles): Promise<void> {
  for (const key of await openDiskKeys(files)) {
    const opened = join(files.open, key);
    if (await isOpen(opened)) throw new Error(`Disk "${key}" of VM "${files.vm}" is still open for writing.`);
    await endExport(opened);
  }
  await endUnreadSnapshotExports(files);
}

function describedHardware({ configuration, uuid }: VmFile): VmConfiguration {
  return { ...configuration, ...(uuid === undefined ? {} : { identity: uuid }) };
}

function namedVm(directory: string, name: string): VmFiles {
  try {
    return new VmFiles(directory, name);
  } catch (error) {
    if (!(error instanceof VmNotFoundError)) throw error;
    throw new VmRefusedError(`"${name}" cannot be a VM's name: it has 1 to 80 letters, digits or "-".`);
  }
}

async function readIfExists(files: VmFiles) {
  try {
    return await files.read();
  } catch (error) {
    if (error instanceof VmNotFoundError) return undefined;
    throw error;
  }
}

/** Takes a VM's power away, and every disk of it that is handed out. */
async function stopVm(files: VmFiles): Promise<void> {
  await killMachine(files.machine);
  await removeAllSnapshotFiles(files);
  for (const key of await openDiskKeys(files)) await endExport(join(files.open, key));
}

async function openDiskKeys(files: VmFiles): Promise<string[]> {
  try {
    return await readdir(files.open);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
