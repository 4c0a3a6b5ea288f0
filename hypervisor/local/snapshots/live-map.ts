import { diskNode } from '../../../machines/hardware';
import { QmpError, type QmpClient } from '../../../machines/qmp';
import { type DiskArea, type DiskConfiguration } from '../../port';
import { AreaCollector, mergeAreas } from '../../areas';
import { allocatedAreas, mapImage } from '../images/image-map';
import { BITMAP_GRANULARITY, type Interval } from './live-bitmaps';
import { nodeName, type LiveSnapshot } from './live-snapshot';
import { type DiskImage } from '../vm-files';

/**
 * What a running QEMU knows of its disks' areas, asked through its NBD server: by `qemu-img map`, which shows any NBD
 * metadata context given as `x-dirty-bitmap`, bit 0 as "no data". QEMU has one NBD server, and here it runs only while
 * somebody who holds the VM's lock asks; one that is found running was left behind, and is ended.
 */

/** A machine's monitor, for a few commands at a time: others wait while one is connected. */
export interface Monitor {
  run<Result>(work: (qmp: QmpClient) => Promise<Result>): Promise<Result>;
  /** Where QEMU may listen for NBD. */
  nbdSocket: string;
}

const EXPORT = 'areas';

/** Ends an NBD server that a process left behind when it died. */
export async function stopNbdServer(qmp: QmpClient): Promise<void> {
  try {
    await qmp.execute('nbd-server-stop');
  } catch (error) {
    if (!(error instanceof QmpError)) throw error; // it was not running
  }
}

/**
 * The areas of a disk that were written in the intervals.
 * @throws where the answer is less than QEMU has counted
 */
export async function writtenAreas(
  monitor: Monitor,
  disk: DiskConfiguration,
  intervals: readonly Interval[],
): Promise<DiskArea[]> {
  if (intervals.length === 0) return [];
  const bitmaps = intervals.map(({ name }) => name);
  const options = { 'node-name': diskNode(disk), bitmaps };
  return withNbdExport(monitor, options, async () => {
    const found: DiskArea[] = [];
    for (const { name, count } of intervals) {
      const written = new AreaCollector();
      let granules = 0;
      await mapNbd(monitor, `qemu:dirty-bitmap:${name}`, (offset, length) => {
        granules += Math.ceil(length / BITMAP_GRANULARITY);
        written.add(offset, length);
      });
      if (granules * BITMAP_GRANULARITY < count)
        throw new Error(
          `QEMU has counted ${count} bytes in ${name}, and shows ${granules} granules of them.`,
        );
      found.push(...written.merged());
    }
    return mergeAreas(found);
  });
}

/**
 * The areas that a disk of a live snapshot may hold anything but zeros in: those of the disk as it is now, and those
 * that the guest has written since, which were copied aside. In this order: before the guest can write zeros over
 * what the first look would miss then, QEMU has copied that aside, for the second look to see.
 */
export async function allocatedInSnapshot(
  monitor: Monitor,
  snapshot: LiveSnapshot,
  disk: DiskConfiguration,
  image: DiskImage,
  files: readonly string[],
): Promise<DiskArea[]> {
  const now = await allocatedNow(monitor, disk, image, files);
  const options = { 'node-name': nodeName(snapshot, disk), 'allocation-depth': true };
  const copied = await withNbdExport(monitor, options, async () => {
    const found = new AreaCollector();
    // Depth 1 is the overlay itself.
    await mapNbd(monitor, 'qemu:allocation-depth', (offset, length) => found.add(offset, length));
    return found.merged();
  });
  return mergeAreas([...now, ...copied]);
}

async function allocatedNow(
  monitor: Monitor,
  disk: DiskConfiguration,
  image: DiskImage,
  files: readonly string[],
): Promise<DiskArea[]> {
  // QEMU writes a VMDK's tables at once, so that its files can be asked; a qcow2 image's tables it keeps in memory.
  if (image.format !== 'qcow2') return allocatedAreas(image, files);
  return withNbdExport(monitor, { 'node-name': diskNode(disk) }, async () => {
    const found = new AreaCollector();
    await mapImage(nbdSource(monitor), ({ start, length, zero }) => {
      if (!zero) found.add(start, length);
    });
    return found.merged();
  });
}

async function withNbdExport<Result>(
  monitor: Monitor,
  options: Record<string, unknown>,
  work: () => Promise<Result>,
): Promise<Result> {
  await monitor.run(async (qmp) => {
    await stopNbdServer(qmp);
    await qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path: monitor.nbdSocket } } });
    await qmp.execute('block-export-add', {
      type: 'nbd',
      id: EXPORT,
      name: EXPORT,
      writable: false,
      ...options,
    });
  });
  let result: Result;
  try {
    result = await work();
  } catch (error) {
    // What went wrong first says more; the next one who asks ends the server.
    await monitor.run(stopNbdServer).catch(() => {});
    throw error;
  }
  await monitor.run(stopNbdServer);
  return result;
}

/** Hands out the ranges for which bit 0 of the context is set. */
function mapNbd(
  monitor: Monitor,
  context: string,
  take: (offset: number, length: number) => void,
): Promise<void> {
  return mapImage({ ...nbdSource(monitor), 'x-dirty-bitmap': context }, ({ start, length, data }) => {
    if (!data) take(start, length);
  });
}

function nbdSource({ nbdSocket }: Monitor): Record<string, unknown> {
  return { driver: 'nbd', server: { type: 'unix', path: nbdSocket }, export: EXPORT };
}
