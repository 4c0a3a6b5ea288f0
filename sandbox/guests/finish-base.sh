#!/bin/sh
# Runs inside the tree that both guests are copied from, once its packages and files/common are there.
# Usage: finish-base.sh MASKED_UNITS_FILE
set -eu

# What a server VM like this never uses; each unit costs start-up time under emulation.
while read -r unit; do
  ln -sf /dev/null "/etc/systemd/system/$unit"
done < "$1"
mkdir -p /etc/systemd/system-generators
for generator in cryptsetup debug getty gpt-auto hibernate-resume integritysetup rc-local run system-update sysv veritysetup; do
  ln -sf /dev/null "/etc/systemd/system-generators/systemd-$generator-generator"
done

systemctl enable systemd-networkd.service power-button.service
systemctl set-default multi-user.target
# A sample for a sandbox that only this machine reaches: the password is no secret.
echo root:root | chpasswd

rm -f /boot/initrd.img-* /initrd.img /initrd.img.old /vmlinuz /vmlinuz.old
update-initramfs -c -k all

# Package lists, caches, logs: blocks that would only be copied from site to site.
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/* /var/lib/dpkg/*-old /var/log/*.log /var/log/apt
