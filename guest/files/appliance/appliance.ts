import { setTimeout } from 'node:timers/promises';
import { ControlPort, type CommandAnswer } from './control';
import { OpenDisks } from './disks';
import { ApplianceError, printable } from './error';
import { applianceImage } from './image';
import { ApplianceMachine } from './machine';
import { SftpClient } from './sftp';

/** Two to four seconds under emulation on an idle host; this is for one that has much else to do. */
const START_SECONDS = 120;

/** The kernel, this project's tools, and the memory that a check of a file system of some hundred GiB takes. */
const MEMORY_MIB = 512;

const POWER_OFF_SECONDS = 30;

/** The first sectors of all disks, which for those of EBS may have to come from S3. */
const DISKS_SECONDS = 120;
const DISKS_POLL_MILLISECONDS = 100;

export interface ApplianceOptions {
  memoryMiB?: number;
  /** Where set-up has put the appliance, if not in the usual place. */
  directory?: string;
}

/**
 * A QEMU machine of our own, without network, that has the disks of one guest and a kernel of its own to open them: what a
 * hostile file system breaks there is thrown away. One guest each, and never used again.
 */
export class Appliance {
  private constructor(
    private readonly machine: ApplianceMachine,
    private readonly disks: OpenDisks,
    private readonly control: ControlPort,
    readonly files: SftpClient,
  ) {}

  /**
   * @param diskPaths all disks of the guest: raw files or block devices
   * @param mode with 'look', nothing of what is done in the appliance reaches the disks
   * @throws ApplianceMissingError, ToolMissingError where this host lacks something
   * @throws ApplianceError where it does not come up
   */
  static async start(
    diskPaths: string[],
    mode: 'look' | 'write',
    { memoryMiB = MEMORY_MIB, directory }: ApplianceOptions = {},
  ): Promise<Appliance> {
    const image = await applianceImage(directory);
    const disks = await OpenDisks.open(diskPaths, mode);
    let machine: ApplianceMachine | undefined;
    try {
      machine = await ApplianceMachine.start(image, disks, memoryMiB);
      const { control: commands, files } = machine;
      const gone = machine.gone.bind(machine);
      const control = new ControlPort(commands, gone);
      const appliance = new Appliance(machine, disks, control, new SftpClient(files, undefined, gone));
      await control.greeting(START_SECONDS);
      await appliance.disksArePresent(diskPaths.length);
      await appliance.files.start();
      return appliance;
    } catch (error) {
      await machine?.kill();
      await disks.close();
      throw error;
    }
  }

  /** The process of QEMU. */
  get pid(): number | undefined {
    return this.machine.pid;
  }

  /** Name of a disk in the appliance, by its place among those that it was started with. */
  device(disk: number): string {
    return `/dev/nvme0n${disk + 1}`;
  }

  /** Runs a program of the appliance. @throws ApplianceError where it takes longer */
  run(command: string[], seconds: number, maxOutputBytes?: number): Promise<CommandAnswer> {
    return this.control.run(command, seconds, maxOutputBytes);
  }

  /**
   * Powers off, with everything written to the disks.
   * @throws ApplianceError where that is not certain
   */
  async close(): Promise<void> {
    try {
      const sync = await this.run(['/applets/sync'], POWER_OFF_SECONDS);
      if (sync.exitCode !== 0) throw new ApplianceError('cannot write everything to the disks');
      // There is no answer to this one: the machine is gone by then.
      void this.run(['/applets/poweroff', '-f'], POWER_OFF_SECONDS).catch(() => undefined);
      await this.machine.waitForPowerOff();
      await this.disks.sync();
    } finally {
      await this.kill();
    }
  }

  /** Takes the power away, as at the end of what failed; does nothing where it is off. */
  async kill(): Promise<void> {
    await this.machine.kill();
    await this.disks.close();
  }

  /**
   * Waits until the kernel of the appliance has found the disks, which it does by itself and on its own time: one that is
   * not yet there would be one that the guest does not have. A disk can be opened from when its partitions are read.
   */
  private async disksArePresent(count: number): Promise<void> {
    const devices = Array.from({ length: count }, (_, disk) => this.device(disk));
    const giveUpAt = performance.now() + DISKS_SECONDS * 1000;
    for (;;) {
      const { exitCode, stderr } = await this.run(
        ['/applets/head', '-q', '-c', '1', ...devices],
        DISKS_SECONDS,
      );
      if (exitCode === 0) return;
      if (performance.now() > giveUpAt)
        throw new ApplianceError(
          `does not find all disks within ${DISKS_SECONDS} s: ${printable(stderr).trim()}`,
        );
      await setTimeout(DISKS_POLL_MILLISECONDS);
    }
  }
}
