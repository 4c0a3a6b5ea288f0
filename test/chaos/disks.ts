import { constants, copyFile, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { randomFillSync } from 'node:crypto';
import { type PrimarySite } from '../../sandbox/datacenter/primary-site';
import { type Hypervisor } from '../../hypervisor/port';
import { type Guest, systemDisk } from './guests';
import { type Journey, type JourneyVm } from './journeys';
import { type SeededRandom } from './random';

export const DISKS = ['system', 'data'] as const;
export type DiskKey = (typeof DISKS)[number];
/** The disks that a VM has. */
export const disksOf = ({ dataSectors }: Pick<JourneyVm, 'dataSectors'>): readonly DiskKey[] =>
  dataSectors > 0 ? DISKS : ['system'];
/**
 * What a disk's bytes were at some time: now, at the last backup and the one before, at the last restore, at the recovery site, after the
 * disaster.
 */
export type Moment = 'now' | 'backup' | 'older' | 'dr-copy' | 'recovery' | 'survived';

/** What the hypervisor has them down as. */
const GUEST_OS: Record<Guest, string> = {
  debian: 'debian12-64',
  rocky: 'rockylinux-64',
  suse: 'sles15-64',
  windows: 'windows2019srv-64',
};

const SECTOR = 512;
const BLOCK_BYTES = 512 * 1024;

/** The disks of a plan's VMs as they must be, kept in files of the suite's own. */
export class ExpectedDisks {
  /** Files of data disks, by VM and backup. */
  private readonly points = new Map<string, string>();

  constructor(
    private readonly directory: string,
    private readonly journey: Journey,
  ) {}

  path(vm: string, disk: DiskKey, moment: Moment): string {
    return join(this.directory, `${vm}-${disk}-${moment}.raw`);
  }

  /** Makes the VMs in the data centre by its own hypervisor, powered off. */
  async make({ hypervisor }: PrimarySite, random: SeededRandom): Promise<void> {
    await mkdir(this.directory, { recursive: true });
    for (const vm of this.journey.vms) {
      const { name, guest, dataSectors } = vm;
      await copyFile(await systemDisk(guest), this.path(name, 'system', 'now'));
      if (dataSectors > 0) {
        const data = this.path(name, 'data', 'now');
        const file = await open(data, 'w+');
        await file.truncate(dataSectors * SECTOR);
        await file.close();
        await scribble(data, random, 3);
      }
      await hypervisor.createVm(name, {
        ...{ cpus: 1, memoryMiB: 32, firmware: 'bios', guestOs: GUEST_OS[guest] },
        nics: [{ network: 'dc', mac: '00:50:56:00:30:01' }],
      });
      for (const [slot, key] of disksOf(vm).entries()) {
        const path = this.path(name, key, 'now');
        await hypervisor.addDisk(name, { key, sizeBytes: await sizeOf(path), slot, boot: slot === 0 });
        const opened = await hypervisor.openDisk(name, key);
        try {
          await writeInto(path, opened.path);
        } finally {
          await opened.close();
        }
      }
    }
  }

  /** Changes the data disks, in the data centre and here, some of their blocks to zeros. */
  async change(hypervisor: Hypervisor, random: SeededRandom): Promise<void> {
    await this.changeBoth(hypervisor, random, 'now');
  }

  /** Changes the data disks of VMs that survive a disaster, as they did before it and after their last backup. */
  async changeSurvivors(hypervisor: Hypervisor, random: SeededRandom): Promise<void> {
    await this.note('now', 'survived');
    await this.changeBoth(hypervisor, random, 'survived');
  }

  private async changeBoth(hypervisor: Hypervisor, random: SeededRandom, moment: Moment): Promise<void> {
    for (const { name, dataSectors } of this.journey.vms) {
      if (dataSectors === 0) continue;
      const path = this.path(name, 'data', moment);
      await scribble(path, random, random.whole(1, 3));
      const opened = await hypervisor.openDisk(name, 'data');
      try {
        await writeInto(path, opened.path);
      } finally {
        await opened.close();
      }
    }
  }

  /** Notes that the disks of one moment were those of another. */
  async note(from: Moment, to: Moment): Promise<void> {
    for (const vm of this.journey.vms)
      for (const disk of disksOf(vm))
        await copyFile(
          this.path(vm.name, disk, from),
          this.path(vm.name, disk, to),
          constants.COPYFILE_FICLONE,
        );
  }

  /** Notes that a VM's disks are now what a backup holds of them. */
  async notePoint(vm: string, backupId: string): Promise<void> {
    const from = this.path(vm, 'data', 'now');
    const to = join(this.directory, `${vm}-data-point-${backupId}.raw`);
    const { dataSectors = 0 } = this.journey.vms.find(({ name }) => name === vm) ?? {};
    if (dataSectors > 0) await copyFile(from, to, constants.COPYFILE_FICLONE);
    this.points.set(`${vm} ${backupId}`, to);
  }

  /** A disk as a backup holds it; undefined where no such backup was noted. System disks stay what they are at home. */
  pointPath(vm: string, disk: DiskKey, backupId: string): string | undefined {
    const data = this.points.get(`${vm} ${backupId}`);
    return data === undefined || disk === 'data' ? data : this.path(vm, disk, 'dr-copy');
  }

  async forget(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

export async function sizeOf(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

/** Random bytes, or zeros, in some blocks of a file. */
export async function scribble(path: string, random: SeededRandom, blocks: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    for (let n = 0; n < blocks; n++) {
      const offset = random.whole(0, Math.ceil(size / BLOCK_BYTES) - 1) * BLOCK_BYTES;
      const block = Buffer.alloc(Math.min(BLOCK_BYTES, size - offset));
      if (random.chance(0.75)) randomFillSync(block);
      await file.write(block, 0, block.length, offset);
    }
  } finally {
    await file.close();
  }
}

/** Writes a file's bytes over the beginning of another that exists. */
export async function writeInto(from: string, to: string): Promise<void> {
  const [source, target] = [await open(from, 'r'), await open(to, 'r+')];
  try {
    const { size } = await source.stat();
    const { buffer } = await source.read(Buffer.alloc(size), 0, size, 0);
    await target.write(buffer, 0, size, 0);
  } finally {
    await source.close();
    await target.close();
  }
}

/** Whether two files have the same first `bytes`. */
export async function sameBytes(path: string, other: string): Promise<boolean> {
  const [one, two] = [await open(path, 'r'), await open(other, 'r')];
  try {
    const { size } = await one.stat();
    const [a, b] = [Buffer.alloc(size), Buffer.alloc(size)];
    await one.read(a, 0, size, 0);
    await two.read(b, 0, size, 0);
    return a.equals(b);
  } finally {
    await one.close();
    await two.close();
  }
}
