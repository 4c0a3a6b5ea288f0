import { rm } from 'node:fs/promises';
import { mapImage } from '../../../hypervisor/local/images/image-map';
import { AreaCollector, clipAreas, mergeAreas } from '../../../hypervisor/areas';
import { type DiskArea } from '../../../hypervisor/port';
import { type QmpClient, QmpError } from '../../../machines/qmp';
import { allocated, written } from './areas';
import { type Monitors } from './monitors';
import { Refusal } from './refusal';
import { bottomOf, newTracking, type Disk, type Machine } from './state';

/**
 * Changed block tracking. What is written to a disk's bottom file is in a bitmap of the running QEMU for each interval; what is
 * written to a layer, the layer's own tables tell. An answer may name too much, and never too little.
 */

/** As coarse as VMware's for a disk of some gigabytes. */
const GRANULE = 64 * 1024;
/** Areas in one answer; few, so that callers have to ask for the next page. */
const PAGE_AREAS = 200;

const BITMAP = /^interval-(\d+)$/;
const bitmapName = (interval: number): string => `interval-${interval}`;

/** Begins to watch the bottom file of each disk that has been snapshotted, as the machine starts. */
export async function watchWrites(qmp: QmpClient, machine: Machine): Promise<void> {
  for (const disk of machine.disks)
    if (disk.tracking.interval > 0)
      await qmp.execute('block-dirty-bitmap-add', bitmapOf(disk, disk.tracking.interval));
}

/** Actions of the transaction that takes a snapshot: they end one interval, and begin the next. */
export function nextInterval(disk: Disk): { type: string; data: Record<string, unknown> }[] {
  const { interval } = disk.tracking;
  const { node, name } = bitmapOf(disk, interval);
  return [
    ...(interval > 0 ? [{ type: 'block-dirty-bitmap-disable', data: { node, name } }] : []),
    { type: 'block-dirty-bitmap-add', data: bitmapOf(disk, interval + 1) },
  ];
}

function bitmapOf(disk: Disk, interval: number): { node: string; name: string; granularity: number } {
  return { node: bottomOf(disk).node, name: bitmapName(interval), granularity: GRANULE };
}

/** Keeps what the running QEMU knows, before it ends. Its CPUs have to stand still. */
export async function saveBitmaps(monitors: Monitors, machine: Machine): Promise<void> {
  await monitors.run(machine.vm, async (qmp) => {
    // QEMU does not show a bitmap that may still change.
    for (const disk of machine.disks)
      if (disk.tracking.interval > 0) {
        const { node, name } = bitmapOf(disk, disk.tracking.interval);
        await qmp.execute('block-dirty-bitmap-disable', { node, name });
      }
  });
  for (const disk of machine.disks)
    for (const [interval, areas] of await bitmaps(monitors, machine, disk)) keep(disk, interval, areas);
}

/** The machine ended on its own, and what was tracked with it. */
export function loseTracking(machine: Machine): void {
  for (const disk of machine.disks) renewTracking(disk);
}

/** No change id of before means anything any more: somebody else has written to the disk, or what was tracked is lost. */
export function renewTracking(disk: Disk): void {
  disk.tracking = { ...newTracking(), interval: disk.tracking.interval };
}

export function keep(disk: Disk, interval: number, areas: readonly DiskArea[]): void {
  disk.tracking.saved[interval] = mergeAreas([...(disk.tracking.saved[interval] ?? []), ...areas]);
}

/** One page of the areas of a snapshot's disk that may differ from what it was at `changeId`. */
export async function changedAreas(
  monitors: Monitors,
  machine: Machine,
  query: { snapshot: string; bottom: string; changeId: string; startOffset: number },
): Promise<{ length: number; areas: DiskArea[] }> {
  const disk = machine.disks.find((one) => bottomOf(one).file === query.bottom);
  const record = machine.snapshots[query.snapshot]?.[query.bottom];
  if (!disk || !record) throw new Refusal('FileFault', query.bottom);
  const found =
    query.changeId === '*'
      ? await allocated(disk.chain.slice(0, disk.chain.findIndex(({ file }) => file === record.frozen) + 1))
      : await since(monitors, machine, disk, query.changeId, record);
  const all = mergeAreas(clipAreas(found, disk.capacity)).filter(
    ({ offset, length }) => offset + length > query.startOffset,
  );
  const next = all[PAGE_AREAS];
  return {
    length: (next === undefined ? disk.capacity : next.offset) - query.startOffset,
    areas: all.slice(0, PAGE_AREAS),
  };
}

async function since(
  monitors: Monitors,
  machine: Machine,
  disk: Disk,
  changeId: string,
  record: { interval: number; changeId?: string },
): Promise<DiskArea[]> {
  const [uuid, from] = changeId.split('/');
  const first = Number(from);
  // The snapshot's own id tells which life of the tracking it belongs to.
  const own = record.changeId?.split('/')[0];
  if (
    uuid !== disk.tracking.uuid ||
    own !== uuid ||
    !Number.isInteger(first) ||
    first < 1 ||
    first > record.interval
  )
    throw new Refusal('FileFault', bottomOf(disk).file);
  const found: DiskArea[] = [];
  const live = await bitmaps(monitors, machine, disk);
  for (let interval = first; interval < record.interval; interval++) {
    found.push(...(disk.tracking.saved[interval] ?? []), ...(live.get(interval) ?? []));
  }
  for (const layer of disk.chain)
    if (layer.intervals.some((one) => one >= first && one < record.interval))
      found.push(...(await written(layer)));
  return found;
}

/** What the bitmaps of a running machine's disk have, by interval; none of one that is off. */
async function bitmaps(monitors: Monitors, machine: Machine, disk: Disk): Promise<Map<number, DiskArea[]>> {
  const found = new Map<number, DiskArea[]>();
  if (!machine.running) return found;
  const { node } = bottomOf(disk);
  const nbd = monitors.nbdSocket(machine.vm);
  const names = await monitors.run(machine.vm, async (qmp) => {
    const nodes = await qmp.execute<{ 'node-name': string; 'dirty-bitmaps'?: { name?: string }[] }[]>(
      'query-named-block-nodes',
      { flat: true },
    );
    const all = nodes.find((one) => one['node-name'] === node)?.['dirty-bitmaps'] ?? [];
    const ours = all.flatMap(({ name }) => (name !== undefined && BITMAP.test(name) ? [name] : []));
    if (ours.length === 0) return ours;
    await stopNbd(qmp);
    await rm(nbd, { force: true });
    await qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path: nbd } } });
    await qmp.execute('block-export-add', {
      type: 'nbd',
      id: 'areas',
      name: 'areas',
      'node-name': node,
      bitmaps: ours,
    });
    return ours;
  });
  if (names.length === 0) return found;
  try {
    for (const name of names) {
      const areas = new AreaCollector();
      const server = { type: 'unix', path: nbd };
      const source = {
        driver: 'nbd',
        server,
        export: 'areas',
        'x-dirty-bitmap': `qemu:dirty-bitmap:${name}`,
      };
      await mapImage(source, ({ start, length, data }) => {
        if (!data) areas.add(start, length);
      });
      found.set(Number(BITMAP.exec(name)?.[1]), areas.merged());
    }
  } finally {
    await monitors.run(machine.vm, stopNbd);
  }
  return found;
}

async function stopNbd(qmp: QmpClient): Promise<void> {
  try {
    await qmp.execute('nbd-server-stop');
  } catch (error) {
    if (!(error instanceof QmpError)) throw error; // it was not running
  }
}
