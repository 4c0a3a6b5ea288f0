# Makes the disk of "rhel-like", as image-init.sh has prepared it: /boot by itself, everything else in a volume group.
mkdir -p /tmp/lvm
export LVM_SYSTEM_DIR=/tmp/lvm LVM_SUPPRESS_FD_WARNINGS=1
cat > /tmp/lvm/lvm.conf <<CONFIG
devices { use_devicesfile=0 obtain_device_list_from_udev=0 external_device_info_source="none" }
activation { udev_sync=0 udev_rules=0 verify_udev_operations=0 monitoring=0 }
backup { backup=0 archive=0 }
CONFIG
# The id that the guest's system.devices has.
lvm pvcreate -qq --uuid Lf2hQm-T81y-N0c7-VdRz-Xe4K-b9sG-wUaP36 --norestorefile /dev/nvme0n1p2
lvm vgcreate -qq rhel /dev/nvme0n1p2
lvm lvcreate -qq -y -Zn -Wn -L 128M -n swap rhel
# The smallest xfs that mkfs.xfs still makes has 300 MiB.
lvm lvcreate -qq -y -Zn -Wn -L 320M -n data rhel
lvm lvcreate -qq -y -Zn -Wn -l 100%FREE -n root rhel
lvm vgmknodes -qq
/usr/sbin/mkswap /dev/mapper/rhel-swap > /tmp/mkswap
mkfs.xfs -q -L boot -m uuid=6a0d3c52-5b7e-4f0a-9c41-0f5e8b7a2010 /dev/nvme0n1p1
mkfs.xfs -q /dev/mapper/rhel-root
mkfs.xfs -q /dev/mapper/rhel-data
busybox mount -t xfs /dev/mapper/rhel-root /target
mkdir -p /target/boot /target/srv/data
busybox mount -t xfs /dev/nvme0n1p1 /target/boot
busybox mount -t xfs /dev/mapper/rhel-data /target/srv/data
/usr/bin/tar --xattrs '--xattrs-include=*' -C /target -xf /dev/nvme1n1
busybox umount /target/srv/data /target/boot /target
lvm vgchange -qq -an rhel
