import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toolOutput } from '../../../host/run-tool';
import { written } from './areas';
import { diskOfBottom, isAttached } from './known';
import { type Monitors } from './monitors';
import { Refusal } from './refusal';
import {
  bottomOf,
  topOf,
  type Disk,
  type HostState,
  type Layer,
  type Machine,
  type SnapshotRecord,
} from './state';
import { keep, nextInterval, renewTracking } from './tracking';

/**
 * Snapshots, as ESXi makes them: the files that the disks are in freeze, and the VM goes on in new ones that build on them. When
 * a snapshot goes, what was written since is merged into the frozen files.
 */

/** Files of each disk by its key, from the bottom up, for vCenter to name. */
export interface Layout {
  running: boolean;
  disks: Record<number, string[]>;
  snapshots: Record<string, { disks: Record<number, string[]>; changeIds: Record<number, string> }>;
}

export function layoutOf(machine: Machine): Layout {
  const names = (layers: readonly Layer[]): string[] => layers.map(({ file }) => basename(file));
  const layout: Layout = { running: machine.running, disks: {}, snapshots: {} };
  for (const disk of machine.disks) layout.disks[disk.key] = names(disk.chain);
  for (const [id, record] of Object.entries(machine.snapshots)) {
    const told: Layout['snapshots'][string] = { disks: {}, changeIds: {} };
    for (const [bottom, { key, frozen, changeId }] of Object.entries(record)) {
      const chain = diskOfBottom(machine, bottom)?.chain ?? [];
      told.disks[key] = names(chain.slice(0, chain.findIndex(({ file }) => file === frozen) + 1));
      if (changeId !== undefined) told.changeIds[key] = changeId;
    }
    layout.snapshots[id] = told;
  }
  return layout;
}

/** Takes a snapshot of all disks at one instant. One that is there stays as it is. */
export async function takeSnapshot(
  machine: Machine,
  id: string,
  tracked: boolean,
  monitors: Monitors,
): Promise<void> {
  if (machine.snapshots[id]) return;
  const disks = machine.disks.filter(({ mode }) => !mode.startsWith('independent'));
  const number = String(++machine.serial).padStart(6, '0');
  const next = new Map<Disk, Layer>();
  for (const disk of disks) next.set(disk, await newLayer(disk, number));
  if (machine.running) await freezeRunning(machine, next, monitors);
  const record: SnapshotRecord = {};
  for (const [disk, layer] of next) {
    const { uuid, interval } = disk.tracking;
    record[bottomOf(disk).file] = {
      key: disk.key,
      frozen: topOf(disk).file,
      interval: interval + 1,
      ...(tracked ? { changeId: `${uuid}/${interval + 1}` } : {}),
    };
    // Without change tracking nothing says what is written from here on: ids of before mean nothing then.
    if (!tracked) renewTracking(disk);
    disk.chain.push(layer);
    disk.tracking.interval = interval + 1;
  }
  machine.snapshots[id] = record;
}

async function freezeRunning(machine: Machine, next: Map<Disk, Layer>, monitors: Monitors): Promise<void> {
  await monitors.run(machine.vm, async (qmp) => {
    const actions = [];
    for (const [disk, { node, file }] of next) {
      await qmp.execute('blockdev-add', {
        driver: 'qcow2',
        'node-name': node,
        file: { driver: 'file', filename: file },
        backing: null,
      });
      actions.push({ type: 'blockdev-snapshot', data: { node: topOf(disk).node, overlay: node } });
      actions.push(...nextInterval(disk));
    }
    if (actions.length > 0) await qmp.execute('transaction', { actions });
  });
}

/**
 * Has the disks go on from a snapshot, in new files: what was written since is gone. The machine is off.
 * @throws Refusal where a file that would go is in use elsewhere; Error where a later snapshot needs one
 */
export async function revertTo(state: HostState, machine: Machine, id: string): Promise<void> {
  const record = machine.snapshots[id];
  if (record === undefined) throw new Error(`This host has no snapshot ${id} of ${machine.vm}.`);
  const gone = (disk: Disk): Layer[] => {
    const frozen = record[bottomOf(disk).file]?.frozen;
    // A disk that is in no snapshot stays as it is.
    return frozen === undefined
      ? []
      : disk.chain.slice(disk.chain.findIndex(({ file }) => file === frozen) + 1);
  };
  for (const disk of machine.disks)
    for (const { file } of gone(disk)) {
      if (isAttached(state, file)) throw new Refusal('FileLocked', file);
      if (Object.values(machine.snapshots).some((other) => other[bottomOf(disk).file]?.frozen === file))
        throw new Error(`The simulated host goes back to no snapshot that another builds on.`);
    }
  const number = String(++machine.serial).padStart(6, '0');
  for (const disk of machine.disks) {
    const layers = gone(disk);
    if (layers.length === 0) continue;
    const next = await newLayer(disk, number);
    disk.chain.splice(disk.chain.length - layers.length, layers.length, next);
    for (const { file } of layers) await rm(file, { force: true });
    // What differs from what was before is not known.
    renewTracking(disk);
  }
}

async function newLayer(disk: Disk, number: string): Promise<Layer> {
  const file = bottomOf(disk).file.replace(/\.vmdk$/, `-${number}.vmdk`);
  await toolOutput('qemu-img', ['create', '-q', '-f', 'qcow2', file, String(disk.capacity)]);
  const node = `disk${disk.slot}-${number}`;
  return { file, data: file, format: 'qcow2', node, intervals: [disk.tracking.interval + 1] };
}

/**
 * Merges every file into the one below it that no snapshot needs as it is.
 * @throws Refusal where one of them is in use elsewhere; what could be merged before that has been
 */
export async function consolidate(state: HostState, machine: Machine, monitors: Monitors): Promise<void> {
  for (const disk of machine.disks) {
    const frozen = new Set(
      Object.values(machine.snapshots).map((record) => record[bottomOf(disk).file]?.frozen),
    );
    for (let at = disk.chain.length - 1; at > 0; at--) {
      const child = disk.chain[at] as Layer;
      const parent = disk.chain[at - 1] as Layer;
      if (frozen.has(parent.file)) continue;
      for (const { file } of [parent, child])
        if (isAttached(state, file)) throw new Refusal('FileLocked', file);
      await merge(machine, disk, child, parent, monitors);
    }
  }
}

async function merge(
  machine: Machine,
  disk: Disk,
  child: Layer,
  parent: Layer,
  monitors: Monitors,
): Promise<void> {
  if (machine.running) await flush(machine, monitors);
  const { format, intervals } = parent;
  if (format === 'raw') {
    const areas = await written(child);
    for (const interval of child.intervals) keep(disk, interval, areas);
  } else parent.intervals = [...new Set([...intervals, ...child.intervals])];
  if (machine.running) await commitRunning(machine, disk, child, parent, monitors);
  else await commitFiles(disk, child);
  disk.chain.splice(disk.chain.indexOf(child), 1);
  for (const record of Object.values(machine.snapshots)) {
    const held = record[bottomOf(disk).file];
    if (held?.frozen === child.file) held.frozen = parent.file;
  }
  await rm(child.file, { force: true });
}

/** QEMU keeps a layer's tables in memory; stopping the machine's CPUs for a moment has it write them. */
async function flush(machine: Machine, monitors: Monitors): Promise<void> {
  await monitors.run(machine.vm, async (qmp) => {
    const { status } = await qmp.execute<{ status: string }>('query-status');
    await qmp.execute('stop');
    if (status === 'running') await qmp.execute('cont');
  });
}

async function commitFiles(disk: Disk, child: Layer): Promise<void> {
  // Layers made under a running machine do not say what they build on.
  for (let at = 1; at <= disk.chain.indexOf(child); at++) {
    const [below, layer] = [disk.chain[at - 1], disk.chain[at]] as [Layer, Layer];
    await toolOutput('qemu-img', [
      'rebase',
      '-u',
      '-f',
      'qcow2',
      '-b',
      below.data,
      '-F',
      below.format,
      layer.data,
    ]);
  }
  await toolOutput('qemu-img', ['commit', '-q', '-d', '-f', 'qcow2', child.data], { timeoutSeconds: 1800 });
}

async function commitRunning(
  machine: Machine,
  disk: Disk,
  child: Layer,
  parent: Layer,
  monitors: Monitors,
): Promise<void> {
  const job = `commit-${child.node}`;
  await monitors.run(machine.vm, async (qmp) => {
    await qmp.execute('block-commit', {
      'job-id': job,
      device: topOf(disk).node,
      'base-node': parent.node,
      'top-node': child.node,
      'auto-dismiss': false,
      'auto-finalize': true,
    });
    for (;;) {
      const jobs = await qmp.execute<{ id: string; status: string; error?: string }[]>('query-jobs');
      const found = jobs.find(({ id }) => id === job);
      if (!found) throw new Error(`QEMU has lost job ${job}.`);
      if (found.status === 'ready') await qmp.execute('job-complete', { id: job });
      if (found.status === 'concluded') {
        await qmp.execute('job-dismiss', { id: job });
        if (found.error !== undefined) throw new Error(found.error);
        break;
      }
      await sleep(10);
    }
    const nodes = await qmp.execute<{ 'node-name': string }[]>('query-named-block-nodes', { flat: true });
    if (nodes.some((one) => one['node-name'] === child.node))
      await qmp.execute('blockdev-del', { 'node-name': child.node });
  });
}
