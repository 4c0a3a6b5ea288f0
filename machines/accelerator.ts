import { access, constants, readFile } from 'node:fs/promises';
import { CommandError, run } from '../host/run';

/** QEMU's options that say how guest instructions are run. */
export interface Accelerator {
  accel: string;
  cpu: string;
}

const KVM: Accelerator = { accel: 'kvm', cpu: 'host' };

/**
 * Nehalem: a guest's systemd boots faster on it than on `max`, whose newer vector instructions cost more to
 * emulate than they save. 256 MiB of translated code hold a Linux guest of ours; the default takes far more.
 */
const TCG: Accelerator = { accel: 'tcg,thread=multi,tb-size=256', cpu: 'Nehalem' };

let probed: Promise<Accelerator> | undefined;

/** KVM where it works, emulation elsewhere; found out once in a process. */
export function accelerator(): Promise<Accelerator> {
  probed ??= probe();
  return probed;
}

/** Flags of processors that can run guests themselves: Intel's VT-x and AMD's SVM. */
const VIRTUALIZES = /^flags\s*:.*\s(vmx|svm)(\s|$)/m;

/**
 * /dev/kvm may exist and yet not work (nested, or a container's), so it is tried with the very options that machines
 * get: firmware without a disk, which asks for a reset at once, upon which QEMU ends. Firmware is not enough: a kvm module
 * that emulates what the processor lacks has been seen to run it, and to hang in every kernel.
 */
async function probe(): Promise<Accelerator> {
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    return TCG;
  }
  if (!VIRTUALIZES.test(await readFile('/proc/cpuinfo', 'utf8'))) return TCG;
  try {
    await run(
      'qemu-system-x86_64',
      [
        '-nodefaults',
        '-no-user-config',
        '-display',
        'none',
        '-machine',
        'pc',
        '-m',
        '32',
        '-no-reboot',
      ].concat(['-accel', KVM.accel, '-cpu', KVM.cpu, '-boot', 'reboot-timeout=1']),
      5_000,
    );
    return KVM;
  } catch (error) {
    if (error instanceof CommandError) return TCG;
    throw error;
  }
}
