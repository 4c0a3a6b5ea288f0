import { spawn, type ChildProcess } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { type Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { accelerator, type Accelerator } from '../../../machines/accelerator';
import { ToolMissingError } from '../../../host/run-tool';
import { type OpenDisks } from './disks';
import { ApplianceError } from './error';
import { type ApplianceImage } from './image';

/** User and group "nobody" of every distribution: owns nothing on this host. */
const NOBODY = 65534;

/** The end of the console is kept for messages. */
const CONSOLE_CHARACTERS = 16 * 1024;

/** Emulated code (256 MiB), QEMU itself and its threads' stacks, beside the memory of the machine. */
const QEMU_BYTES = 1.5 * 1024 ** 3;

/**
 * From the request to power off to QEMU's end: a second, and many times that under emulation on a host whose cores are all
 * taken. Giving up early fails an adaptation that is done; giving up late costs only the wait.
 */
const POWER_OFF_MILLISECONDS = 120_000;

/**
 * quiet: the console costs time under emulation. panic=-1 with -no-reboot: a kernel that a disk has brought down ends QEMU
 * at once. The rest saves probing for hardware, kernel's tests of itself, what only several processors need, and defences inside
 * a machine that holds nothing to defend: together a quarter of the time to its start.
 */
const KERNEL_COMMAND_LINE =
  'console=ttyS0 quiet oops=panic panic=-1 nokaslr mitigations=off selinux=0 apparmor=0 audit=0 ' +
  'random.trust_cpu=on tsc=reliable no_timer_check 8250.nr_uarts=1 nvme_core.multipath=0 ' +
  'cryptomgr.notests noreplace-smp rcupdate.rcu_expedited=1';

/** From the end of a port to that of QEMU, which closes both at its own: this is for its last lines. */
const LAST_WORDS_MILLISECONDS = 5000;

/** The QEMU process of an appliance, with its two ports to the outside. It ends when this process does. */
export class ApplianceMachine {
  private consoleText = '';
  private ended = false;
  readonly end: Promise<void>;

  private constructor(private readonly child: ChildProcess) {
    const keep = (data: Buffer): void => {
      this.consoleText = (this.consoleText + data.toString('latin1')).slice(-CONSOLE_CHARACTERS);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    this.end = new Promise((resolve) => {
      const settle = (): void => {
        this.ended = true;
        resolve();
      };
      child.on('close', settle);
      child.on('error', settle);
    });
  }

  /** @throws ToolMissingError where QEMU is not installed */
  static async start(image: ApplianceImage, disks: OpenDisks, memoryMiB: number): Promise<ApplianceMachine> {
    const chosen = await accelerator();
    const qemu = qemuArguments(image, disks, memoryMiB, chosen);
    const command = [...(await confinement(memoryMiB, chosen)), 'qemu-system-x86_64', ...qemu];
    const child = spawn(command[0] as string, command.slice(1), {
      cwd: '/',
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', ...disks.fds],
    });
    const machine = new ApplianceMachine(child);
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error: NodeJS.ErrnoException) =>
        reject(error.code === 'ENOENT' ? new ToolMissingError(command[0] as string) : error),
      );
    });
    return machine;
  }

  get control(): Duplex {
    return this.child.stdio[CONTROL_FD] as Duplex;
  }

  get files(): Duplex {
    return this.child.stdio[FILES_FD] as Duplex;
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** The end of what the machine and QEMU have written. */
  get console(): string {
    return this.consoleText;
  }

  /** For when a port has ended: says how QEMU has, with its last lines. It ends nothing. */
  async gone(): Promise<ApplianceError> {
    await Promise.race([this.end, sleep(LAST_WORDS_MILLISECONDS, undefined, { ref: false })]);
    const { exitCode, signalCode } = this.child;
    const how = this.ended ? `QEMU ended with ${signalCode ?? exitCode ?? 'no code'}` : 'QEMU goes on';
    return new ApplianceError(`has gone (${how})`, this.console);
  }

  /** Waits for a machine that was told to power off. @throws ApplianceError where it does not */
  async waitForPowerOff(): Promise<void> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), POWER_OFF_MILLISECONDS);
    await this.end;
    clearTimeout(timer);
    if (this.child.exitCode !== 0) throw new ApplianceError('did not power off', this.console);
  }

  /** Takes the power away, if it still has it. */
  async kill(): Promise<void> {
    if (!this.ended) this.child.kill('SIGKILL');
    await this.end;
  }
}

const CONTROL_FD = 3;
const FILES_FD = 4;
const FIRST_DISK_FD = 5;

function qemuArguments(
  image: ApplianceImage,
  disks: OpenDisks,
  memoryMiB: number,
  { accel, cpu }: Accelerator,
): string[] {
  const port = (name: string, fd: number): string[] => [
    ...['-chardev', `socket,id=${name},fd=${fd}`],
    ...['-device', JSON.stringify({ driver: 'virtserialport', chardev: name, name })],
  ];
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-name', 'lifeboat-appliance', '-machine', 'q35', '-accel', accel, '-cpu', cpu],
    ...['-smp', '1', '-m', String(memoryMiB)],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-kernel', image.kernel, '-initrd', image.initramfs, '-append', KERNEL_COMMAND_LINE],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-device', 'virtio-serial-pci', ...port('control', CONTROL_FD), ...port('files', FILES_FD)],
    ...disks.arguments(FIRST_DISK_FD),
  ];
}

/**
 * The command that QEMU is started by: killed with this process, limited in memory, without a way to more rights, and,
 * where this process is root's, nobody's. The two tools are of util-linux, which every distribution has.
 */
async function confinement(memoryMiB: number, { accel }: Accelerator): Promise<string[]> {
  const bytes = memoryMiB * 1024 ** 2 + QEMU_BYTES;
  const limits = ['prlimit', '--core=0', `--data=${bytes}`, '--'];
  const setpriv = ['setpriv', '--no-new-privs', '--pdeathsig', 'KILL'];
  if (process.getuid?.() !== 0) return [...limits, ...setpriv, '--'];
  const groups = accel === 'kvm' ? `--groups=${(await stat('/dev/kvm')).gid}` : '--clear-groups';
  return [
    ...limits,
    ...setpriv,
    ...['--reuid', String(NOBODY), '--regid', String(NOBODY), groups, '--inh-caps=-all', '--'],
  ];
}
