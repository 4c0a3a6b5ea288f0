import { readFile } from 'node:fs/promises';
import { ToolFailedError, toolOutput } from '../../../host/run-tool';
import { accelerator } from '../../../machines/accelerator';

/** Boot, a gigabyte through tar and a power-off take 40 s on two idle cores under emulation; a busy machine has ten times. */
const MACHINE_SECONDS = 600;
/** The kernel, its initramfs unpacked, and room for file systems' caches. */
const MEMORY_MIB = 1024;
/** What image-init.sh says when all went well. */
const MADE = 'image: made';
const LAST_LINES = 15;

/**
 * Runs a machine that makes a disk and powers itself off: image-init.sh in the initramfs says what it does. It is on no
 * network, and only its two disks are written to.
 * @throws Error with the last lines of its console when the disk is not made
 */
export async function runImageMachine(machine: {
  kernel: string;
  initrd: string;
  /** Raw files, in the order in which the machine sees them. */
  disks: string[];
  /** A file that gets what the machine says. */
  console: string;
}): Promise<void> {
  const { accel, cpu } = await accelerator();
  const disks = machine.disks.flatMap((filename, slot) => [
    ...[
      '-blockdev',
      JSON.stringify({
        driver: 'raw',
        'node-name': `disk${slot}`,
        // A disk that is thrown away when anything fails need not be flushed.
        cache: { 'no-flush': true },
        file: { driver: 'file', filename },
      }),
    ],
    ...['-device', JSON.stringify({ driver: 'nvme', drive: `disk${slot}`, serial: `disk${slot}` })],
  ]);
  try {
    await toolOutput(
      'qemu-system-x86_64',
      [
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
        // One CPU: with two, Linux 6.12 stops under emulation. The timer's checks by the kernel fail there on a busy host.
        ...['-machine', 'q35', '-accel', accel, '-cpu', cpu, '-smp', '1', '-m', String(MEMORY_MIB)],
        ...['-kernel', machine.kernel, '-initrd', machine.initrd],
        '-append',
        'console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on tsc=reliable no_timer_check selinux=0 rdinit=/image-init.sh',
        ...['-chardev', `file,id=console,path=${machine.console.replaceAll(',', ',,')}`],
        ...['-serial', 'chardev:console'],
        ...disks,
      ],
      { timeoutSeconds: MACHINE_SECONDS },
    );
  } catch (error) {
    if (!(error instanceof ToolFailedError)) throw error;
    throw new Error(
      `The machine that makes a sample VM’s disk ended badly:\n${await said(machine.console)}`,
      {
        cause: error,
      },
    );
  }
  const words = await said(machine.console);
  if (!words.includes(MADE))
    throw new Error(`The machine that makes a sample VM’s disk did not make it:\n${words}`);
}

async function said(path: string): Promise<string> {
  const text = await readFile(path, 'latin1');
  return text.trim().split('\n').slice(-LAST_LINES).join('\n');
}
