import { type OpenableGuest, type OperatingSystemFamily } from '../family';
import { type GuestFiles } from '../files/port';
import { GuestNotAdaptableError, type AdaptationReport, type RecoverySiteAdaptation } from '../port';
import { appendToInitramfs, applyChanges, MAX_INITRAMFS_BYTES, withHostFile } from './apply';
import { withGuest } from '../files/open-guest';
import {
  BOOT_DIRECTORY,
  bootEnvironment,
  bootUnit,
  checkBootScripts,
  RUNNER,
  RUNNER_SCRIPT,
  UNIT,
  UNIT_LINK,
} from './boot-scripts';
import { ChangePlan } from './change-plan';
import { planDiskNames, type InitramfsFile } from './disk-names';
import { planGrub } from './grub';
import { checkHosts, hostsForRecoverySite } from './hosts';
import { driversIn } from './initramfs-drivers';
import { initramfsSegment } from './initramfs-segment';
import { KernelModules } from './kernel-modules';
import { readManifest } from './manifest';
import { withBlock } from './marked-text';
import { planNetwork } from './network';
import { planResume } from './resume';
import { undoChanges } from './undo';
import { type DeviceNames } from '../disk/device-names';

/** More kernels than anybody keeps; each costs room in /boot and time. */
const MAX_KERNELS = 16;

/** Without these an instance has no disk and no network; EC2's Nitro instances have no others. */
const REQUIRED_MODULES = ['nvme', 'ena'];
/** For QEMU, which has NVMe but no ENA. */
const FURTHER_MODULES = ['virtio_pci', 'virtio_net'];
/** What a VM of the primary site needs to find its disks and its network. */
const PRIMARY_MODULES = ['vmw_pvscsi', 'sd_mod', 'vmxnet3'];
/** What a kernel that shall boot at the primary site cannot do without. */
const PRIMARY_DISK_MODULE = 'vmw_pvscsi';

/** Debian and Ubuntu. */
export function initramfsToolsFamily(prettyName: string): OperatingSystemFamily {
  const name = `${prettyName} (initramfs-tools)`;
  return {
    name,
    adapt: (guest, adaptation) => adapt(name, guest, adaptation),
    revert: (guest) => revert(name, guest),
  };
}

async function adapt(
  family: string,
  guest: OpenableGuest,
  adaptation: RecoverySiteAdaptation,
): Promise<AdaptationReport> {
  checkBootScripts(adaptation.bootScripts, adaptation.runId);
  const hosts = checkHosts(adaptation.hosts);
  const before = await withGuest(guest.openReadOnly, readManifest);
  if (before !== undefined) await undoChanges(guest.open, before);

  const found = await withGuest(guest.openReadOnly, async (files) => {
    await expectSupported(files);
    const plan = new ChangePlan(files);
    const copies = await planDiskNames(files, plan, guest.names);
    const { kernels, modules } = await planInitramfs(files, plan, guest.names, copies);
    await planGrub(files, plan, guest.names);
    await plan.edit('/etc/hosts', (text) => hostsForRecoverySite(text, hosts));
    await planNetwork(files, plan);
    await planBootScripts(plan, adaptation, hosts);
    return { kernels, modules, changes: plan.changes, warnings: plan.warnings };
  });
  await applyChanges(guest.open, found.changes, { family, runId: adaptation.runId });
  return {
    family,
    kernels: found.kernels,
    modules: found.modules,
    changed: found.changes.filter((change) => change.kind !== 'directory').map((change) => change.path),
    warnings: found.warnings,
  };
}

async function revert(family: string, guest: OpenableGuest): Promise<AdaptationReport> {
  const manifest = await withGuest(guest.openReadOnly, readManifest);
  if (manifest === undefined) return { family, kernels: [], modules: [], changed: [], warnings: [] };
  const changed = await undoChanges(guest.open, manifest);
  const restored = new Set(changed);
  return withGuest(guest.open, async (files) => {
    const kernels: string[] = [];
    const modules = new Set<string>();
    for (const release of await installedKernels(files)) {
      const path = initramfsOf(release);
      if (restored.has(path)) continue;
      const added = await addPrimaryDrivers(files, release, path);
      if (added.length === 0) continue;
      kernels.push(release);
      changed.push(path);
      for (const name of added) modules.add(name);
    }
    return { family, kernels, modules: [...modules], changed, warnings: [] };
  });
}

async function expectSupported(files: GuestFiles): Promise<void> {
  if (!/\/systemd$/.test((await files.realpath('/sbin/init')) ?? '')) {
    throw new GuestNotAdaptableError(
      'The guest does not start with systemd (/sbin/init); other ways to start are not supported yet.',
    );
  }
  if ((await files.realpath('/boot/grub/grub.cfg')) === undefined) {
    throw new GuestNotAdaptableError(
      'The guest has no /boot/grub/grub.cfg; boot loaders other than GRUB 2 are not supported yet.',
    );
  }
}

async function planInitramfs(
  files: GuestFiles,
  plan: ChangePlan,
  names: DeviceNames,
  copies: InitramfsFile[],
): Promise<{ kernels: string[]; modules: string[] }> {
  const resume = await planResume(files, plan, names);
  const kernels = await installedKernels(files);
  if (kernels.length === 0) {
    throw new GuestNotAdaptableError(
      'No kernel in /lib/modules has an initramfs in /boot (initrd.img-…). Run "update-initramfs -c -k all" in the guest.',
    );
  }
  const loaded = new Set<string>();
  const seen = new Map<string, string>();
  for (const release of kernels) {
    const path = initramfsOf(release);
    const kernel = await KernelModules.read(files, release);
    const missing = REQUIRED_MODULES.filter((name) => kernel.has(name) === undefined);
    if (missing.length > 0) {
      throw new GuestNotAdaptableError(
        `Kernel ${release} of the guest has no ${missing.join(' and no ')}, without which it does not run on EC2. ` +
          "Install the distribution's general kernel package (such as linux-image-amd64) in the guest, or remove this kernel.",
      );
    }
    const modules = await kernel.load([...REQUIRED_MODULES, ...FURTHER_MODULES]);
    for (const module of modules) loaded.add(module.name);
    const real = (await files.realpath(path)) ?? path;
    const other = seen.get(real);
    if (other !== undefined)
      throw new GuestNotAdaptableError(
        `Kernels ${other} and ${release} of the guest share one initramfs, ${real}.`,
      );
    seen.set(real, release);
    const bytes = (await files.stat(real))?.size ?? 0;
    plan.extendInitramfs(path, bytes, initramfsSegment(bytes, modules, resume, copies));
  }
  const listed = [...REQUIRED_MODULES, ...FURTHER_MODULES].filter((name) => loaded.has(name));
  if (listed.length > 0) await plan.edit('/etc/initramfs-tools/modules', (text) => withBlock(text, listed));
  return { kernels, modules: [...loaded] };
}

async function planBootScripts(
  plan: ChangePlan,
  adaptation: RecoverySiteAdaptation,
  hosts: RecoverySiteAdaptation['hosts'],
): Promise<void> {
  const { runId, bootScripts } = adaptation;
  const directory = `${BOOT_DIRECTORY}/${runId}`;
  await plan.add(`${directory}/environment`, bootEnvironment(runId, hosts), 0o644);
  for (const [index, script] of bootScripts.entries()) {
    await plan.add(
      `${directory}/scripts/${String(index).padStart(2, '0')}-${script.name}`,
      script.content,
      0o700,
    );
  }
  await plan.add(RUNNER, RUNNER_SCRIPT, 0o755);
  await plan.add(UNIT, bootUnit(runId), 0o644);
  await plan.link(UNIT_LINK, '../lifeboat-boot.service');
}

/**
 * An initramfs that was made at the recovery site may have been cut to the hardware there.
 * @returns names of the modules that were added
 */
async function addPrimaryDrivers(files: GuestFiles, release: string, path: string): Promise<string[]> {
  const kernel = await KernelModules.read(files, release);
  if (kernel.has(PRIMARY_DISK_MODULE) !== 'module') return [];
  const has = await withHostFile(async (hostPath) => {
    await files.download(path, hostPath, MAX_INITRAMFS_BYTES);
    return driversIn(hostPath, [PRIMARY_DISK_MODULE]);
  });
  if (has?.has(PRIMARY_DISK_MODULE)) return [];
  const modules = await kernel.load(PRIMARY_MODULES);
  const real = (await files.realpath(path)) ?? path;
  const bytes = (await files.stat(real))?.size ?? 0;
  await appendToInitramfs(files, path, initramfsSegment(bytes, modules, undefined, []));
  return modules.map((module) => module.name);
}

async function installedKernels(files: GuestFiles): Promise<string[]> {
  const kernels: string[] = [];
  for (const release of await files.list('/lib/modules')) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._+~-]{0,100}$/.test(release)) continue;
    if ((await files.realpath(initramfsOf(release))) !== undefined) kernels.push(release);
  }
  if (kernels.length > MAX_KERNELS) {
    throw new GuestNotAdaptableError(
      `The guest has ${kernels.length} kernels; at most ${MAX_KERNELS} are supported. Remove old ones.`,
    );
  }
  return kernels;
}

function initramfsOf(release: string): string {
  return `/boot/initrd.img-${release}`;
}
