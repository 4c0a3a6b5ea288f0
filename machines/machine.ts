import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../host/atomic-file';
import { endProcess, runningPid, waitForEnd } from '../host/pid-file';
import { ToolFailedError, toolOutput } from '../host/run-tool';
import { accelerator } from './accelerator';
import { uefiFlash } from './firmware';
import { hardwareArguments, type MachineDisk, type MachineHardware } from './hardware';
import { withQmp } from './qmp';

/** A machine: its hardware, and where it lives. */
export interface MachineSpec extends MachineHardware {
  /** Holds machine.json, pid and console.log; by it the machine is known to every process. */
  directory: string;
  /** For the monitor's socket; short, because unix socket paths end at 107 bytes. */
  runDirectory: string;
  /** Whether its CPUs stand still from the start. */
  paused?: boolean;
  /** Whether QEMU stays, paused, when the guest has shut down, so that it can be asked what it knows; it ends unless said so. */
  staysWhenShutDown?: boolean;
  /** Network namespace with the taps; the host's own where absent. */
  namespace?: string;
}

export type { MachineDisk };

/** As EC2 GetConsoleOutput keeps. */
const CONSOLE_BYTES = 64 * 1024;

/** A guest that has not loaded its ACPI button driver misses the first press; so it is pressed again. */
const BUTTON_INTERVAL_MILLISECONDS = 5_000;

/**
 * Starts the machine unless it runs. It belongs to nobody and outlives this process. Each start begins a new
 * console log.
 * @throws Error with QEMU's own words when it does not start
 */
export async function startMachine(spec: MachineSpec): Promise<void> {
  await mkdir(spec.directory, { recursive: true });
  await mkdir(spec.runDirectory, { recursive: true });
  if (await machineIsRunning(spec.directory)) return;
  const flash = spec.firmware === 'uefi' ? await uefiFlash(spec.directory) : undefined;
  const qmpSocket = monitorSocket(spec);
  const escaped = (path: string) => path.replaceAll(',', ',,');
  const qemu = [
    'qemu-system-x86_64',
    ...hardwareArguments(spec, await accelerator(), flash),
    ...[
      '-chardev',
      `socket,id=qmp,path=${escaped(qmpSocket)},server=on,wait=off`,
      '-mon',
      'chardev=qmp,mode=control',
    ],
    ...[
      '-chardev',
      `file,id=console,path=${escaped(join(spec.directory, 'console.log'))}`,
      '-serial',
      'chardev:console',
    ],
    ...(spec.paused ? ['-S'] : []),
    ...(spec.staysWhenShutDown ? ['-no-shutdown'] : []),
    ...['-daemonize', '-pidfile', pidFile(spec.directory)],
  ];
  await writeFileAtomically(
    join(spec.directory, 'machine.json'),
    JSON.stringify({ ...spec, qmpSocket }, null, 2),
  );
  const command = spec.namespace ? ['nsenter', `--net=/run/netns/${spec.namespace}`, '--', ...qemu] : qemu;
  try {
    await toolOutput(command[0] as string, command.slice(1));
  } catch (error) {
    // Started twice at once: QEMU locks its pid file, and the second one ends.
    if (await machineIsRunning(spec.directory)) return;
    if (error instanceof ToolFailedError)
      throw new Error(`Machine ${spec.name} does not start: ${error.stderr.trim()}`, { cause: error });
    throw error;
  }
}

/** Whether the machine's QEMU runs, be the guest up, booting or paused. */
export async function machineIsRunning(directory: string): Promise<boolean> {
  return (await machinePid(directory)) !== undefined;
}

/** The pid of the machine's QEMU, if it runs. */
export function machinePid(directory: string): Promise<number | undefined> {
  return runningPid(pidFile(directory), pidFile(directory));
}

/**
 * Presses the power button (ACPI) and waits for the guest to shut down.
 * @returns false when it still runs after the time
 */
export async function powerDown(directory: string, timeoutSeconds: number): Promise<boolean> {
  const deadline = Date.now() + timeoutSeconds * 1000;
  for (;;) {
    const pid = await machinePid(directory);
    if (pid === undefined) return true;
    try {
      await withQmp(await qmpSocketOf(directory), async (qmp) => {
        const { status } = await qmp.execute<{ status: string }>('query-status');
        if (status === 'paused') await qmp.execute('cont'); // a paused guest cannot see the button
        await qmp.execute('system_powerdown');
      });
    } catch (error) {
      if (await machineIsRunning(directory)) throw error;
      return true;
    }
    const left = deadline - Date.now();
    if (await waitForEnd(pid, pidFile(directory), Math.max(0, Math.min(left, BUTTON_INTERVAL_MILLISECONDS))))
      return true;
    if (Date.now() >= deadline) return false;
  }
}

/** Takes the power away at once; what the guest had written to its disks is in their files. */
export async function killMachine(directory: string): Promise<void> {
  const pid = await machinePid(directory);
  // SIGTERM ends QEMU without asking the guest, and lets it close its images and exports.
  if (pid !== undefined) await endProcess(pid, pidFile(directory));
  await rm(pidFile(directory), { force: true });
}

/** Stops the guest's CPUs. On return all that it has written is in the disks' files. */
export async function pauseMachine(directory: string): Promise<void> {
  // `stop` waits for requests in flight and flushes all disks before it answers.
  await withQmp(await qmpSocketOf(directory), (qmp) => qmp.execute('stop'));
}

export async function resumeMachine(directory: string): Promise<void> {
  await withQmp(await qmpSocketOf(directory), (qmp) => qmp.execute('cont'));
}

/** The last 64 KiB that the guest wrote to its serial console since its start; empty before the first. */
export async function consoleOutput(directory: string): Promise<Buffer> {
  let file;
  try {
    file = await open(join(directory, 'console.log'), 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - CONSOLE_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(size, CONSOLE_BYTES)), {
      position: start,
    });
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/**
 * What is on the machine's screen: a picture in the PPM format (P6, 8 bits a colour).
 * @throws the system's error where the machine does not run; QmpError where it has no graphics card
 */
export async function screenshot(directory: string): Promise<Buffer> {
  const filename = join(directory, `screen-${randomUUID()}.ppm`);
  try {
    await withQmp(await qmpSocketOf(directory), (qmp) => qmp.execute('screendump', { filename }));
    return await readFile(filename);
  } finally {
    await rm(filename, { force: true });
  }
}

/** Presses a key that writes nothing, upon which a screen that was blanked comes back. */
export async function wakeUp(directory: string): Promise<void> {
  const keys = [{ type: 'qcode', data: 'shift' }];
  await withQmp(await qmpSocketOf(directory), (qmp) => qmp.execute('send-key', { keys }));
}

/** The monitor's socket of a machine that has been started. */
export async function qmpSocketOf(directory: string): Promise<string> {
  const text = await readFile(join(directory, 'machine.json'), 'utf8');
  return (JSON.parse(text) as { qmpSocket: string }).qmpSocket;
}

function monitorSocket(spec: MachineSpec): string {
  return join(
    spec.runDirectory,
    `${createHash('sha256').update(spec.directory).digest('hex').slice(0, 12)}.qmp`,
  );
}

function pidFile(directory: string): string {
  return join(directory, 'pid');
}
