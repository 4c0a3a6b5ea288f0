#!/bin/sh
# Makes the role of Lifeboat's account in vCenter, gives it to the account, and sets up the backup proxy's VM, which should be off.
# Needs govc, and its variables GOVC_URL, GOVC_USERNAME, GOVC_PASSWORD of an administrator. May be run again.
#
#   sh set-up.sh DATACENTER ACCOUNT PROXY
#   sh set-up.sh /DC1 'VSPHERE.LOCAL\lifeboat' /DC1/vm/lifeboat-proxy
set -eu
datacenter=$1 account=$2 proxy=$3
role=Lifeboat
privileges=$(cat "$(dirname "$0")/privileges.txt")

# Each privilege is an argument of its own.
# shellcheck disable=SC2086
if govc role.ls "$role" >/dev/null 2>&1; then
  govc role.update "$role" $privileges
else
  govc role.create "$role" $privileges
fi
# What is in the datacenter: VMs, hosts, datastores and networks.
govc permissions.set -principal "$account" -role "$role" -propagate=true "$datacenter"
# To find the datacenter, and nothing else.
govc permissions.set -principal "$account" -role ReadOnly -propagate=false /

govc vm.change -vm "$proxy" -e disk.EnableUUID=TRUE
# A controller for other VMs' disks alone, beside the one with the proxy's own.
controllers=$(govc device.ls -vm "$proxy" | grep -c ParaVirtualSCSIController || true)
if [ "$controllers" -lt 2 ]; then
  govc device.scsi.add -vm "$proxy" -type pvscsi
fi
