import {
  ensureSegment,
  ensureTap,
  namespaceName,
  removeTap,
  type SandboxNetwork,
} from '../../machines/network/segment';
import { type MachineDisk, startMachine } from '../../machines/machine';
import { prepareForWriting } from './images/content-id';
import { type DatacenterSettings } from './settings';
import { checkImage } from './images/image-check';
import { imageForQemu } from './images/qemu-image';
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
  const disks: MachineDisk[] = [];
  for (const { key, sizeBytes, slot, controller, boot } of configuration.disks) {
    const image = files.image(file, key);
    const checked = await checkImage(image, sizeBytes);
    await prepareForWriting(image, checked);
    // 20 characters at most; stable through the VM's life, as its key is.
    const serial = key.slice(0, 20);
    disks.push({
      ...(await imageForQemu(image, checked, files.parts(key))),
      serial,
      slot,
      ...(controller === undefined ? {} : { controller }),
      boot,
      ...wwnOf(file, key),
    });
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
    ...(configuration.diskController === undefined ? {} : { diskController: configuration.diskController }),
    cpus: configuration.cpus,
    memoryMiB: configuration.memoryMiB,
    disks,
    nics,
    paused: settings?.boots === false,
  });
}

/** Object.hasOwn: a key may be "constructor". */
function wwnOf({ wwns }: VmFile, key: string): { wwn?: string } {
  const wwn = wwns && Object.hasOwn(wwns, key) ? wwns[key] : undefined;
  return wwn === undefined ? {} : { wwn };
}

/** Removes the taps that a VM has or had. */
export async function removeTaps(network: SandboxNetwork, segment: string, vm: string): Promise<void> {
  for (let index = 0; index < MAX_NICS; index++) await removeTap(network, segment, tapName(vm, index));
}

/** Tap names end at 15 characters, VM names later. */
function tapName(vm: string, index: number): string {
  return `t${shortHash(vm)}${index}`;
}
