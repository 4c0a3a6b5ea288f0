import {
  ensureSegment,
  ensureTap,
  namespaceName,
  removeTap,
  type SandboxNetwork,
} from '../../machines/network/segment';
import { startMachine } from '../../machines/machine';
import { type DatacenterSettings } from './settings';
import { checkImage } from './image-check';
import { DiskImageError } from './image-error';
import { shortHash, type VmFile, type VmFiles } from './vm-files';

/** As many cards as a VM of this hypervisor may have. */
const MAX_NICS = 3;

/** Where VMs run: the data centre's segment, if it has one, and the directory for their sockets. */
export interface Site {
  network: SandboxNetwork | undefined;
  segment: string;
  runDirectory: string;
  settings: DatacenterSettings | undefined;
}

/**
 * Starts the VM's machine, with its cards on the data centre's segment.
 * @throws DiskImageError
 */
export async function startVm(files: VmFiles, file: VmFile, site: Site): Promise<void> {
  const { configuration } = file;
  for (const { key, sizeBytes } of configuration.disks) {
    const image = files.image(file, key);
    if ((await checkImage(image, sizeBytes)).readOnly) throw readOnlyError(image.path);
  }
  const { network, segment, settings } = site;
  const nics = network
    ? configuration.nics.map(({ mac }, index) => ({ tap: tapName(files.vm, index), mac }))
    : [];
  if (network) {
    // After the host's reboot nothing of the network is left.
    if (settings?.segment.name === segment) await ensureSegment(network, settings.segment);
    for (const { tap } of nics) await ensureTap(network, segment, tap);
  }
  await startMachine({
    directory: files.machine,
    runDirectory: site.runDirectory,
    name: files.vm,
    ...(network ? { namespace: namespaceName(network, segment) } : {}),
    profile: 'vmware',
    firmware: configuration.firmware,
    cpus: configuration.cpus,
    memoryMiB: configuration.memoryMiB,
    disks: configuration.disks.map(({ key, slot, boot }) => ({
      ...files.image(file, key),
      // 20 characters at most; stable through the VM's life, as its key is.
      serial: key.slice(0, 20),
      slot,
      boot,
    })),
    nics,
    paused: settings?.boots === false,
  });
}

/** For who would write to it. */
export function readOnlyError(path: string): DiskImageError {
  return new DiskImageError(
    path,
    'it is compressed (streamOptimized) and can only be read; convert it, by "qemu-img convert", to run its VM',
  );
}

/** Removes the taps that a VM has or had. */
export async function removeTaps(network: SandboxNetwork, segment: string, vm: string): Promise<void> {
  for (let index = 0; index < MAX_NICS; index++) await removeTap(network, segment, tapName(vm, index));
}

/** Tap names end at 15 characters, VM names later. */
function tapName(vm: string, index: number): string {
  return `t${shortHash(vm)}${index}`;
}
