import { CPIO_DIRECTORY, CPIO_FILE, CPIO_LINK, cpioArchive, padding, type CpioEntry } from './cpio';
import { type KernelModule } from './kernel-modules';

/**
 * The kernel looks for the next archive after skipping zeros, at a multiple of four bytes; some boot loaders hand
 * over whole sectors. At least four zeros, as kernels find the end of an LZ4 archive only by them.
 */
const SECTOR = 512;
const MIN_ZEROS = 4;

/**
 * Loads the modules in order, as the first thing that the initramfs does: initramfs-tools reads conf/conf.d/* as part
 * of its init, when /sys and /dev are there and no disk is looked for yet. kmod and busybox do what the name that
 * they are called by says, which gives an insmod also where only modprobe was put in. LVM's list of disks by their hardware's names, a copy of
 * the guest's, knows the other site's only; without it LVM looks at all.
 */
const LOAD_SCRIPT = `lifeboat_insmod=
for lifeboat_try in /sbin/insmod /usr/sbin/insmod /bin/insmod; do
  [ -x "$lifeboat_try" ] && lifeboat_insmod=$lifeboat_try
done
[ -n "$lifeboat_insmod" ] || lifeboat_insmod=/lifeboat/insmod
while read -r lifeboat_file lifeboat_name; do
  [ -d "/sys/module/$lifeboat_name" ] && continue
  "$lifeboat_insmod" "/lifeboat/$lifeboat_file" || echo "lifeboat: module $lifeboat_name was not loaded" > /dev/console
done < /lifeboat/modules
rm -f /etc/lvm/devices/*.devices
echo "lifeboat: drivers of this site are loaded" > /dev/console
`;

/**
 * A further segment for the end of an initramfs of initramfs-tools, uncompressed, so that it works with whatever
 * compression the rest has.
 *
 * @param initramfsBytes length of the initramfs that it will follow
 * @param resume what RESUME= shall be, where the initramfs itself names a device that is none here
 * @param copies configuration in place of the copies that the initramfs may have; where it has none, the kernel finds no
 *   directory for them, and passes over them
 */
export function initramfsSegment(
  initramfsBytes: number,
  modules: KernelModule[],
  resume: string | undefined,
  copies: { path: string; content: Buffer }[],
): Buffer {
  const named = modules.map((module, index) => ({
    ...module,
    file: `${String(index).padStart(2, '0')}-${module.name}.ko`,
  }));
  const text = (path: string, content: string): CpioEntry => ({
    path,
    mode: CPIO_FILE,
    content: Buffer.from(content, 'latin1'),
  });
  const archive = cpioArchive([
    { path: 'lifeboat', mode: CPIO_DIRECTORY, content: new Uint8Array() },
    ...named.map((module) => ({ path: `lifeboat/${module.file}`, mode: CPIO_FILE, content: module.content })),
    text('lifeboat/modules', named.map((module) => `${module.file} ${module.name}\n`).join('')),
    { path: 'lifeboat/insmod', mode: CPIO_LINK, content: Buffer.from('/sbin/modprobe') },
    ...copies.map((copy) => ({ ...copy, mode: CPIO_FILE })),
    text('conf/conf.d/zz-lifeboat', LOAD_SCRIPT + (resume === undefined ? '' : `RESUME=${resume}\n`)),
  ]);
  const zeros = new Uint8Array(MIN_ZEROS);
  const before = padding(initramfsBytes + MIN_ZEROS, SECTOR);
  return Buffer.concat([zeros, before, archive, padding(archive.length, SECTOR)]);
}
