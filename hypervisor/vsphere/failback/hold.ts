import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type Hypervisor, VmExistsError, VmHeldError, VmNotFoundError, VmRefusedError } from '../../port';
import {
  consolidateWhereNeeded,
  removeSnapshot,
  type SnapshotRef,
  whenNoneIsBeingTaken,
} from '../backup/snapshots';
import { describeDisks } from '../describe';
import { escapeName, parseReference, shownName } from '../names';
import { type Site } from '../site';
import { type VimClient } from '../vim/client';
import { VimConnectionError } from '../vim/errors';
import { isFault } from '../vim/faults';
import { type VirtualMachineSnapshotTree } from '../vim/schema';
import { TaskOutcomeUnknownError } from '../vim/tasks';
import { isOff, mustHaveConfiguration, type VmRef } from '../vm';
import { aloneWith } from '../vm-lock';
import { powerOff } from './power';

/**
 * VMs that survived and are worked on. What is kept of one is a snapshot of it: the VM's disks are new files from then on that
 * build on the frozen ones, and those are what the proxy attaches and writes to. A VM that is not held is told from one that is by
 * vCenter alone.
 */

const NAME_PREFIX = 'lifeboat-hold-';

const description = z.object({ lifeboat: z.literal('hold'), id: z.string() });

interface Hold {
  ref: SnapshotRef;
  id: string;
}

export type HoldMethods = Pick<Hypervisor, 'holdVm' | 'revertVm' | 'dropHold' | 'renameVm'>;

/** @param releaseDisks has the proxy let go of the VM's disks, whoever has them open */
export function holdMethods(site: Site, releaseDisks: (vm: VmRef) => Promise<void>): HoldMethods {
  const { client, inventory, hotAdd } = site;
  return {
    async holdVm(vm, holdId) {
      const ref = await inventory.vm(vm);
      await aloneWith(site, ref, async () => {
        await whenNoneIsBeingTaken(client, ref);
        const { config, snapshot } = await client.get(ref, 'config', 'snapshot');
        const [held] = holdsIn(snapshot?.rootSnapshotList);
        if (held?.id === holdId) return;
        if (held !== undefined) throw new VmHeldError(vm, held.id);
        if (!(await isOff(client, ref))) throw new Error(`VM "${vm}" is not off; power it off first.`);
        // A disk that a dead process left attached would be frozen under the proxy.
        await hotAdd.releaseAbandoned();
        for (const { disk, configuration } of describeDisks(mustHaveConfiguration(config, ref, vm)))
          if (await hotAdd.isOpen(disk.uuid))
            throw new Error(`Disk "${configuration.key}" of VM "${vm}" is still open for writing.`);
        await take(client, ref, holdId);
      });
    },

    async revertVm(vm, holdId) {
      const ref = await inventory.vmIfThere(vm);
      if (ref === undefined) return;
      await aloneWith(site, ref, async () => {
        await whenNoneIsBeingTaken(client, ref);
        const hold = await findHold(client, ref, holdId);
        if (hold !== undefined) {
          await powerOff(client, ref);
          await releaseDisks(ref);
          await client.run('RevertToSnapshot_Task', hold.ref, { suppressPowerOn: true });
        }
        await removeHolds(client, ref, holdId);
      });
    },

    async dropHold(vm, holdId) {
      const ref = await inventory.vmIfThere(vm);
      if (ref === undefined) return;
      await aloneWith(site, ref, async () => {
        await whenNoneIsBeingTaken(client, ref);
        if ((await findHold(client, ref, holdId)) !== undefined) await hotAdd.releaseAbandoned();
        await removeHolds(client, ref, holdId);
      });
    },

    async renameVm(vm, name) {
      const ref = await inventory.vm(vm);
      const newName = renamed(vm, name);
      if ((await inventory.vmIfThere(name)) !== undefined) throw new VmExistsError(name);
      if (!(await isOff(client, ref))) throw new Error(`VM "${vm}" is not off; power it off first.`);
      await hotAdd.releaseAbandoned();
      try {
        await client.run('Rename_Task', ref, { newName: escapeName(newName) });
      } catch (error) {
        if (isFault(error, 'DuplicateName')) throw new VmExistsError(name);
        if (isFault(error, 'ManagedObjectNotFound')) throw new VmNotFoundError(vm);
        throw error;
      }
    },
  };
}

/** The id under which a VM is held; undefined where it is not. */
export function heldBy(trees: readonly VirtualMachineSnapshotTree[] | undefined): string | undefined {
  return holdsIn(trees)[0]?.id;
}

function snapshotName(id: string): string {
  if (id.length === 0 || id.length > 500) throw new Error("A hold's id must have 1 to 500 characters.");
  return NAME_PREFIX + createHash('sha256').update(id).digest('hex').slice(0, 24);
}

/** Name and description have to agree: what a person has called so, or copied, is another's. */
function holdsIn(trees: readonly VirtualMachineSnapshotTree[] | undefined): Hold[] {
  return (trees ?? []).flatMap(({ snapshot: ref, name, description: text, childSnapshotList }) => {
    const id = name.startsWith(NAME_PREFIX) ? idIn(text) : undefined;
    const own = id !== undefined && snapshotName(id) === name ? [{ ref, id }] : [];
    return [...own, ...holdsIn(childSnapshotList)];
  });
}

function idIn(text: string): string | undefined {
  try {
    return description.safeParse(JSON.parse(text)).data?.id;
  } catch {
    return undefined; // no JSON: a person's
  }
}

async function findHold(client: VimClient, vm: VmRef, id: string): Promise<Hold | undefined> {
  const { snapshot } = await client.get(vm, 'snapshot');
  return holdsIn(snapshot?.rootSnapshotList).find((hold) => hold.id === id);
}

/** Also the second one of a call that was thought to have failed, and what a try has left unmerged that was cut off. */
async function removeHolds(client: VimClient, vm: VmRef, id: string): Promise<void> {
  for (;;) {
    const hold = await findHold(client, vm, id);
    if (hold === undefined) break;
    await removeSnapshot(client, hold.ref);
  }
  await consolidateWhereNeeded(client, vm);
}

async function take(client: VimClient, vm: VmRef, id: string): Promise<void> {
  let unknown: unknown;
  try {
    await client.run('CreateSnapshotEx_Task', vm, {
      name: snapshotName(id),
      description: JSON.stringify({ lifeboat: 'hold', id } satisfies z.infer<typeof description>),
      memory: false,
    });
  } catch (error) {
    if (!(error instanceof TaskOutcomeUnknownError || error instanceof VimConnectionError)) throw error;
    unknown = error;
  }
  if ((await findHold(client, vm, id)) === undefined)
    throw unknown ?? new Error(`vCenter has taken the snapshot of ${vm.value}, and does not list it.`);
}

/** The last part of the new name, as people see it. @throws VmRefusedError where that is no name in the same folder */
function renamed(vm: string, name: string): string {
  const [before, after] = [parseReference(vm), parseReference(name)];
  if ('instanceUuid' in before)
    throw new VmRefusedError(
      `"${vm}" is an instance UUID, which the VM keeps under any name. Call it by its name or its inventory path in the plan's ` +
        'primaryVm, or rename and remove it by hand.',
    );
  if (
    'path' in before &&
    'path' in after &&
    before.path.slice(0, -1).join('/') === after.path.slice(0, -1).join('/')
  )
    return shownName(after.path.at(-1) ?? '');
  if ('name' in before && 'name' in after) return shownName(after.name);
  throw new VmRefusedError(`The VM "${vm}" cannot be called "${name}": that would be in another folder.`);
}
