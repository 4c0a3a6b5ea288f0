#!/bin/busybox sh
# The first program of the machine that makes a guest's disk. It has the guest's own kernel and tools, the empty disk
# (nvme0n1), and the tar of the guest's files (nvme1n1).
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
# Programs with names that busybox has, too, are called by their paths: its shell takes its own before those of PATH.
dmesg -n 1
for module in nvme dm-mod xfs btrfs; do modprobe -q "$module"; done
busybox mkdir -p /target
# Disks are found while others of the kernel's threads go on.
while [ ! -b /dev/nvme0n1p2 ] || [ ! -b /dev/nvme1n1 ]; do busybox sleep 0.1; done
if busybox sh -eu /image.sh; then echo 'image: made'; else echo 'image: failed'; fi
busybox poweroff -f
