#!/bin/sh
# before-packages.sh TREE: mmdebstrap runs this when the essential packages are there and before all others, so that
# the kernel package already finds how its initramfs is to be made.
set -eu
here=$(dirname "$0")
"$here/install-files.sh" "$here/files/common" "$1"
"$here/install-files.sh" "$here/files/initramfs-tools" "$1"
