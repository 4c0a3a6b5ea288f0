import { access, constants, readFile } from 'node:fs/promises';
import { ToolFailedError, toolOutput } from '../host/run-tool';

/** QEMU's options that say how guest instructions are run. */
export interface Accelerator {
  accel: string;
  cpu: string;
}

const KVM: Accelerator = { accel: 'kvm', cpu: 'host' };

/**
 * Nehalem: a guest's systemd boots faster on it than on `max`, whose newer vector instructions cost more to
 * emulate than they save. With RDRAND, which no Nehalem had: without it a kernel has no random numbers before it has made some
 * out of the processor's own jitter, for which the first who asks (LVM, mkfs, systemd) waits a second. 256 MiB of translated code hold a Linux guest of ours; the default takes far more.
 */
const TCG: Accelerator = { accel: 'tcg,thread=multi,tb-size=256', cpu: 'Nehalem,+rdrand' };

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
    await toolOutput(
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
      { timeoutSeconds: 5 },
    );
    return KVM;
  } catch (error) {
    if (error instanceof ToolFailedError) return TCG;
    throw error;
  }
}
