#!/bin/sh
# Runs inside a finished tree: the boot menu for its kernel and the root file system of its fstab, in the shape that
# Debian's own grub-mkconfig gives it. No serial console: a VM of the data centre has none.
set -eu
release=$(ls /lib/modules)
uuid=$(sed -n 's|^UUID=\([^ ]*\)  */ .*|\1|p' /etc/fstab)
[ -n "$uuid" ]
# mitigations, audit, apparmor, selinux: checks that only cost time in a sandbox; random.trust_cpu: no wait for entropy.
# scan=sync: disks are probed one after the other. Probed together, as is the default, two of them swap their letters
# now and then on a machine with two CPUs, and the fstab of "db" names its second disk by letter.
options='ro quiet mitigations=off audit=0 apparmor=0 selinux=0 random.trust_cpu=on scsi_mod.scan=sync'
mkdir -p /boot/grub
cat > /boot/grub/grub.cfg <<CONFIG
set default="0"
set timeout=0

insmod part_msdos
insmod ext2
search --no-floppy --fs-uuid --set=root $uuid

menuentry 'Debian GNU/Linux' --class debian --class gnu-linux --class gnu --class os {
	linux	/boot/vmlinuz-$release root=UUID=$uuid $options
	initrd	/boot/initrd.img-$release
}
CONFIG
