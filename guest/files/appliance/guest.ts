import { GuestNotAdaptableError } from '../../port';
import { Appliance } from './appliance';
import { printable } from './error';
import { ApplianceFileSystem } from './file-system';
import { checkNtfs, lookAtNtfs, mountNtfs } from './ntfs';
import { activateVolumes, deactivateVolumes, readVolumes, type Volume } from './volumes';

/** What the appliance's kernel mounts, with what checks it without changing it. NTFS has programs of its own. */
const FILE_SYSTEMS: Record<string, { module: string; check: string[]; mend: string }> = {
  ext2: { module: 'ext4', check: ['/bin/e2fsck', '-fn'], mend: 'e2fsck -f' },
  ext3: { module: 'ext4', check: ['/bin/e2fsck', '-fn'], mend: 'e2fsck -f' },
  ext4: { module: 'ext4', check: ['/bin/e2fsck', '-fn'], mend: 'e2fsck -f' },
  xfs: { module: 'xfs', check: ['/bin/xfs_repair', '-n'], mend: 'xfs_repair' },
  btrfs: { module: 'btrfs', check: ['/bin/btrfs', 'check', '--readonly'], mend: 'btrfs check' },
};

/** A log of a busy server is replayed in seconds, unless its disk is read for the first time, from a snapshot in S3. */
const MOUNT_SECONDS = 1200;
/** A check of a file system of many TiB takes minutes; one that takes longer has lost its way. */
const CHECK_SECONDS = 1800;
const QUICK_SECONDS = 60;

/** Whether the appliance's kernel can mount a file system of this type, by libblkid's name. */
export function isMountable(type: string | undefined): boolean {
  return type !== undefined && FILE_SYSTEMS[type] !== undefined;
}

/** A file system of Windows, which is opened by ways of its own. */
export function isNtfs({ type }: Volume): boolean {
  return type === 'ntfs';
}

function isOfLvm({ type }: Volume): boolean {
  return type === 'LVM2_member';
}

interface Mounted {
  volume: Volume;
  root: string;
  written: boolean;
}

/** A guest's disks in an appliance, with its volumes made, and its file systems mounted as they are asked for. */
export class ApplianceGuest {
  private readonly mounted = new Map<string, Mounted>();
  private roots = 0;
  /** What an operator should know of the file systems that were mounted. */
  readonly warnings: string[] = [];

  private constructor(
    private readonly appliance: Appliance,
    readonly volumes: Volume[],
  ) {}

  /**
   * @param diskPaths all disks of the guest, the boot disk first
   * @param mode with 'look', nothing reaches the disks
   * @throws ApplianceMissingError, ToolMissingError, ApplianceError
   */
  static async start(diskPaths: string[], mode: 'look' | 'write'): Promise<ApplianceGuest> {
    const appliance = await Appliance.start(diskPaths, mode);
    try {
      const volumes = await readVolumes(appliance, 'without LVM');
      // LVM takes half a second to find that there is nothing of it.
      if (!volumes.some(isOfLvm)) return new ApplianceGuest(appliance, volumes);
      await activateVolumes(appliance);
      return new ApplianceGuest(appliance, await readVolumes(appliance, 'with LVM'));
    } catch (error) {
      await appliance.kill();
      throw error;
    }
  }

  /**
   * The file system of a volume, mounted, which replays its log.
   * @param subvolume of btrfs; the default one where absent
   * @throws GuestNotAdaptableError where it cannot be mounted
   */
  async mount(volume: Volume, subvolume?: string): Promise<ApplianceFileSystem> {
    const key = `${volume.device} ${subvolume ?? ''}`;
    const known = this.mounted.get(key);
    if (known !== undefined) return new ApplianceFileSystem(this.appliance, known.root, key.trim());
    const root = await this.newRoot();
    if (isNtfs(volume)) {
      await this.load('fuse');
      this.warnings.push(...(await mountNtfs(this.appliance, volume.device, root)));
    } else await this.mountByKernel(volume, subvolume, root);
    this.mounted.set(key, { volume, root, written: true });
    return new ApplianceFileSystem(this.appliance, root, key.trim());
  }

  /**
   * An NTFS as it is, without its log, for looking only; {@link unmount} it before it is mounted.
   * @throws GuestNotAdaptableError where it cannot be mounted
   */
  async lookAt(volume: Volume): Promise<ApplianceFileSystem> {
    const root = await this.newRoot();
    await this.load('fuse');
    await lookAtNtfs(this.appliance, volume.device, root);
    this.mounted.set(`${volume.device} `, { volume, root, written: false });
    return new ApplianceFileSystem(this.appliance, root, volume.device);
  }

  private async newRoot(): Promise<string> {
    const root = `/guest/${this.roots++}`;
    await this.appliance.run(['/applets/mkdir', root], QUICK_SECONDS);
    return root;
  }

  private async load(module: string): Promise<void> {
    await this.appliance.run(['/applets/modprobe', module], QUICK_SECONDS);
  }

  private async mountByKernel(volume: Volume, subvolume: string | undefined, root: string): Promise<void> {
    const kind = FILE_SYSTEMS[volume.type];
    if (kind === undefined) throw new Error(`The appliance does not open ${volume.type}.`);
    await this.load(kind.module);
    // Nothing in there is run, and no device in there is one; what is written is what is asked for, and no times of reading.
    const options = ['rw', 'noatime', 'nodev', 'noexec', 'nosuid'];
    if (volume.type === 'btrfs' && subvolume !== undefined) options.push(`subvol=${subvolume}`);
    // Copies of one file system are told apart by their device here.
    if (volume.type === 'xfs') options.push('nouuid');
    const { exitCode, stderr } = await this.appliance.run(
      ['/bin/busybox', 'mount', '-t', volume.type, '-o', options.join(','), volume.device, root],
      MOUNT_SECONDS,
    );
    if (exitCode !== 0) throw await this.cannotMount(volume, stderr);
  }

  /** Unmounts a file system that turned out to be of no use. */
  async unmount(volume: Volume, subvolume?: string): Promise<void> {
    const key = `${volume.device} ${subvolume ?? ''}`;
    const mounted = this.mounted.get(key);
    if (mounted === undefined) return;
    await this.unmountRoot(mounted);
    this.mounted.delete(key);
  }

  /** Paths of a btrfs' subvolumes, from its top; without those with a comma, which ends an option of mount(8). */
  async subvolumes(volume: Volume): Promise<string[]> {
    const mounted = this.mounted.get(`${volume.device} `);
    if (volume.type !== 'btrfs' || mounted === undefined) return [];
    const { stdout } = await this.appliance.run(
      ['/bin/btrfs', 'subvolume', 'list', mounted.root],
      QUICK_SECONDS,
    );
    return [...stdout.matchAll(/^ID \d+ gen \d+ top level \d+ path ([\x20-\x2b\x2d-\x7e]+)$/gm)].map(
      (match) => (match[1] ?? '').replace(/^<FS_TREE>\//, ''),
    );
  }

  /**
   * Unmounts everything, checks what was written, and powers off.
   * @throws GuestNotAdaptableError where a file system has errors now
   * @throws ApplianceError where it is not certain that everything is on the disks
   */
  async finish(): Promise<void> {
    try {
      const mounted = [...this.mounted.values()];
      for (const one of mounted.toReversed()) await this.unmountRoot(one);
      const written = mounted.filter((one) => one.written);
      for (const volume of new Set(written.map((one) => one.volume))) await this.expectSound(volume);
      if (this.volumes.some(isOfLvm)) await deactivateVolumes(this.appliance);
    } catch (error) {
      await this.appliance.kill();
      throw error;
    }
    await this.appliance.close();
  }

  /** Takes the power away: at the end of what failed, or only looked. */
  kill(): Promise<void> {
    return this.appliance.kill();
  }

  private async unmountRoot({ root, volume }: Mounted): Promise<void> {
    const { exitCode, stderr } = await this.appliance.run(['/bin/busybox', 'umount', root], MOUNT_SECONDS);
    if (exitCode !== 0)
      throw new Error(
        `The appliance cannot unmount the guest's ${volume.device}: ${printable(stderr).trim()}`,
      );
  }

  private async expectSound(volume: Volume): Promise<void> {
    const { device, type } = volume;
    if (isNtfs(volume)) {
      const found = await checkNtfs(this.appliance, device);
      this.warnings.push(...found.filter((warning) => !this.warnings.includes(warning)));
      return;
    }
    const check = FILE_SYSTEMS[type]?.check ?? [];
    const { exitCode, stdout, stderr } = await this.appliance.run([...check, device], CHECK_SECONDS);
    if (exitCode === 0) return;
    const said = printable(`${stdout}\n${stderr}`).trim().split('\n').slice(-4).join(' ').slice(-600);
    throw new GuestNotAdaptableError(
      `The guest's file system on ${device} (${type}) has errors after it was written: ${said} ` +
        'Make a new volume from the snapshot and try again.',
    );
  }

  private async cannotMount({ device, type }: Volume, stderr: string): Promise<Error> {
    const { stdout } = await this.appliance.run(['/applets/dmesg'], QUICK_SECONDS, 1024 * 1024);
    const log = printable(stdout)
      .split('\n')
      .filter((line) => /xfs|btrfs|ext4|jbd2/i.test(line))
      .slice(-3)
      .join(' ')
      .slice(-600);
    const what = `The file system on the guest's ${device} (${type})`;
    // The kernel's words for what a newer mkfs has switched on.
    if (
      /unknown incompatible features|unsupported (optional )?features|cannot mount because of unsupported/i.test(
        log,
      )
    )
      return new Error(
        `${what} has features that the kernel of this proxy's appliance does not know: ${log} Renew the appliance ("node setup/appliance.mjs --renew") on a newer release of the proxy's system.`,
      );
    return new GuestNotAdaptableError(
      `${what} cannot be mounted: ${printable(stderr).trim()} ${log} ` +
        `Run "${FILE_SYSTEMS[type]?.mend ?? 'fsck'}" in the guest, back it up and restore again, or fail over to an earlier recovery point.`,
    );
  }
}
