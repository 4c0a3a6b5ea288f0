#!/bin/sh
# Runs inside the tree of each of these guests, once its packages and files are there.
set -eu

# What a server VM like this never uses; each unit costs start-up time under emulation.
while read -r unit; do
  ln -sf /dev/null "/etc/systemd/system/$unit"
done < /lifeboat-build/masked-units.txt
mkdir -p /srv/data
systemctl enable NetworkManager.service power-button.service sample-page.service
systemctl set-default multi-user.target
# NetworkManager reads no connection that others could read.
chmod 0600 /etc/NetworkManager/system-connections/*
# A sample for a sandbox that only this machine reaches: the password is no secret.
echo root:root | chpasswd

# As a kernel of RHEL, Fedora or SUSE is installed: its initramfs is made below, with a name of theirs.
rm -f /boot/initrd.img-* /initrd.img /initrd.img.old /vmlinuz /vmlinuz.old
# Package lists, caches, logs: blocks that would only be copied from site to site.
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/* /var/lib/dpkg/*-old /var/log/*.log /var/log/apt
