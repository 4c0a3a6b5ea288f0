#!/bin/sh
# Runs inside the tree of "suse-like": btrfs with subvolumes, UEFI with its loader in one directory of its own.
set -eu
release=$(ls /lib/modules)
root=$(sed -n 's|^UUID=\([^ ]*\)  */  *btrfs .*|\1|p' /etc/fstab)
[ -n "$root" ]
options="root=UUID=$root console=ttyS0 mitigations=off audit=0 apparmor=0 selinux=0 random.trust_cpu=on"

# The storage of a VMware guest, as "hostonly" would choose it there. Neither NVMe nor virtio: on EC2 this initramfs
# finds no disk.
dracut --force --no-hostonly --no-hostonly-cmdline --reproducible --quiet \
  --modules 'systemd systemd-initrd dracut-systemd kernel-modules rootfs-block udev-rules base fs-lib shutdown usrmount btrfs terminfo' \
  --drivers 'btrfs ahci vmw_pvscsi sd_mod vmxnet3 crc32c_generic crc32c-intel' --filesystems btrfs \
  "/boot/initrd-$release" "$release"

# Debian's GRUB reads a btrfs from its top: paths have the subvolume before them.
mkdir -p /boot/grub2 /boot/efi
cat > /boot/grub2/grub.cfg <<CONFIG
set default="0"
set timeout=0

search --no-floppy --fs-uuid --set=root $root

menuentry 'SUSE-like Linux' --class opensuse --class gnu-linux --class gnu --class os {
	linux	/@/boot/vmlinuz-$release $options
	initrd	/@/boot/initrd-$release
}
CONFIG
printf 'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX_DEFAULT="%s"\n' "${options#root=* }" > /etc/default/grub

# What the EFI system partition will hold: the distribution's signed loaders in their own directory, none in EFI/BOOT.
# The directory's name is compiled into GRUB.
mkdir -p /esp/EFI/debian
cp /usr/lib/shim/shimx64.efi.signed /esp/EFI/debian/shimx64.efi
cp /usr/lib/shim/mmx64.efi.signed /esp/EFI/debian/mmx64.efi
cp /usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed /esp/EFI/debian/grubx64.efi
cat > /esp/EFI/debian/grub.cfg <<CONFIG
search.fs_uuid $root root
set prefix=(\$root)/@/boot/grub2
configfile \$prefix/grub.cfg
CONFIG
