import { type DeviceNames } from '../../disk/device-names';
import { GuestFileError, type GuestFiles } from '../../files/port';
import { GuestNotAdaptableError } from '../../port';
import { type BootState } from '../boot/kernels';
import { whatBoots } from '../boot/what-boots';
import { type ChangePlan } from '../changes/change-plan';
import { commandLineForRecoverySite } from '../disks/kernel-command-line';
import { KernelModules } from '../kernel-modules';
import { planResume } from '../disks/resume';
import { ArchiveDamagedError } from './cpio-reader';
import { PRIMARY_MODULES, RECOVERY_MODULES, REQUIRED_MODULES } from './drivers';
import { type InitramfsMaker } from './maker';
import { installedMakers, makerOf, otherMakerOf } from './makers';
import { readImage } from './read-image';
import { initramfsSegment, type SegmentFile } from './segment';

export interface PlannedInitramfs {
  /** Name of what made the image that boots. */
  maker: string;
  kernels: string[];
  modules: string[];
}

/** One kernel's images with the segments that they get. */
interface ExtendedKernel {
  maker: InitramfsMaker;
  kernel: KernelModules;
  modules: string[];
  segments: { path: string; bytes: number; segment: Buffer }[];
}

/**
 * The recovery site's drivers for the kernel that boots, and for the others as far as they can have them.
 * @throws GuestNotAdaptableError where the kernel that boots cannot; others that cannot are told as warnings
 */
export async function planInitramfs(
  files: GuestFiles,
  plan: ChangePlan,
  names: DeviceNames,
  boot: BootState,
): Promise<PlannedInitramfs> {
  const resume = await planResume(files, plan, names);
  const first = await whatBoots(files, boot);
  const copies = copiesOf(plan);
  const extended = new Map<string, ExtendedKernel>();
  const unusable = new Map<string, string>();
  const taken = new Map<string, string>();
  for (const { release, images } of boot.kernels) {
    const extend = (): Promise<ExtendedKernel> =>
      extendKernel(files, names, release, images, {
        resume,
        copies,
        taken,
        warn: (sentence) => plan.warn(sentence),
      });
    const result = await orReason(extend);
    if (typeof result === 'string') unusable.set(release, result);
    else extended.set(release, result);
  }
  const booting = extended.get(first);
  if (booting === undefined) throw cannotBoot(first, unusable, [...extended.keys()]);
  warnOf(plan, boot, unusable);

  for (const { segments } of extended.values()) {
    for (const { path, bytes, segment } of segments) plan.extendInitramfs(path, bytes, segment);
  }
  const asModules = (modules: string[]): string[] =>
    modules.filter((name) => booting.kernel.has(name) === 'module');
  const drivers = { recoverySite: asModules(RECOVERY_MODULES), primarySite: asModules(PRIMARY_MODULES) };
  for (const maker of await installedMakers(files)) await maker.planRebuild(files, plan, drivers);
  return {
    maker: booting.maker.name,
    kernels: [...extended.keys()],
    modules: [...new Set([...extended.values()].flatMap((one) => one.modules))],
  };
}

interface Extension {
  resume: string | undefined;
  copies: SegmentFile[];
  /** Real paths of images that have their segment, each with its kernel. */
  taken: Map<string, string>;
  warn: (sentence: string) => void;
}

/** @throws GuestNotAdaptableError, ArchiveDamagedError, GuestFileError */
async function extendKernel(
  files: GuestFiles,
  names: DeviceNames,
  release: string,
  images: string[],
  { resume, copies, taken, warn }: Extension,
): Promise<ExtendedKernel> {
  const kernel = await KernelModules.read(files, release);
  const missing = REQUIRED_MODULES.filter((name) => kernel.has(name) === undefined);
  if (missing.length > 0) {
    throw new GuestNotAdaptableError(
      `Kernel ${release} of the guest has no ${missing.join(' and no ')}, without which it does not run on EC2.`,
    );
  }
  const modules = await kernel.load(RECOVERY_MODULES);
  let booting: InitramfsMaker | undefined;
  const segments: ExtendedKernel['segments'] = [];
  for (const path of images) {
    const real = (await files.realpath(path)) ?? path;
    const other = taken.get(real);
    if (other !== undefined) {
      throw new GuestNotAdaptableError(
        `Kernels ${other} and ${release} of the guest share one initramfs, ${real}.`,
      );
    }
    const { image, bytes } = await read(files, path, release);
    const maker = makerOf(image);
    if (maker === undefined) {
      const known = otherMakerOf(image);
      throw new GuestNotAdaptableError(
        `${path} of the guest was made by ${known ?? 'an unknown program'}, and not by dracut or initramfs-tools; this is not supported yet.`,
      );
    }
    try {
      const argumentsHere = (text: string): string =>
        commandLineForRecoverySite(text, names, { where: `/etc/cmdline.d in ${path}`, own: true }, warn);
      const own = maker.extend(image, { modules, resume, argumentsHere });
      const copied = copies.filter((file) => image.typeOf(file.path) === 'file');
      segments.push({ path, bytes, segment: initramfsSegment(bytes, image, [...copied, ...own]) });
    } catch (error) {
      if (!(error instanceof ArchiveDamagedError)) throw error;
      throw new GuestNotAdaptableError(`${path} of the guest cannot be given drivers: ${error.message}.`);
    }
    booting = maker;
    taken.set(real, release);
  }
  if (booting === undefined)
    throw new GuestNotAdaptableError(`Kernel ${release} of the guest has no initramfs.`);
  return { maker: booting, kernel, modules: modules.map((module) => module.name), segments };
}

async function read(files: GuestFiles, path: string, release: string): ReturnType<typeof readImage> {
  try {
    return await readImage(files, path);
  } catch (error) {
    if (!(error instanceof ArchiveDamagedError)) throw error;
    const commands = (await installedMakers(files)).map((maker) => `"${maker.command(release)}"`);
    throw new GuestNotAdaptableError(
      `${path} of the guest is no initramfs that kernel ${release} could unpack: ${error.message}. ` +
        `Make it anew in the guest${commands.length > 0 ? ` (${commands.join(' or ')})` : ''} and back it up again.`,
    );
  }
}

/** A kernel's own fault as its reason; everything else is thrown. */
async function orReason<T>(work: () => Promise<T>): Promise<T | string> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof GuestNotAdaptableError || error instanceof GuestFileError) return error.message;
    throw error;
  }
}

function cannotBoot(first: string, unusable: Map<string, string>, others: string[]): GuestNotAdaptableError {
  const reason = unusable.get(first) ?? `Kernel ${first} of the guest has no initramfs in /boot.`;
  const [other] = others;
  return new GuestNotAdaptableError(
    `${reason} ` +
      (other === undefined
        ? "It is the kernel that boots, and no other of the guest would do. Install the distribution's general kernel package " +
          '(such as linux-image-amd64, kernel or kernel-default) in the guest, and back it up again.'
        : `It is the kernel that boots; ${other} of the guest would do: make that the default ` +
          `("grubby --set-default /boot/vmlinuz-${other}", or GRUB_DEFAULT in /etc/default/grub and "update-grub"), or remove ${first}, and back the guest up again.`),
  );
}

function warnOf(plan: ChangePlan, boot: BootState, unusable: Map<string, string>): void {
  for (const [release, reason] of unusable)
    plan.warn(`Kernel ${release}, which is not the one that boots, would not start on EC2: ${reason}`);
  if (boot.withoutImage.length > 0)
    plan.warn(
      `In /lib/modules of the guest, nothing in /boot goes with ${boot.withoutImage.join(', ')}: left as it is.`,
    );
  if (boot.left.length > 0)
    plan.warn(
      `The guest has very many kernels; ${boot.left.join(', ')} got no drivers and would not start on EC2.`,
    );
}

/** Files that the plan changes in the guest, for images that hold copies of them: lvm.conf, crypttab. */
function copiesOf(plan: ChangePlan): SegmentFile[] {
  return plan.changes.flatMap((change) =>
    change.kind === 'replaced' && change.path.startsWith('/etc/')
      ? [{ path: change.path.slice(1), content: change.content }]
      : [],
  );
}
