package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func (m *machine) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	return &methods.ReconfigVM_TaskBody{Res: &types.ReconfigVM_TaskResponse{Returnval: m.bed.work(ctx, m, "ReconfigVM_Task", func() (types.AnyType, types.BaseMethodFault) {
		if fault := m.refuse(ctx, &req.Spec); fault != nil {
			return nil, fault
		}
		identify(req.Spec.DeviceChange)
		// What the disks that go are called is known before they have gone.
		var removed, attached []diskOf
		for _, change := range req.Spec.DeviceChange {
			spec := change.GetVirtualDeviceConfigSpec()
			if spec.Operation == types.VirtualDeviceConfigSpecOperationRemove {
				if disk, ok := m.disk(m.device(spec.Device.GetVirtualDevice().Key)); ok {
					removed = append(removed, disk)
				}
				continue
			}
			disk, ok := m.disk(spec.Device)
			if ok && spec.Operation == types.VirtualDeviceConfigSpecOperationAdd && spec.FileOperation == "" {
				fault := m.attach(spec.Device, disk)
				if fault != nil {
					m.detach(attached)
					return nil, fault
				}
				attached = append(attached, disk)
			}
		}
		body := m.VirtualMachine.ReconfigVMTask(ctx, req).(*methods.ReconfigVM_TaskBody)
		result, fault := inner(ctx, body.Res.Returnval, body.Fault_)
		if fault != nil {
			m.detach(attached)
			return nil, fault
		}
		if fault := m.detach(removed); fault != nil {
			return nil, fault
		}
		m.showTools(ctx)
		return result, trueSizes(m, req.Spec.DeviceChange)
	})}}
}

func (m *machine) device(key int32) types.BaseVirtualDevice {
	for _, device := range m.Config.Hardware.Device {
		if device.GetVirtualDevice().Key == key {
			return device
		}
	}
	return nil
}

// attach has the host open a disk that exists; what it is tells its size and its UUID.
func (m *machine) attach(device types.BaseVirtualDevice, disk diskOf) types.BaseMethodFault {
	how := map[string]any{"machine": m.describe(), "disk": disk, "running": m.running()}
	var found struct {
		Uuid     string `json:"uuid"`
		Capacity int64  `json:"capacity"`
	}
	if fault := m.bed.host.call("attach", how, &found); fault != nil {
		return fault
	}
	virtual, backing := flat(device)
	backing.Uuid, virtual.CapacityInBytes, virtual.CapacityInKB = found.Uuid, found.Capacity, found.Capacity/1024
	return nil
}

func (m *machine) detach(disks []diskOf) types.BaseMethodFault {
	for _, disk := range disks {
		if fault := m.bed.host.call("detach", map[string]any{"machine": m.describe(), "disk": disk}, nil); fault != nil {
			return fault
		}
	}
	return nil
}

// refuse is what ESXi refuses and the simulator lets pass.
func (m *machine) refuse(ctx *simulator.Context, spec *types.VirtualMachineConfigSpec) types.BaseMethodFault {
	for _, privilege := range configPrivileges(spec) {
		if m.bed.control.lacks(privilege) {
			return &types.NoPermission{Object: &m.Self, PrivilegeId: privilege}
		}
	}
	hot := func(enabled *bool) bool { return enabled != nil && *enabled }
	if m.running() && (spec.Firmware != "" && spec.Firmware != m.Config.Firmware ||
		spec.NumCPUs != 0 && spec.NumCPUs != m.Config.Hardware.NumCPU && !hot(m.Config.CpuHotAddEnabled) ||
		spec.MemoryMB != 0 && int32(spec.MemoryMB) != m.Config.Hardware.MemoryMB && !hot(m.Config.MemoryHotAddEnabled)) {
		return m.powerFault(types.VirtualMachinePowerStatePoweredOff)
	}
	if parent, ok := ctx.Map.Get(*m.Parent).(*simulator.Folder); ok && spec.Name != "" {
		if child := named(ctx, parent, spec.Name); child != nil && *child != m.Self {
			return &types.DuplicateName{Name: spec.Name, Object: *child}
		}
	}
	for _, change := range spec.DeviceChange {
		one := change.GetVirtualDeviceConfigSpec()
		if one.Operation != types.VirtualDeviceConfigSpecOperationAdd && m.device(one.Device.GetVirtualDevice().Key) == nil {
			return &types.InvalidDeviceSpec{InvalidVmConfig: types.InvalidVmConfig{Property: "virtualDeviceSpec.device.key"}}
		}
		if _, isCard := one.Device.(types.BaseVirtualEthernetCard); !isCard {
			continue
		}
		if fault := knownNetwork(ctx, one); fault != nil {
			return fault
		}
	}
	return ownSlots(m.Config.Hardware.Device, spec.DeviceChange)
}

// knownNetwork refuses cards on networks that there are not, of which the simulator would die.
func knownNetwork(ctx *simulator.Context, spec *types.VirtualDeviceConfigSpec) types.BaseMethodFault {
	backing, ok := spec.Device.GetVirtualDevice().Backing.(*types.VirtualEthernetCardNetworkBackingInfo)
	if !ok || spec.Operation == types.VirtualDeviceConfigSpecOperationRemove {
		return nil
	}
	dc := ctx.Map.Any("Datacenter").(*simulator.Datacenter)
	if ctx.Map.FindByName(backing.DeviceName, dc.Network) == nil {
		return &types.InvalidDeviceBacking{InvalidDeviceSpec: types.InvalidDeviceSpec{InvalidVmConfig: types.InvalidVmConfig{Property: "virtualDeviceSpec.device.backing"}}}
	}
	return nil
}
