"""Asks a vCenter with pyVmomi, as it is told: a line of JSON for each question on standard input, and one for its answer."""

import json
import os
import ssl
import sys
import time
from urllib.parse import urlparse

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl

DISK = vim.vm.device.VirtualDisk
CONTROLLERS = {
    "pvscsi": vim.vm.device.ParaVirtualSCSIController,
    "lsisas": vim.vm.device.VirtualLsiLogicSASController,
    "ahci": vim.vm.device.VirtualAHCIController,
    "nvme": vim.vm.device.VirtualNVMEController,
}

address = urlparse(os.environ["VCENTER_URL"])


def connect(password=os.environ["VCENTER_PASSWORD"]):
    trust = ssl.create_default_context(cafile=os.environ["VCENTER_CA"])
    user = os.environ["VCENTER_USER"]
    return SmartConnect(host=address.hostname, port=address.port, user=user, pwd=password, sslContext=trust)


def wait_for(task):
    """As pyVim's WaitForTask, which ends with an AttributeError where a task is still running and has a method that pyVmomi does not know."""
    while True:
        info = task.info
        if info.state == vim.TaskInfo.State.success:
            return
        if info.state == vim.TaskInfo.State.error:
            raise info.error
        time.sleep(0.02)


class Client:
    def __init__(self):
        self.login()

    def login(self):
        self.service = connect()
        content = self.service.RetrieveContent()
        self.content = content
        self.datacenter = content.rootFolder.childEntity[0]
        self.store = self.datacenter.datastore[0]
        self.pool = self.datacenter.hostFolder.childEntity[0].resourcePool

    # What is there.

    def vms(self):
        view = self.content.viewManager.CreateContainerView(self.content.rootFolder, [vim.VirtualMachine], True)
        return list(view.view)

    def names(self):
        return sorted(vm.name for vm in self.vms())

    def vm(self, name):
        return next(vm for vm in self.vms() if vm.name == name)

    def devices(self, of, kind):
        return [one for one in of.config.hardware.device if isinstance(one, kind)]

    def snapshots(self, vm):
        tree = vm.snapshot.rootSnapshotList if getattr(vm, "snapshot", None) else []
        found = []
        while tree:
            found += tree
            tree = [child for node in tree for child in node.childSnapshotList]
        return found

    def snapshot(self, vm, name):
        return next(node.snapshot for node in self.snapshots(vm) if node.name == name)

    def files(self, backing):
        names = []
        while backing is not None:
            names.append(backing.fileName)
            backing = backing.parent
        return names

    def disks(self, of):
        return [
            {
                "key": disk.key,
                "unit": disk.unitNumber,
                "bytes": disk.capacityInBytes,
                "kib": disk.capacityInKB,
                "uuid": disk.backing.uuid,
                "mode": disk.backing.diskMode,
                "changeId": disk.backing.changeId,
                "files": self.files(disk.backing),
            }
            for disk in self.devices(of, DISK)
        ]

    def describe(self, vm):
        of = self.vm(vm)
        return {
            "ref": of._moId,
            "instanceUuid": of.config.instanceUuid,
            "power": of.runtime.powerState,
            "cpus": of.config.hardware.numCPU,
            "memory": of.config.hardware.memoryMB,
            "firmware": of.config.firmware,
            "annotation": of.config.annotation,
            "tracking": of.config.changeTrackingEnabled,
            "options": {one.key: one.value for one in of.config.extraConfig},
            "consolidationNeeded": of.runtime.consolidationNeeded,
            "tools": of.guest.toolsRunningStatus,
            "folder": of.parent.name,
            "macs": [card.macAddress for card in self.devices(of, vim.vm.device.VirtualEthernetCard)],
            "disks": self.disks(of),
            "snapshots": [[node.name, node.description, node.quiesced] for node in self.snapshots(of)],
        }

    def snapshot_disks(self, vm, snapshot):
        return self.disks(self.snapshot(self.vm(vm), snapshot))

    def proxy(self, uuid):
        return self.content.searchIndex.FindByUuid(None, uuid, True, False).name

    def by_instance_uuid(self, uuid):
        return self.content.searchIndex.FindByUuid(None, uuid, True, True).name

    def free_space(self):
        self.store.RefreshDatastore()
        return self.store.summary.freeSpace

    def privileges(self, ids):
        on = [self.datacenter]
        manager = self.content.authorizationManager
        session = self.content.sessionManager.currentSession.key
        found = manager.HasPrivilegeOnEntities(on, session, ids)
        return {one.privId: one.isGranted for one in found[0].privAvailability}

    def areas(self, vm, snapshot, disk, change_id, start=0):
        of = self.vm(vm)
        info = of.QueryChangedDiskAreas(self.snapshot(of, snapshot), disk, start, change_id)
        return {"start": info.startOffset, "length": info.length, "areas": [[a.start, a.length] for a in info.changedArea or []]}

    # What is done.

    def folder(self, name):
        self.datacenter.vmFolder.CreateFolder(name)

    def create(self, name, controller="pvscsi", folder=None, macs=(), options={}, **more):
        into = self.datacenter.vmFolder
        if folder is not None:
            into = next(one for one in into.childEntity if one.name == folder)
        kind = CONTROLLERS[controller]
        sharing = {"sharedBus": "noSharing"} if issubclass(kind, vim.vm.device.VirtualSCSIController) else {}
        changes = [vim.vm.device.VirtualDeviceSpec(operation="add", device=kind(key=-1, busNumber=0, **sharing))]
        for at, mac in enumerate(macs):
            backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
            card = vim.vm.device.VirtualVmxnet3(key=-10 - at, addressType="manual", macAddress=mac, backing=backing)
            changes.append(vim.vm.device.VirtualDeviceSpec(operation="add", device=card))
        spec = vim.vm.ConfigSpec(
            name=name,
            guestId="debian12_64Guest",
            numCPUs=1,
            memoryMB=64,
            files=vim.vm.FileInfo(vmPathName=f"[{self.store.name}]"),
            deviceChange=changes,
            extraConfig=[vim.option.OptionValue(key=key, value=value) for key, value in options.items()],
            **more,
        )
        wait_for(into.CreateVM_Task(spec, self.pool))

    def change(self, vm, options={}, **more):
        extra = [vim.option.OptionValue(key=key, value=value) for key, value in options.items()]
        wait_for(self.vm(vm).ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=extra, **more)))

    def add_disk(self, vm, file, unit, mode="persistent", size=None):
        of = self.vm(vm)
        kinds = tuple(CONTROLLERS.values())
        backing = DISK.FlatVer2BackingInfo(fileName=f"[{self.store.name}] {file}", diskMode=mode, thinProvisioned=True)
        disk = DISK(key=-1, controllerKey=self.devices(of, kinds)[0].key, unitNumber=unit, capacityInKB=0, backing=backing)
        change = vim.vm.device.VirtualDeviceSpec(operation="add", device=disk)
        if size is not None:
            disk.capacityInBytes, disk.capacityInKB, change.fileOperation = size, size // 1024, "create"
        wait_for(of.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change])))

    def remove_disk(self, vm, unit):
        of = self.vm(vm)
        disk = next(one for one in self.devices(of, DISK) if one.unitNumber == unit)
        change = vim.vm.device.VirtualDeviceSpec(operation="remove", device=disk)
        wait_for(of.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change])))

    def power_on(self, vm):
        wait_for(self.vm(vm).PowerOnVM_Task())

    def power_off(self, vm):
        wait_for(self.vm(vm).PowerOffVM_Task())

    def shut_down(self, vm):
        self.vm(vm).ShutdownGuest()

    def take_snapshot(self, vm, name, quiesce=False, old=False):
        of = self.vm(vm)
        if old:
            wait_for(of.CreateSnapshot_Task(name, "of old", False, quiesce))
            return
        spec = vim.vm.GuestQuiesceSpec(timeout=1) if quiesce else None
        wait_for(of.CreateSnapshotEx_Task(name, "by test", False, spec))

    def remove_snapshot(self, vm, snapshot, children=False):
        wait_for(self.snapshot(self.vm(vm), snapshot).RemoveSnapshot_Task(children, True))

    def remove_all_snapshots(self, vm):
        wait_for(self.vm(vm).RemoveAllSnapshots_Task())

    def consolidate(self, vm):
        wait_for(self.vm(vm).ConsolidateVMDisks_Task())

    def destroy(self, vm):
        wait_for(self.vm(vm).Destroy_Task())

    def wrong_password(self):
        connect("wrong")


def main():
    client = Client()
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"answer": getattr(client, question["ask"])(**question["with"])}
        except (vmodl.MethodFault, vmodl.RuntimeFault) as fault:
            answer = {"fault": type(fault).__name__.split(".")[-1]}
        print(json.dumps(answer), flush=True)
    Disconnect(client.service)


main()
