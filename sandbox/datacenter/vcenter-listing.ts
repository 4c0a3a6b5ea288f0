import { readdir } from 'node:fs/promises';
import { type VsphereSettings } from '../../hypervisor/vsphere/settings';
import { credentialsOf, trustOf } from '../../hypervisor/vsphere/settings';
import { VimClient } from '../../hypervisor/vsphere/vim/client';
import { PROXY_NAME } from '../vcenter/simulator';
import { type ListedVm } from './primary-site';

/**
 * What vCenter and its datastore hold: of each VM its disks, and whatever stands beside them: snapshots, deltas, files of no VM. The
 * backup proxy's VM is told where a disk of another VM is left on it.
 */
export async function listVcenter(
  settings: VsphereSettings,
  datastoreDirectory: string,
): Promise<ListedVm[]> {
  const client = new VimClient({
    url: settings.url,
    credentials: credentialsOf(settings),
    trust: trustOf(settings),
  });
  try {
    const { rootFolder } = await client.content();
    const found = await client.list(
      'VirtualMachine',
      ['name', 'config.hardware.device', 'snapshot'],
      rootFolder,
    );
    const vms = found.map(({ name, 'config.hardware.device': devices, snapshot }) => ({
      name: name ?? '',
      files: (devices ?? []).flatMap((device) => {
        const file =
          device.$type === 'VirtualDisk' ? (device.backing as { fileName?: string }).fileName : undefined;
        return file === undefined ? [] : [file.replace(/^\[[^\]]*\] /, '')];
      }),
      snapshots: (snapshot?.rootSnapshotList ?? []).map((tree) => `snapshot ${tree.name}`),
    }));
    const proxy = vms.find(({ name }) => name === PROXY_NAME);
    const others = vms.filter((vm) => vm !== proxy);
    const files = (await readdir(datastoreDirectory, { recursive: true })).filter((file) =>
      file.endsWith('.vmdk'),
    );
    const known = new Set(others.flatMap((vm) => vm.files.flatMap((file) => [file, flatOf(file)])));
    const loose = files.filter((file) => !known.has(file));
    return [
      ...others.map((vm) => ({
        name: vm.name,
        disks: vm.files.filter((file) => !DELTA.test(file)),
        besides: [...vm.files.filter((file) => DELTA.test(file)), ...vm.snapshots],
      })),
      ...loose.map((file) => ({ name: `file ${file}`, disks: [], besides: [] })),
      ...(proxy?.files ?? []).map((file) => ({ name: `${PROXY_NAME} with ${file}`, disks: [], besides: [] })),
    ];
  } finally {
    await client.close();
  }
}

/** A disk that a VM writes to while a snapshot stands. */
const DELTA = /-\d{6}\.vmdk$/;

const flatOf = (descriptor: string): string => descriptor.replace(/\.vmdk$/, '-flat.vmdk');
