import { ArchiveDamagedError } from './cpio-reader';
import { type InitramfsImage } from './image';
import { type InitramfsMaker } from './maker';
import { DIRECTORY, insmodOf, loadScript, moduleFiles, type SegmentFile } from './segment';

/** Scripts that dracut runs (dracut.modules(7)); since dracut-ng a link to /var/lib/dracut/hooks. */
const HOOKS = ['usr/lib/dracut/hooks', 'lib/dracut/hooks', 'var/lib/dracut/hooks'];
/** Runs before udev, which looks for disks and loads their drivers. */
const HOOK = 'pre-udev';
const HOOK_NAME = '01-lifeboat.sh';
/** What runs that hook: a service where systemd is in the initramfs, and dracut's own init where it is not. */
const HOOK_RUNNERS = ['usr/bin/dracut-pre-udev', 'bin/dracut-pre-udev', 'usr/libexec/dracut-pre-udev'];
/** Kernel arguments that a "hostonly" image brings along, such as resume=. */
const ARGUMENTS = /^etc\/cmdline\.d\/[A-Za-z0-9._-]+\.conf$/;
const CONFIGURATION = '/etc/dracut.conf.d/90-lifeboat.conf';

const SYSTEMD = ['usr/lib/systemd/systemd', 'lib/systemd/systemd'];
const UNIT = 'etc/systemd/system/lifeboat-drivers.service';
const UNIT_LINK = 'etc/systemd/system/sysinit.target.wants/lifeboat-drivers.service';

/** RHEL and its kin, Fedora, SUSE; Ubuntu since 25.10; Debian where an administrator chose it. */
export const dracut: InitramfsMaker = {
  name: 'dracut',
  made: (image) => ['usr/lib/dracut', 'lib/dracut'].some((path) => image.typeOf(path) === 'directory'),
  // Modules in /usr/lib/dracut/modules.d come with plymouth, multipath-tools and others; its functions with it alone.
  isInstalled: async (files) => (await files.realpath('/usr/lib/dracut/dracut-functions.sh')) !== undefined,
  wants: (path) => ARGUMENTS.test(path),
  extend: (image, { modules, argumentsHere }) => {
    const insmod = insmodOf(image);
    if (insmod === undefined) throw new ArchiveDamagedError('it has nothing that loads modules');
    const files = [...moduleFiles(modules), ...insmod.files];
    for (const path of image.texts) {
      const text = ARGUMENTS.test(path) ? image.text(path) : undefined;
      const here = text === undefined ? undefined : argumentsHere?.(text);
      if (here !== undefined && here !== text) files.push({ path, content: here });
    }
    return [...files, ...(hook(image, insmod.path) ?? unit(image, insmod.path, files))];
  },
  planRebuild: async (_, plan, { recoverySite, primarySite }) => {
    const drivers = [...new Set([...recoverySite, ...primarySite])];
    if (drivers.length === 0) return;
    // A "hostonly" image is cut to the hardware that it is made on: one made here must do at home, too.
    await plan.add(
      CONFIGURATION,
      `# Written by Lifeboat for the recovery site; removed on the way home.\nadd_drivers+=" ${drivers.join(' ')} "\n`,
      0o644,
    );
  },
  command: (release) => `dracut -f --kver ${release}`,
};

/** @returns undefined where the image has no hooks, or nothing that runs them */
function hook(image: InitramfsImage, insmod: string): SegmentFile[] | undefined {
  const directory = HOOKS.map((hooks) => `${hooks}/${HOOK}`).find(
    (path) => image.typeOf(path) === 'directory',
  );
  const init = image.realpath('init');
  const isSystemd = init !== undefined && SYSTEMD.some((path) => image.realpath(path) === init);
  if (directory === undefined || init === undefined) return undefined;
  if (isSystemd && !HOOK_RUNNERS.some((path) => image.typeOf(path) === 'file')) return undefined;
  return [
    { path: `${directory}/${HOOK_NAME}`, content: `#!/bin/sh\n${loadScript(insmod)}`, executable: true },
  ];
}

/** For an image of systemd alone, as newer versions can make it: without a shell. */
function unit(image: InitramfsImage, insmod: string, files: SegmentFile[]): SegmentFile[] {
  if (!SYSTEMD.some((path) => image.typeOf(path) === 'file')) {
    throw new ArchiveDamagedError(`it has neither /${HOOKS[0]}/${HOOK} with what runs it, nor systemd`);
  }
  const modules = files.filter((file) => file.path.endsWith('.ko')).map((file) => file.path);
  const commands = modules.map((path) => `ExecStart=-${insmod} /${path}\n`).join('');
  return [
    {
      path: UNIT,
      content: `[Unit]
Description=Drivers of this site, by Lifeboat
DefaultDependencies=no
Before=systemd-udevd.service systemd-udev-trigger.service sysinit.target
ConditionPathExists=/${DIRECTORY}/modules

[Service]
Type=oneshot
RemainAfterExit=yes
StandardOutput=journal+console
StandardError=journal+console
${commands}`,
    },
    { path: UNIT_LINK, content: { link: '../lifeboat-drivers.service' } },
  ];
}
