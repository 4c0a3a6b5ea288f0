# Makes the disk of "suse-like", as image-init.sh has prepared it: one btrfs with subvolumes, of which @ is what is mounted
# where none is named. The EFI system partition before it is made already.
mkfs.btrfs -q -U 6a0d3c52-5b7e-4f0a-9c41-0f5e8b7a2020 /dev/nvme0n1p2
busybox mount -t btrfs /dev/nvme0n1p2 /target
btrfs subvolume create /target/@
mkdir /target/@/usr
for subvolume in home srv usr/local var; do btrfs subvolume create "/target/@/$subvolume"; done
btrfs subvolume set-default /target/@
busybox umount /target
busybox mount -t btrfs /dev/nvme0n1p2 /target
/usr/bin/tar --xattrs '--xattrs-include=*' -C /target -xf /dev/nvme1n1
busybox umount /target
