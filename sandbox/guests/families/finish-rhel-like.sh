#!/bin/sh
# Runs inside the tree of "rhel-like": xfs on LVM, a boot menu in BLS entries, an initramfs of this hardware only, and
# SELinux that enforces.
set -eu
release=$(ls /lib/modules)
machine=$(cat /etc/machine-id)
options='root=/dev/mapper/rhel-root ro rd.lvm.lv=rhel/root rd.lvm.lv=rhel/swap console=ttyS0 mitigations=off security=selinux selinux=1 enforcing=1 random.trust_cpu=on'

# As RHEL 9 has it: LVM looks at no device that this list does not name, and the list names the disk by its WWN.
sed -i 's/^\([[:space:]]*\)# use_devicesfile = .*/\1use_devicesfile = 1/' /etc/lvm/lvm.conf
grep -q '^[[:space:]]*use_devicesfile = 1' /etc/lvm/lvm.conf

# The storage of a VMware guest, as "hostonly" would choose it there. Neither NVMe nor virtio: on EC2 this initramfs
# finds no disk.
dracut --force --no-hostonly --no-hostonly-cmdline --reproducible --quiet \
  --modules 'systemd systemd-initrd dracut-systemd dm lvm kernel-modules rootfs-block udev-rules base fs-lib shutdown usrmount terminfo' \
  --drivers 'dm-mod xfs vmw_pvscsi sd_mod vmxnet3 crc32c_generic crc32c-intel' --filesystems xfs \
  "/boot/initramfs-$release.img" "$release"

# Debian's GRUB has no "blscfg" command. /boot/grub2/grub.cfg reads the entries as GRUB scripts instead.
mkdir -p /boot/loader/entries
cat > "/boot/loader/entries/$machine-$release.conf" <<ENTRY
title Red Hat-like Linux ($release)
version $release
linux /vmlinuz-$release
initrd /initramfs-$release.img
options $options
grub_users \$grub_users
grub_arg --unrestricted
grub_class rhel
ENTRY
# GRUB's environment block has 1024 bytes, whatever is in it.
printf '# GRUB Environment Block\nsaved_entry=%s\n' "$machine-$release" | head -c 1024 > /boot/grub2/grubenv
printf "%$((1024 - $(wc -c < /boot/grub2/grubenv)))s" '' | tr ' ' '#' >> /boot/grub2/grubenv
echo "$options" > /etc/kernel/cmdline
cat > /etc/default/grub <<DEFAULTS
GRUB_TIMEOUT=0
GRUB_DEFAULT=saved
GRUB_CMDLINE_LINUX="${options#root=* ro }"
GRUB_ENABLE_BLSCFG=true
DEFAULTS

printf 'SELINUX=enforcing\nSELINUXTYPE=default\n' > /etc/selinux/config
# Of the policy's 330 modules those for what a server like this runs: loading all of them takes half a minute under
# emulation. The user of a display manager, which the base names, goes with its module.
(
  cd /lifeboat-build
  semodule -s default --cil -E base
  grep -v 'selinuxuser sddm ' base.cil > policy.cil
  mv policy.cil base.cil
  kept=' base cgroup dmidecode getty hostname lvm networkmanager setrans shutdown su tzdata unconfined unprivuser staff kdump apt bootloader ssh sudo accountsd '
  gone=''
  for module in $(ls /var/lib/selinux/default/active/modules/100); do
    case $kept in *" $module "*) ;; *) gone="$gone $module" ;; esac
  done
  semodule -n -s default -X 200 -i base.cil -X 100 -r $gone 2> /dev/null
)
