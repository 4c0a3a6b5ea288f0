import { lstat, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readIfExists } from '../../../host/if-exists';
import { endFuseExport, startFuseExport } from '../../../machines/fuse-export';
import { shortHash } from '../../../hypervisor/local/vm-files';
import { chainNode } from './areas';
import { isAttached, ownerOf } from './known';
import { Refusal } from './refusal';
import { flatFile, topOf, type DiskOf, type HostState, type Layer, type MachineOf } from './state';
import { renewTracking } from './tracking';

/** Where disks of the machine that this process runs on appear, and pid files of what shows them. */
export interface DevicePlaces {
  devices: string;
  pids: string;
}

/**
 * Attaches a disk that exists to a VM.
 * @throws Refusal where somebody writes to it
 */
export async function attach(
  state: HostState,
  told: MachineOf,
  disk: DiskOf,
  running: boolean,
  places: DevicePlaces,
): Promise<{ uuid: string; capacity: number }> {
  const { file, mode } = disk;
  const readOnly = mode === 'independent_nonpersistent';
  const owner = ownerOf(state, file);
  if (isAttached(state, file)) throw new Refusal('FileLocked', file);
  let found: { uuid: string; capacity: number; chain: Layer[] };
  if (owner) {
    const active = topOf(owner.disk).file === file;
    // A frozen file may be read by others; the one that a machine writes to may not, nor may what builds on it be pulled away.
    if ((active && owner.machine.running) || (!active && !readOnly)) throw new Refusal('FileLocked', file);
    if (!readOnly) renewTracking(owner.disk);
    const { chain, uuid, capacity } = owner.disk;
    found = { uuid, capacity, chain: chain.slice(0, chain.findIndex((layer) => layer.file === file) + 1) };
  } else found = await readDescriptor(file);
  if (told.thisHost && running) {
    state.attachments.push({ vm: told.vm, file });
    await show(state, told, file, found, readOnly, places);
  }
  return { uuid: found.uuid, capacity: found.capacity };
}

/** A disk of a VM that nobody has asked for yet, as it lies in the datastore. */
async function readDescriptor(file: string): Promise<{ uuid: string; capacity: number; chain: Layer[] }> {
  const text = await readIfExists(file);
  if (text === undefined) throw new Refusal('FileNotFound', file);
  const sectors = /^RW (\d+) /m.exec(text)?.[1];
  const uuid = /ddb\.uuid = "(.*)"/.exec(text)?.[1];
  if (sectors === undefined || uuid === undefined) throw new Refusal('FileFault', file);
  const layer = { file, data: flatFile(file), format: 'raw' as const, node: '', intervals: [] };
  return { uuid, capacity: Number(sectors) * 512, chain: [layer] };
}

/** As udev names the device of a disk whose UUID the guest may see. */
async function show(
  state: HostState,
  told: MachineOf,
  file: string,
  { uuid, chain }: { uuid: string; chain: Layer[] },
  readOnly: boolean,
  places: DevicePlaces,
): Promise<void> {
  if (!told.showsIds) return;
  const path = join(places.devices, `wwn-0x${uuid.replaceAll('-', '').toLowerCase()}`);
  // Two files of one disk have one name; it stays with the first.
  if (await isThere(path)) return;
  const attachment = state.attachments.find((one) => one.file === file);
  if (!attachment) throw new Error(`${file} is not attached.`);
  attachment.path = path;
  const top = chain.at(-1) as Layer;
  if (!readOnly && chain.length === 1) return symlink(top.data, path);
  attachment.pidFile = join(places.pids, `${shortHash(file)}-${basename(path)}.pid`);
  await writeFile(path, '');
  await startFuseExport({
    pidFile: attachment.pidFile,
    path,
    node: readOnly ? chainNode(chain) : writableNode(chain),
    writable: !readOnly,
  });
}

function writableNode(chain: readonly Layer[]): Record<string, unknown> {
  const top = chain.at(-1) as Layer;
  return {
    driver: top.format,
    file: { driver: 'file', filename: top.data },
    backing: chainNode(chain.slice(0, -1)),
  };
}

/** Takes a disk away from the machine that this process runs on. One that is not attached is no error. */
export async function detach(state: HostState, vm: string, file: string): Promise<void> {
  const attachment = state.attachments.find((one) => one.vm === vm && one.file === file);
  if (!attachment) return;
  const { path, pidFile } = attachment;
  if (path !== undefined) {
    if (pidFile !== undefined) await endFuseExport(pidFile, path);
    await rm(path, { force: true });
  }
  state.attachments = state.attachments.filter((one) => one !== attachment);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path); // of the link itself
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
