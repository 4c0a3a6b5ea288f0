import { withBlock } from '../changes/marked-text';
import { ArchiveDamagedError } from './cpio-reader';
import { type InitramfsMaker } from './maker';
import { insmodOf, loadScript, moduleFiles } from './segment';

/**
 * Its init reads conf/conf.d/* when /sys and /dev are there and no disk is looked for yet: so the modules are loaded as the
 * first thing that the initramfs does, and RESUME= is what the last file says.
 */
const HOOK = 'conf/conf.d/zz-lifeboat';

/** Debian and Ubuntu, for as long as they do not use dracut. */
export const initramfsTools: InitramfsMaker = {
  name: 'initramfs-tools',
  made: (image) =>
    image.typeOf('scripts/functions') === 'file' && image.typeOf('conf/initramfs.conf') === 'file',
  // Hooks and configuration in /usr/share/initramfs-tools and /etc/initramfs-tools come with kmod, udev, lvm2 and others.
  isInstalled: async (files) => (await files.realpath('/usr/share/initramfs-tools/init')) !== undefined,
  wants: () => false,
  extend: (image, { modules, resume }) => {
    const insmod = insmodOf(image);
    if (insmod === undefined) throw new ArchiveDamagedError('it has nothing that loads modules');
    const script = loadScript(insmod.path) + (resume === undefined ? '' : `RESUME=${resume}\n`);
    return [...moduleFiles(modules), ...insmod.files, { path: HOOK, content: script }];
  },
  planRebuild: async (_, plan, { recoverySite }) => {
    if (recoverySite.length === 0) return;
    await plan.edit('/etc/initramfs-tools/modules', (text) => withBlock(text, recoverySite));
  },
  command: (release) => `update-initramfs -c -k ${release}`,
};
