#!/bin/sh
# run-in-tree.sh TREE COMMAND...: runs a program inside a tree. What it needs of the kernel is mounted for it alone.
set -eu
tree=$1
shift
mount -t proc proc "$tree/proc"
mount -t tmpfs dev "$tree/dev"
for device in null zero full random urandom; do
  touch "$tree/dev/$device"
  mount --bind "/dev/$device" "$tree/dev/$device"
done
ln -s /proc/self/fd "$tree/dev/fd"
exec chroot "$tree" "$@"
