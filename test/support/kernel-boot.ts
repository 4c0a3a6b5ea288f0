import { spawn } from 'node:child_process';
import { accelerator } from '../../machines/accelerator';
import { hardwareArguments, type MachineHardware } from '../../machines/hardware';

/** From power on to what is waited for, on a busy host without KVM. */
const BOOT_SECONDS = 180;
/** A console that writes more has gone wrong. */
const CONSOLE_CHARACTERS = 2 ** 20;

/** Tests that a kernel makes of itself, and what it does for other processors: a tenth of its time under emulation. */
const QUICKER =
  'nokaslr cryptomgr.notests noreplace-smp rcupdate.rcu_expedited=1 tsc=reliable no_timer_check';

/**
 * Boots a kernel with an initramfs in a machine as EC2 has them, with one NVMe disk, and takes its power away.
 * @param until ends the wait when the console has it
 * @returns what the console had by then, or when the machine ended or its time was up
 */
export async function consoleOfBoot(
  machine: { kernel: string; initramfs: string; disk: string },
  commandLine: string,
  until: RegExp,
): Promise<string> {
  const hardware: MachineHardware = {
    name: 'kernel-boot',
    profile: 'ec2',
    firmware: 'bios',
    cpus: 1,
    memoryMiB: 512,
    disks: [{ path: machine.disk, format: 'raw', serial: 'vol0', slot: 0, boot: false }],
    nics: [],
  };
  const child = spawn(
    'qemu-system-x86_64',
    [
      ...hardwareArguments(hardware, await accelerator(), undefined),
      ...['-kernel', machine.kernel, '-initrd', machine.initramfs],
      ...['-append', `console=ttyS0 panic=-1 ${QUICKER} ${commandLine}`, '-no-reboot'],
      ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let text = '';
  const stop = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(stop, BOOT_SECONDS * 1000);
  const take = (data: Buffer): void => {
    text += data.toString('latin1');
    if (until.test(text) || text.length > CONSOLE_CHARACTERS) stop();
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  await new Promise<void>((resolve, reject) => {
    child.on('close', () => resolve());
    child.on('error', reject);
  });
  clearTimeout(timer);
  return text.replaceAll('\r', '');
}
