#!/bin/sh
# Runs inside a guest's tree: what the machine that makes its disk boots with, as /lifeboat-build/initrd.
set -eu
release=$(ls /lib/modules)
tools='busybox sh dmesg modprobe tar mkdir cat'
# Each guest has the tools of its own file systems.
for tool in lvm mkswap mkfs.xfs mkfs.btrfs btrfs; do
  if command -v "$tool" > /dev/null; then tools="$tools $tool"; fi
done
dracut --force --no-hostonly --no-hostonly-cmdline --quiet --modules 'kernel-modules' \
  --drivers 'nvme dm-mod xfs btrfs crc32c_generic crc32c-intel' --install "$tools" \
  --include /lifeboat-build/image-init.sh /image-init.sh --include /lifeboat-build/image.sh /image.sh \
  /lifeboat-build/initrd "$release"
