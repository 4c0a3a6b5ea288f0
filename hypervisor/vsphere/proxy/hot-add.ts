import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readIfExists } from '../../../host/if-exists';
import { Leases } from '../../../host/leases';
import { withLock } from '../../../host/lock';
import { writeFileAtomically } from '../../../host/atomic-file';
import { syncFile } from '../../../host/sync-file';
import { type OpenDisk } from '../../port';
import { waitForDevice, deviceGone, setReadOnly } from './block-device';
import { type DiskDevice, disksOf, normalUuid } from '../devices';
import { type Inventory } from '../inventory';
import { homeOf, type VmRef } from '../vm';
import { keptController, freeUnit, isOthersDisk } from './kept-controller';
import { isFault } from '../vim/faults';
import { type AnyVirtualDeviceBackingInfo } from '../vim/schema';

/**
 * Disks of other VMs, attached to the backup proxy's own VM while it reads or writes them ("HotAdd" in VMware's documents, here by
 * plain calls of the API). A disk is attached once, for all processes of this host that have it open. Attaching
 * never touches the disk's file: what is attached with no file operation is removed with none.
 */

/** Another work on the proxy's VM, or a host that has not yet let go of the file, is over within this time. */
const BUSY_TRIES = 10;
const BUSY_SECONDS = 1;
/** All of a worker's disks may have to be attached and let go before this one: some seconds each. */
const LOCK_WAIT_SECONDS = 600;

/** A disk as it is found at the VM, or at a snapshot of it. */
export interface SourceDisk {
  uuid: string;
  sizeBytes: number;
  /** As found; its kind and file are what is attached. */
  backing: { $type: string; fileName?: string };
  /** What it is called in messages. */
  shown: string;
}

export type Access = 'read' | 'write';

interface Attached {
  fileName: string;
  access: Access;
}

export class HotAdd {
  readonly #leases: Leases;

  constructor(
    private readonly inventory: Inventory,
    /** Of this host alone; outlives the process. */
    private readonly directory: string,
  ) {
    this.#leases = new Leases(join(directory, 'hot-added'));
  }

  /**
   * Attaches a disk, and hands out its path.
   * @throws Error where the proxy has no place for it, where it is open as another of its states, or where it does not appear
   */
  async open(disk: SourceDisk, access: Access): Promise<OpenDisk> {
    const { fileName } = disk.backing;
    if (fileName === undefined)
      throw new Error(`${disk.shown} has no file; it cannot be attached to the proxy.`);
    const { path, user } = await this.#alone(async () => {
      const attached = await this.#attachedFor(disk, { fileName, access });
      return { path: attached, user: await this.#leases.begin(disk.uuid) };
    });
    return {
      path,
      sizeBytes: disk.sizeBytes,
      close: async () => {
        // Closed before, or let go meanwhile by whoever removed the VM.
        if (!(await this.#leases.holds(disk.uuid, user))) return;
        if (access === 'write') await syncFile(path);
        await this.#alone(async () => {
          await this.#leases.end(disk.uuid, user);
          if (!(await this.#leases.used(disk.uuid))) await this.#detach((found) => found.uuid === disk.uuid);
        });
      },
    };
  }

  /** Lets go of the disks that are meant, whoever has them open. */
  async release(which: (disk: DiskDevice) => boolean): Promise<void> {
    await this.#alone(() => this.#detach(which));
  }

  /** Whether a living process of this host has the disk open. */
  isOpen(uuid: string): Promise<boolean> {
    return this.#alone(() => this.#leases.used(uuid));
  }

  /** Lets go of what no living process has open. @returns the files of the disks */
  async releaseAbandoned(): Promise<string[]> {
    return this.#alone(async () => {
      const abandoned: DiskDevice[] = [];
      for (const disk of await this.#othersDisks())
        if (disk.uuid === undefined || !(await this.#leases.used(disk.uuid))) abandoned.push(disk);
      const keys = new Set(abandoned.map(({ device }) => device.key));
      await this.#detach(({ device }) => keys.has(device.key));
      return abandoned.map(({ backing }) => backing.fileName ?? 'a disk without file');
    });
  }

  /** The path of the disk, attached if it is not yet. */
  async #attachedFor(disk: SourceDisk, wanted: Attached): Promise<string> {
    const there = (await this.#othersDisks()).filter(({ uuid }) => uuid === disk.uuid);
    if (await this.#leases.used(disk.uuid)) {
      const as = await this.#record(disk.uuid);
      if (as && (as.fileName !== wanted.fileName || as.access !== wanted.access))
        // One disk has one WWN, whichever of its states is attached.
        throw new Error(
          `${disk.shown} is attached to the proxy as ${as.fileName}, to ${as.access}, and in use; it cannot be attached as ` +
            `${wanted.fileName}, to ${wanted.access}, before that is over.`,
        );
      if (as && there.length > 0) return waitForDevice(this.#devices, disk);
    }
    // Left by a process that has died, or attached by hand.
    if (there.length > 0) await this.#detach(({ uuid }) => uuid === disk.uuid);
    await deviceGone(this.#devices, disk);
    await this.#remember(disk.uuid, wanted);
    return this.#attach(disk, wanted);
  }

  async #attach(disk: SourceDisk, { fileName, access }: Attached): Promise<string> {
    const proxy = await this.inventory.proxy();
    const place = await this.#place(proxy);
    await this.#reconfigure(proxy, {
      operation: 'add',
      device: {
        $type: 'VirtualDisk',
        key: -1,
        ...place,
        // The file's own size counts.
        capacityInKB: 0,
        backing: {
          $type: disk.backing.$type,
          fileName,
          // Independent: snapshots of the proxy leave it out. Nonpersistent: what is written goes into a log that is thrown away.
          diskMode: access === 'read' ? 'independent_nonpersistent' : 'independent_persistent',
        } as AnyVirtualDeviceBackingInfo,
      },
    });
    try {
      const found = (await this.#othersDisks()).find(
        ({ device }) =>
          device.controllerKey === place.controllerKey && device.unitNumber === place.unitNumber,
      );
      if (found?.uuid !== disk.uuid)
        throw new Error(
          `${disk.shown} was attached to the proxy, and is there with the UUID ${found?.uuid ?? 'of no disk'} instead of ${disk.uuid}.`,
        );
      const path = await waitForDevice(this.#devices, disk);
      if (access === 'read') await setReadOnly(path);
      return path;
    } catch (error) {
      await this.#detach(
        ({ device }) =>
          device.controllerKey === place.controllerKey && device.unitNumber === place.unitNumber,
      );
      throw error;
    }
  }

  async #detach(which: (disk: DiskDevice) => boolean): Promise<void> {
    const proxy = await this.inventory.proxy();
    for (const disk of (await this.#othersDisks()).filter(which)) {
      // No fileOperation: with one, the file would be deleted.
      await this.#reconfigure(proxy, { operation: 'remove', device: disk.device });
      if (disk.uuid === undefined) continue;
      await this.#leases.forget(disk.uuid);
      await rm(this.#recordFile(disk.uuid), { force: true });
    }
  }

  /** Disks of other VMs on the proxy's kept controller. */
  async #othersDisks(): Promise<DiskDevice[]> {
    const { devices, home, controller } = await this.#hardware(await this.inventory.proxy());
    return disksOf(devices).filter(
      (disk) => disk.device.controllerKey === controller.key && isOthersDisk(disk, home),
    );
  }

  async #place(proxy: VmRef): Promise<{ controllerKey: number; unitNumber: number }> {
    const { devices, controller } = await this.#hardware(proxy);
    return { controllerKey: controller.key, unitNumber: freeUnit(devices, controller) };
  }

  async #hardware(proxy: VmRef) {
    const { client, settings } = this.inventory;
    const found = await client.get(proxy, 'config.hardware.device', 'config.files.vmPathName');
    const devices = found['config.hardware.device'] ?? [];
    const home = homeOf(found['config.files.vmPathName']);
    return { devices, home, controller: keptController(devices, home, settings.controller) };
  }

  async #reconfigure(
    proxy: VmRef,
    change: { operation: 'add' | 'remove'; device: DiskDevice['device'] },
  ): Promise<void> {
    for (let tries = 1; ; tries++)
      try {
        return await this.inventory.client.run('ReconfigVM_Task', proxy, {
          spec: { deviceChange: [change] },
        });
      } catch (error) {
        const busy = isFault(error, 'TaskInProgress') || isFault(error, 'ConcurrentAccess');
        if (!busy || tries === BUSY_TRIES) throw error;
        await sleep(BUSY_SECONDS * 1000);
      }
  }

  get #devices(): string {
    return this.inventory.settings.devices;
  }

  /** One at a time changes the proxy's hardware, whatever the process: vSphere refuses a second one meanwhile. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    await mkdir(this.directory, { recursive: true });
    return withLock(join(this.directory, 'proxy.lock'), work, LOCK_WAIT_SECONDS);
  }

  async #record(uuid: string): Promise<Attached | undefined> {
    const text = await readIfExists(this.#recordFile(uuid));
    return text === undefined ? undefined : (JSON.parse(text) as Attached);
  }

  #remember(uuid: string, attached: Attached): Promise<void> {
    return writeFileAtomically(this.#recordFile(uuid), JSON.stringify(attached));
  }

  #recordFile(uuid: string): string {
    return join(this.directory, `${normalUuid(uuid) ?? ''}.json`);
  }
}
