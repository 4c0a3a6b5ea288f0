import { mkdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { localHypervisor, settingsFile, stopAllVms, type DatacenterSettings } from '../../hypervisor/local';
import { checkDisk, checkHardware, VmFiles } from '../../hypervisor/local/vm-files';
import { VmExistsError, type VmConfiguration } from '../../hypervisor/port';
import { ensureSegment, removeSegment, type SandboxNetwork } from '../../machines/network/segment';
import { writeFileAtomically } from '../../host/atomic-file';
import { run } from '../../host/run';
import { SEGMENTS } from '../segments';

/** The primary site: a directory of VMs, and the segment that they are on. */
export interface Datacenter {
  directory: string;
  settings: DatacenterSettings;
}

/** A VM to put into the data centre, its disks as raw images. */
export interface ImportedVm {
  name: string;
  configuration: VmConfiguration;
  rawDisks: { key: string; path: string }[];
}

/** Converting a disk of some gigabytes, on a busy machine. */
const CONVERT_MILLISECONDS = 1_800_000;

/** Makes the data centre, or finds the one that is there, with its network up. VMs are not started. */
export async function createDatacenter(options: {
  directory: string;
  network: SandboxNetwork;
  /** N of the published addresses 127.N.10.x. */
  loopbackOctet: number;
  /** Whether its VMs boot when they are started; they do unless said so. */
  boots?: boolean;
}): Promise<Datacenter> {
  const directory = resolve(options.directory);
  const segment = SEGMENTS.find(({ name }) => name === 'dc');
  if (!segment) throw new Error('The sandbox has no segment for the data centre.');
  const { id, runDirectory } = options.network;
  const { loopbackOctet, boots } = options;
  const settings = {
    network: { id, runDirectory },
    segment,
    loopbackOctet,
    ...(boots === undefined ? {} : { boots }),
  };
  await mkdir(join(directory, 'vms'), { recursive: true });
  await writeFileAtomically(settingsFile(directory), `${JSON.stringify(settings, null, 2)}\n`);
  await ensureSegment(options.network, segment);
  return { directory, settings };
}

/**
 * Puts a VM into the data centre, powered off. It appears with all its disks or not at all.
 * @throws VmExistsError
 */
export async function importVm(datacenter: Pick<Datacenter, 'directory'>, vm: ImportedVm): Promise<void> {
  const files = new VmFiles(datacenter.directory, vm.name);
  const staging = join(datacenter.directory, 'importing');
  await rm(join(staging, 'vms', vm.name), { recursive: true, force: true });
  const staged = new VmFiles(staging, vm.name);
  const disks = vm.configuration.disks.map(checkDisk);
  await mkdir(staged.home, { recursive: true });
  for (const disk of disks) {
    const raw = vm.rawDisks.find(({ key }) => key === disk.key);
    if (!raw) throw new Error(`There is no image for disk "${disk.key}" of VM "${vm.name}".`);
    await convert(raw.path, staged.disk(disk.key), disk.sizeBytes);
  }
  await staged.write({
    version: 1,
    configuration: { ...checkHardware(vm.configuration), disks },
    revision: 0,
  });
  try {
    await rename(staged.home, files.home);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw code === 'ENOTEMPTY' || code === 'EEXIST' ? new VmExistsError(vm.name) : error;
  }
  await rm(staging, { recursive: true, force: true });
}

/** The disaster: every VM loses its power, and its disks are gone. The site itself stays, empty. */
export async function destroyDatacenter(directory: string): Promise<void> {
  const hypervisor = localHypervisor({ directory });
  for (const vm of await hypervisor.listVms()) await hypervisor.deleteVm(vm);
}

/** Ends all VMs and disks handed out, without removing anything; as when the sandbox goes down. */
export async function stopDatacenter(directory: string): Promise<void> {
  await stopAllVms(directory);
}

/** Removes the data centre with its VMs, its network and its directory. */
export async function removeDatacenter(datacenter: Datacenter): Promise<void> {
  await destroyDatacenter(datacenter.directory);
  await removeSegment(datacenter.settings.network, datacenter.settings.segment.name);
  await rm(datacenter.directory, { recursive: true, force: true });
}

async function convert(rawPath: string, vmdkPath: string, sizeBytes: number): Promise<void> {
  const info = await run('qemu-img', ['info', '-f', 'raw', '--output', 'json', rawPath]);
  const { 'virtual-size': rawSize } = JSON.parse(info) as { 'virtual-size': number };
  if (rawSize !== sizeBytes) throw new Error(`${rawPath} has ${rawSize} bytes, not ${sizeBytes}.`);
  const format = ['-f', 'raw', '-O', 'vmdk', '-o', 'subformat=monolithicSparse'];
  await run('qemu-img', ['convert', ...format, rawPath, vmdkPath], CONVERT_MILLISECONDS);
}
