package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// diskOf is a disk as the host knows it.
type diskOf struct {
	Key        int32  `json:"key"`
	Unit       int32  `json:"unit"`
	Controller string `json:"controller"` // type of its controller
	Bus        int32  `json:"bus"`
	Uuid       string `json:"uuid"`
	Capacity   int64  `json:"capacity"`
	File       string `json:"file"` // on this host, of the descriptor
	Mode       string `json:"mode"`
}

// path is where a file of a datastore is on this host; empty where there is no such datastore.
func path(registry *simulator.Registry, name string) string {
	var p object.DatastorePath
	p.FromString(name)
	for _, found := range registry.All("Datastore") {
		if ds := found.(*simulator.Datastore); ds.Name == p.Datastore {
			return filepath.Join(ds.Summary.Url, filepath.Clean("/"+p.Path))
		}
	}
	return ""
}

func flat(device types.BaseVirtualDevice) (*types.VirtualDisk, *types.VirtualDiskFlatVer2BackingInfo) {
	disk, ok := device.(*types.VirtualDisk)
	if !ok {
		return nil, nil
	}
	backing, _ := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	return disk, backing
}

func (m *machine) disk(device types.BaseVirtualDevice) (diskOf, bool) {
	disk, backing := flat(device)
	if backing == nil {
		return diskOf{}, false
	}
	unit := int32(0)
	if disk.UnitNumber != nil {
		unit = *disk.UnitNumber
	}
	of := diskOf{Key: disk.Key, Unit: unit, Uuid: backing.Uuid, Capacity: disk.CapacityInBytes, File: path(m.bed.registry, backing.FileName), Mode: backing.DiskMode}
	for _, other := range m.Config.Hardware.Device {
		if controller, ok := other.(types.BaseVirtualController); ok && other.GetVirtualDevice().Key == disk.ControllerKey {
			of.Bus, of.Controller = controller.GetVirtualController().BusNumber, strings.TrimPrefix(fmt.Sprintf("%T", other), "*types.")
		}
	}
	return of, true
}

// rewrite changes the disks of the VM.
func (m *machine) rewrite(ctx *simulator.Context, change func(*types.VirtualDisk, *types.VirtualDiskFlatVer2BackingInfo)) {
	ctx.Map.WithLock(ctx, m.VirtualMachine, func() {
		devices := append([]types.BaseVirtualDevice(nil), m.Config.Hardware.Device...)
		for i, device := range devices {
			if disk, backing := flat(device); backing != nil {
				newDisk, newBacking := *disk, *backing
				newDisk.Backing = &newBacking
				change(&newDisk, &newBacking)
				devices[i] = &newDisk
			}
		}
		ctx.Update(m.VirtualMachine, []types.PropertyChange{{Name: "config.hardware.device", Val: devices}})
	})
}

// identify gives disks that are to be made UUIDs of their own, as ESXi does: the simulator would make them from their paths, so that
// a disk would be that of another site, or of a VM that is gone.
func identify(changes []types.BaseVirtualDeviceConfigSpec) {
	for _, change := range changes {
		spec := change.GetVirtualDeviceConfigSpec()
		if _, backing := flat(spec.Device); backing != nil && backing.Uuid == "" && spec.FileOperation == types.VirtualDeviceConfigSpecFileOperationCreate {
			backing.Uuid = vmwarePrefix + uuid.NewString()[len(vmwarePrefix):]
		}
	}
}

// vmwarePrefix begins the UUIDs of VMware's disks, which are SCSI names: NAA 6, and VMware's OUI.
const vmwarePrefix = "6000c29"

// ownSlots refuses slots that no controller has, which the simulator gives out.
func ownSlots(devices []types.BaseVirtualDevice, changes []types.BaseVirtualDeviceConfigSpec) types.BaseMethodFault {
	for index, change := range changes {
		spec := change.GetVirtualDeviceConfigSpec()
		disk, ok := spec.Device.(*types.VirtualDisk)
		if !ok || disk.UnitNumber == nil || spec.Operation != types.VirtualDeviceConfigSpecOperationAdd {
			continue
		}
		all := devices
		for _, other := range changes {
			all = append(all[:len(all):len(all)], other.GetVirtualDeviceConfigSpec().Device)
		}
		for _, device := range all {
			if device.GetVirtualDevice().Key == disk.ControllerKey && !hasSlot(device, *disk.UnitNumber) {
				return &types.InvalidDeviceSpec{DeviceIndex: int32(index), InvalidVmConfig: types.InvalidVmConfig{Property: "virtualDeviceSpec.device.unitNumber"}}
			}
		}
	}
	return nil
}

// hasSlot: the numbers are those of the vSphere documents' configuration maximums.
func hasSlot(controller types.BaseVirtualDevice, unit int32) bool {
	switch controller.(type) {
	case *types.ParaVirtualSCSIController:
		return unit >= 0 && unit < 64 && unit != 7 // the controller's own
	case types.BaseVirtualSCSIController:
		return unit >= 0 && unit < 16 && unit != 7
	case *types.VirtualAHCIController:
		return unit >= 0 && unit < 30
	case *types.VirtualNVMEController:
		return unit >= 0 && unit < 15
	case *types.VirtualIDEController:
		return unit == 0 || unit == 1
	}
	return true
}

var extentSize = regexp.MustCompile(`(?m)^RW \d+ `)

// trueSizes gives new disks their bytes: the simulator leaves their files empty, and cuts their size to whole KiB.
func trueSizes(m *machine, changes []types.BaseVirtualDeviceConfigSpec) types.BaseMethodFault {
	for _, change := range changes {
		spec := change.GetVirtualDeviceConfigSpec()
		disk, ok := m.disk(spec.Device)
		if !ok || spec.FileOperation != types.VirtualDeviceConfigSpecFileOperationCreate {
			continue
		}
		text, err := os.ReadFile(disk.File)
		if err == nil {
			fixed := extentSize.ReplaceAllString(string(text), "RW "+strconv.FormatInt(disk.Capacity/512, 10)+" ")
			fixed += fmt.Sprintf("ddb.uuid = \"%s\"\n", disk.Uuid)
			err = os.WriteFile(disk.File, []byte(fixed), 0o600)
		}
		if err == nil {
			err = os.Truncate(flatFile(disk.File), disk.Capacity)
		}
		if err != nil {
			return systemError(err.Error())
		}
	}
	return nil
}

// flatFile holds the bytes of the disk that a descriptor is of.
func flatFile(descriptor string) string {
	return strings.TrimSuffix(descriptor, ".vmdk") + "-flat.vmdk"
}
