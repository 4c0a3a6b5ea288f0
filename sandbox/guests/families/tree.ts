import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { buildStep } from '../build-step';
import { type FamilyName } from './families';

/** Where scripts lie in a tree while it is made. */
const buildDirectory = 'lifeboat-build';

/** What the machine that makes the disk boots with; made in the tree, and not part of the guest. */
export const imageInitrd = (tree: string): string => `${tree}.initrd`;

/**
 * The files of a guest: its packages, its own files over them, and what its scripts make of both.
 * @param layer tar of the installed packages
 */
export async function makeTree(
  name: FamilyName,
  { layer, guestsDirectory, tree }: { layer: string; guestsDirectory: string; tree: string },
): Promise<void> {
  const families = join(guestsDirectory, 'families');
  await mkdir(tree);
  await buildStep('tar', ['--xattrs', '--xattrs-include=*', '--numeric-owner', '-C', tree, '-xf', layer]);
  for (const files of ['files/common', 'families/files/common', `families/files/${name}`])
    await buildStep(join(guestsDirectory, 'install-files.sh'), [join(guestsDirectory, files), tree]);

  const scripts = join(tree, buildDirectory);
  await mkdir(scripts);
  for (const [from, to] of [
    ['masked-units.txt', 'masked-units.txt'],
    ['finish-common.sh', 'finish-common.sh'],
    [`finish-${name}.sh`, 'finish.sh'],
    ['make-initrd.sh', 'make-initrd.sh'],
    ['image-init.sh', 'image-init.sh'],
    [`image-${name}.sh`, 'image.sh'],
  ] as const)
    await copyFile(join(families, from), join(scripts, to));
  for (const script of ['finish-common.sh', 'finish.sh', 'make-initrd.sh'])
    await inTree(families, tree, ['/bin/sh', `/${buildDirectory}/${script}`]);
  await copyFile(join(scripts, 'initrd'), imageInitrd(tree));
  await rm(scripts, { recursive: true });
}

/** Gives every file of a tree the SELinux label that the guest's policy has for its path. */
export async function labelTree(tree: string, guestsDirectory: string): Promise<void> {
  const contexts = '/etc/selinux/default/contexts/files/file_contexts';
  await inTree(join(guestsDirectory, 'families'), tree, ['setfiles', '-F', contexts, '/']);
}

/** A mount namespace of its own: what run-in-tree.sh mounts is gone when it ends. */
async function inTree(families: string, tree: string, command: string[]): Promise<void> {
  const run = [join(families, 'run-in-tree.sh'), tree, ...command];
  await buildStep('unshare', ['--mount', '--propagation', 'private', ...run]);
}
