import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { blankUefiVariables } from '../../../machines/firmware';
import { createSparseFile } from '../disk-image';
import { installGrub } from '../grub';
import { partition } from '../partition';
import { buildStep } from '../build-step';
import { type FamilyGuest } from './families';
import { runImageMachine } from './image-machine';
import { imageInitrd } from './tree';
import { writeUefiVariables } from './uefi-variables';

const sectorBytes = 512;
/** Where finish-suse-like.sh leaves what the EFI system partition gets. */
const espDirectory = 'esp';

/**
 * Makes a guest's disk from its tree, without loop devices, device mapper or mounts on this host: file systems and
 * volumes are made by a machine of the guest's own kernel and tools, so that they are as its release makes them.
 * @param work a directory for files that are needed meanwhile
 * @param variables where the firmware's variables of a UEFI guest are written
 */
export async function makeImage(
  { configuration, partitions, loader }: FamilyGuest,
  { tree, work, disk, variables }: { tree: string; work: string; disk: string; variables: string },
): Promise<void> {
  const [system] = configuration.disks;
  if (system === undefined) throw new Error('The guest has no disk.');
  await createSparseFile(disk, system.sizeBytes);
  await partition(disk, partitions);
  if (loader.firmware === 'uefi') {
    await makeEsp(disk, loader, join(tree, espDirectory));
    await rm(join(tree, espDirectory), { recursive: true });
    const { espStart, espSectors, entry } = loader;
    await writeUefiVariables(variables, await blankUefiVariables(), {
      description: entry.description,
      partition: { number: 1, firstSector: espStart, sectors: espSectors, guid: entry.partitionGuid },
      path: entry.path,
    });
  } else {
    await installGrub(disk, loader.prefix, loader.modules);
  }
  const tar = join(work, 'tree.tar');
  await buildStep('tar', ['--xattrs', '--xattrs-include=*', '--numeric-owner', '-C', tree, '-cf', tar, '.']);
  await runImageMachine({
    kernel: await kernelOf(tree),
    initrd: imageInitrd(tree),
    disks: [disk, tar],
    console: join(work, 'console.log'),
  });
}

/** A FAT32 file system in the first partition, by programs that write into the file at an offset. */
async function makeEsp(
  disk: string,
  { espStart, espSectors, volumeId }: { espStart: number; espSectors: number; volumeId: string },
  content: string,
): Promise<void> {
  const at = `${disk}@@${espStart * sectorBytes}`;
  // Sizes that no floppy disk has are no error.
  const environment = { MTOOLS_SKIP_CHECK: '1' };
  await buildStep('mformat', ['-i', at, '-T', String(espSectors), '-F', '-v', 'EFI', '-N', volumeId, '::'], {
    environment,
  });
  const entries = (await readdir(content)).map((name) => join(content, name));
  await buildStep('mcopy', ['-i', at, '-s', ...entries, '::'], { environment });
}

async function kernelOf(tree: string): Promise<string> {
  const [kernel] = (await readdir(join(tree, 'boot'))).filter((name) => name.startsWith('vmlinuz-'));
  if (kernel === undefined) throw new Error('The guest’s tree has no kernel.');
  return join(tree, 'boot', kernel);
}
