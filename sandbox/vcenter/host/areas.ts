import { mapImage } from '../../../hypervisor/local/images/image-map';
import { AreaCollector } from '../../../hypervisor/areas';
import { type DiskArea } from '../../../hypervisor/port';
import { type Layer } from './state';

/** A chain of layers as QEMU opens it, the last one on top. */
export function chainNode(layers: readonly Layer[]): Record<string, unknown> {
  return layers.reduce<Record<string, unknown> | null>(
    (below, { format, data }) => ({
      driver: format,
      'read-only': true,
      // A running machine has what is frozen open, too, and writes no more to it.
      file: { driver: 'file', filename: data, locking: 'off', 'read-only': true },
      ...(format === 'raw' ? {} : { backing: below }),
    }),
    null,
  ) as Record<string, unknown>;
}

/** Areas of a chain that may hold anything but zeros. */
export async function allocated(layers: readonly Layer[]): Promise<DiskArea[]> {
  const found = new AreaCollector();
  await mapImage(chainNode(layers), ({ start, length, zero }) => {
    if (!zero) found.add(start, length);
  });
  return found.merged();
}

/** Areas that one layer has something of its own for, be it zeros. */
export async function written({ data }: Layer): Promise<DiskArea[]> {
  const found = new AreaCollector();
  const source = { driver: 'qcow2', file: { driver: 'file', filename: data }, backing: null };
  await mapImage(source, (range) => {
    if ((range as { present?: boolean }).present ?? true) found.add(range.start, range.length);
  });
  return found.merged();
}
