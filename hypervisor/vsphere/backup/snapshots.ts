import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type VimClient } from '../vim/client';
import { VimConnectionError } from '../vim/errors';
import { explain, isFault, VimFault } from '../vim/faults';
import {
  type ManagedObject,
  type VirtualMachineConfigInfo,
  type VirtualMachineSnapshotTree,
} from '../vim/schema';
import { TaskOutcomeUnknownError } from '../vim/tasks';
import { SnapshotLostError } from '../../port';
import { isOff, type VmRef } from '../vm';

/**
 * The adapter's snapshots of VMs. Which there are is for vCenter to say alone: a snapshot is found by its name, which is made of the
 * id that the caller chose, and what has to be known of it is in its description.
 */

export type SnapshotRef = ManagedObject<'VirtualMachineSnapshot'>;

const NAME_PREFIX = 'lifeboat-';

const description = z.object({
  /** Version of this description. */
  lifeboat: z.literal(1),
  id: z.string(),
  /** By this host's clock, before vCenter was asked. */
  takenAt: z.iso.datetime(),
  /** The proxy that asked, by its managed object id. */
  proxy: z.string(),
  /** Whether the VM was off. vSphere's own word for it is of what the VM would be after going back to the snapshot. */
  off: z.boolean(),
  /** Why the guest is not quiesced, although that was asked for. */
  quiescing: z.string().optional(),
});

export type SnapshotDescription = z.infer<typeof description>;

/** A snapshot of any kind. */
export interface Snapshot {
  ref: SnapshotRef;
  name: string;
  createTime: Date;
  quiesced: boolean;
}

export interface OwnSnapshot extends Snapshot {
  description: SnapshotDescription;
}

export function snapshotName(id: string): string {
  if (id.length === 0 || id.length > 500) throw new Error('A snapshot id must have 1 to 500 characters.');
  return NAME_PREFIX + createHash('sha256').update(id).digest('hex').slice(0, 24);
}

/** All of a VM's snapshots, and those of them that this adapter made. */
export async function snapshotsOf(
  client: VimClient,
  vm: VmRef,
): Promise<{ own: OwnSnapshot[]; others: Snapshot[] }> {
  const { snapshot } = await client.get(vm, 'snapshot');
  return sortOut(snapshot?.rootSnapshotList);
}

export function sortOut(trees: readonly VirtualMachineSnapshotTree[] | undefined): {
  own: OwnSnapshot[];
  others: Snapshot[];
} {
  const own: OwnSnapshot[] = [];
  const others: Snapshot[] = [];
  const walk = (nodes: readonly VirtualMachineSnapshotTree[]): void => {
    for (const node of nodes) {
      const { snapshot: ref, name, createTime, quiesced } = node;
      const one = { ref, name, createTime, quiesced };
      const described = ownDescription(node);
      if (described === undefined) others.push(one);
      else own.push({ ...one, description: described });
      walk(node.childSnapshotList);
    }
  };
  walk(trees ?? []);
  return { own, others };
}

/** Name and description have to agree: what a person has called so, or copied, is another's. */
function ownDescription({
  name,
  description: text,
}: VirtualMachineSnapshotTree): SnapshotDescription | undefined {
  if (!name.startsWith(NAME_PREFIX)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = description.safeParse(value);
  return parsed.success && snapshotName(parsed.data.id) === name ? parsed.data : undefined;
}

export async function findSnapshot(
  client: VimClient,
  vm: VmRef,
  id: string,
): Promise<OwnSnapshot | undefined> {
  const name = snapshotName(id);
  return (await snapshotsOf(client, vm)).own.find((one) => one.name === name);
}

/** @throws SnapshotLostError where there is none of this id */
export async function mustFindSnapshot(
  client: VimClient,
  vm: VmRef,
  id: string,
  reference: string,
): Promise<OwnSnapshot> {
  const found = await findSnapshot(client, vm, id);
  if (found === undefined) throw new SnapshotLostError(reference, id, 'the VM has none of this name');
  return found;
}

/** The VM's configuration at the snapshot; its disks are those that the snapshot holds. */
export async function configurationAt(
  client: VimClient,
  ref: SnapshotRef,
): Promise<VirtualMachineConfigInfo> {
  const { config } = await client.get(ref, 'config');
  if (config === undefined)
    throw new Error(`vCenter does not tell the configuration of the snapshot ${ref.value} now.`);
  return config;
}

/** The VM's devices at the snapshot. @returns undefined where the snapshot has gone */
export async function devicesAt(
  client: VimClient,
  ref: SnapshotRef,
): Promise<VirtualMachineConfigInfo['hardware']['device'] | undefined> {
  try {
    const { 'config.hardware.device': devices } = await client.get(ref, 'config.hardware.device');
    return devices ?? [];
  } catch (error) {
    if (isFault(error, 'ManagedObjectNotFound')) return undefined;
    throw error;
  }
}

/**
 * Takes a snapshot. Where the guest is to be quiesced and cannot be, one as after a power cut, whose description says why.
 * @throws VimFault
 */
export async function takeSnapshot(
  client: VimClient,
  vm: VmRef,
  { id, proxy, quiesce }: { id: string; proxy: string; quiesce: boolean },
): Promise<OwnSnapshot> {
  const off = await isOff(client, vm);
  const described = { id, proxy, off };
  if (!quiesce || off) return create(client, vm, described, false);
  try {
    return await create(client, vm, described, true);
  } catch (error) {
    // vSphere has many faults for a guest that does not freeze. Those that would meet any snapshot come again below.
    if (!(error instanceof VimFault)) throw error;
    const found = await findSnapshot(client, vm, id);
    return found ?? create(client, vm, { ...described, quiescing: explain(error) }, false);
  }
}

async function create(
  client: VimClient,
  vm: VmRef,
  described: Omit<SnapshotDescription, 'lifeboat' | 'takenAt'>,
  quiesce: boolean,
): Promise<OwnSnapshot> {
  const takenAt = new Date().toISOString();
  const told: SnapshotDescription = { lifeboat: 1, takenAt, ...described };
  let unknown: unknown;
  try {
    await client.run('CreateSnapshotEx_Task', vm, {
      name: snapshotName(described.id),
      description: JSON.stringify(told),
      memory: false,
      ...(quiesce ? { quiesceSpec: { $type: 'VirtualMachineGuestQuiesceSpec' as const } } : {}),
    });
  } catch (error) {
    if (!(error instanceof TaskOutcomeUnknownError || error instanceof VimConnectionError)) throw error;
    unknown = error;
  }
  const found = await findSnapshot(client, vm, described.id);
  if (found === undefined)
    throw unknown ?? new Error(`vCenter has taken the snapshot of ${vm.value}, and does not list it.`);
  if (!described.off || (await isOff(client, vm))) return found;
  await removeSnapshot(client, found.ref);
  throw new Error('The VM was powered on while its snapshot was taken; it is taken again.');
}

/**
 * Waits until no snapshot of a VM is being taken: vCenter goes on with what it was asked for by a worker that has died since, and
 * quiescing a guest takes minutes.
 */
export async function whenNoneIsBeingTaken(client: VimClient, vm: VmRef): Promise<void> {
  const { recentTask } = await client.get(vm, 'recentTask');
  for (const task of recentTask ?? []) {
    try {
      const { info } = await client.get(task, 'info');
      const goesOn = info?.state === 'queued' || info?.state === 'running';
      if (goesOn && /\.createSnapshot/i.test(info.descriptionId))
        await client.whenEnded(info.descriptionId, task);
    } catch (error) {
      // It has ended without a snapshot, or so long ago that vCenter has forgotten it.
      if (!(error instanceof VimFault)) throw error;
    }
  }
}

/**
 * Removes a snapshot, and merges what was written since into the disks. One that has gone is no error.
 * @throws VimFault also where its files are in use; the VM needs consolidation then
 */
export async function removeSnapshot(client: VimClient, ref: SnapshotRef): Promise<void> {
  try {
    await client.run('RemoveSnapshot_Task', ref, { removeChildren: false, consolidate: true });
  } catch (error) {
    if (!isFault(error, 'ManagedObjectNotFound')) throw error;
  }
}

/** Merges what removed snapshots have left beside a VM's disks, where there is any. */
export async function consolidateWhereNeeded(client: VimClient, vm: VmRef): Promise<void> {
  const { 'runtime.consolidationNeeded': needed } = await client.get(vm, 'runtime.consolidationNeeded');
  if (needed === true) await client.run('ConsolidateVMDisks_Task', vm, {});
}
