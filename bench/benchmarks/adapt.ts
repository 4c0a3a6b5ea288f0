import { constants } from 'node:fs';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Benchmark, type Run } from '../benchmark';
import { makeGuestDisk, type GuestKind } from '../guests';
import { type AdaptJob } from '../ours/adapt';
import { runJob } from '../ours/run-job';

const KINDS: GuestKind[] = ['ext4', 'xfs on LVM', 'btrfs'];

export const adapt: Benchmark = {
  name: 'adapt',
  sizeMiB: 1024,
  pairs: 3,
  async prepare(workspace, { sizeMiB }) {
    const { directory } = workspace;
    const disks = new Map<GuestKind, string>();
    await mkdir(join(directory, 'guests'), { recursive: true });
    for (const kind of KINDS) {
      const path = join(directory, 'guests', `${kind.replaceAll(' ', '-')}.raw`);
      await makeGuestDisk(kind, path, sizeMiB, directory);
      disks.set(kind, path);
    }
    /** Adapts a copy of the guest and takes it home again. */
    const run = async (kind: GuestKind, by: AdaptJob['by']): Promise<Run> => {
      const diskPath = join(directory, 'copy.raw');
      await copyFile(disks.get(kind) ?? '', diskPath, constants.COPYFILE_FICLONE);
      const { run, output } = await runJob('adapt', { diskPath, by }, { directory, env: {} });
      await rm(diskPath);
      const counts = {
        [`${kind}: seconds to adapt`]: output.adaptSeconds,
        [`${kind}: seconds to revert`]: output.revertSeconds,
        [`${kind}: MiB of our process`]: output.processMiB,
        [`${kind}: MiB of the appliance`]: output.applianceMiB,
      };
      return { ...run, counts };
    };
    return {
      ours: {
        name: 'ext4, by debugfs',
        async run() {
          const plain = await run('ext4', 'usual');
          const others = [await run('xfs on LVM', 'usual'), await run('btrfs', 'usual')];
          return {
            ...plain,
            counts: Object.assign({}, plain.counts, ...others.map((one) => one.counts)) as Run['counts'],
          };
        },
      },
      peer: { name: 'ext4, by the appliance', run: () => run('ext4', 'appliance') },
      // One guest.
      blocks: 1,
      notes: {
        guests:
          'Debian-like on ext4 with initramfs-tools; RHEL-like with dracut on xfs on LVM, and on btrfs; an initramfs of 40 MiB each',
        'a run': 'the adaptation for EC2 and the way home of one guest, in a process of its own',
        'MiB resident': 'of the largest of the processes, QEMU included',
      },
      endpointCpuSeconds: () => Promise.resolve(0),
    };
  },
};
