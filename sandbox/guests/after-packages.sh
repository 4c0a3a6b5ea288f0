#!/bin/sh
# after-packages.sh TREE: mmdebstrap runs this when all packages are installed, with /proc, /sys and /dev in place.
set -eu
here=$(dirname "$0")
mkdir "$1/lifeboat-build"
cp "$here/finish-base.sh" "$here/masked-units.txt" "$1/lifeboat-build/"
chroot "$1" /bin/sh /lifeboat-build/finish-base.sh /lifeboat-build/masked-units.txt
rm -r "$1/lifeboat-build"
