package main

import (
	"fmt"
	"net/url"
	"strings"
	"syscall"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// folder refuses what vCenter refuses: two VMs of one name in it.
type folder struct {
	*simulator.Folder
	bed *bed
}

// escaped is how vCenter writes names; one that has been escaped already is not, by the API.
func escaped(name string) string {
	for _, character := range []string{"%", "/", "\\"} {
		name = strings.ReplaceAll(name, character, strings.ToLower(url.QueryEscape(character)))
	}
	return name
}

func (f *folder) CreateVMTask(ctx *simulator.Context, req *types.CreateVM_Task) soap.HasFault {
	return &methods.CreateVM_TaskBody{Res: &types.CreateVM_TaskResponse{Returnval: f.bed.work(ctx, f, "CreateVM_Task", func() (types.AnyType, types.BaseMethodFault) {
		return f.create(ctx, req)
	})}}
}

func (f *folder) create(ctx *simulator.Context, req *types.CreateVM_Task) (types.AnyType, types.BaseMethodFault) {
	// What is escaped already stays as it is (VirtualMachineConfigSpec.name, API reference); the simulator escapes it again.
	req.Config.Name = plainName(req.Config.Name)
	if child := named(ctx, f.Folder, req.Config.Name); child != nil {
		return nil, &types.DuplicateName{Name: req.Config.Name, Object: *child}
	}
	for _, change := range req.Config.DeviceChange {
		if fault := knownNetwork(ctx, change.GetVirtualDeviceConfigSpec()); fault != nil {
			return nil, fault
		}
	}
	if fault := ownSlots(nil, req.Config.DeviceChange); fault != nil {
		return nil, fault
	}
	identify(req.Config.DeviceChange)
	if instanceUuidTaken(ctx, req.Config.InstanceUuid) {
		req.Config.InstanceUuid = "" // vCenter gives it another (VirtualMachineConfigInfo.instanceUuid, API reference)
	}
	if req.Config.InstanceUuid == "" {
		req.Config.InstanceUuid = uuid.NewString() // the simulator's own is a hash of the path
	}
	if req.Config.Uuid == "" {
		req.Config.Uuid = uuid.NewString()
	}
	body := f.Folder.CreateVMTask(ctx, req).(*methods.CreateVM_TaskBody)
	if body.Fault_ != nil {
		return inner(ctx, types.ManagedObjectReference{}, body.Fault_)
	}
	result, fault := inner(ctx, body.Res.Returnval, nil)
	if fault != nil {
		return nil, fault
	}
	vm := ctx.Map.Get(result.(types.ManagedObjectReference)).(*simulator.VirtualMachine)
	m := &machine{vm, f.bed}
	ctx.Map.WithLock(ctx, vm, func() {
		// Enumerations that may not be empty: the simulator leaves them so.
		vm.Runtime.FaultToleranceState = types.VirtualMachineFaultToleranceStateNotConfigured
		vm.Runtime.RecordReplayState = types.VirtualMachineRecordReplayStateInactive
		vm.Summary.Runtime = vm.Runtime
		vm.Capability.ChangeTrackingSupported = true
	})
	m.showTools(ctx)
	return result, trueSizes(m, req.Config.DeviceChange)
}

// named is the child of a folder that has a name.
func named(ctx *simulator.Context, in *simulator.Folder, name string) *types.ManagedObjectReference {
	for _, child := range in.ChildEntity {
		if entity, ok := ctx.Map.Get(child).(mo.Entity); ok && entity.Entity().Name == escaped(name) {
			return &child
		}
	}
	return nil
}

// plainName is a name without its escapes.
func plainName(name string) string {
	return strings.NewReplacer("%25", "%", "%2f", "/", "%2F", "/", "%5c", "\\", "%5C", "\\").Replace(name)
}

func instanceUuidTaken(ctx *simulator.Context, wanted string) bool {
	for _, found := range ctx.Map.All("VirtualMachine") {
		if wanted != "" && found.(*simulator.VirtualMachine).Config.InstanceUuid == wanted {
			return true
		}
	}
	return false
}

// datastore tells the space that there is.
type datastore struct{ *simulator.Datastore }

func (d *datastore) RefreshDatastore(ctx *simulator.Context, _ *types.RefreshDatastore) soap.HasFault {
	if err := d.measure(ctx); err != nil {
		return &methods.RefreshDatastoreBody{Fault_: simulator.Fault(err.Error(), &types.HostConfigFault{})}
	}
	return &methods.RefreshDatastoreBody{Res: new(types.RefreshDatastoreResponse)}
}

func (d *datastore) measure(ctx *simulator.Context) error {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(d.Summary.Url, &stat); err != nil {
		return err
	}
	ctx.Map.AtomicUpdate(ctx, d.Datastore, []types.PropertyChange{
		{Name: "summary.freeSpace", Val: int64(stat.Bavail) * stat.Bsize},
		{Name: "summary.capacity", Val: int64(stat.Blocks) * stat.Bsize},
	})
	return nil
}

// addPortGroups makes networks, on the switch that every host has.
func addPortGroups(registry *simulator.Registry, names []string) error {
	ctx := newContext(registry)
	host := registry.Any("HostSystem").(*simulator.HostSystem)
	network := registry.Get(*host.ConfigManager.NetworkSystem).(*simulator.HostNetworkSystem)
	for _, name := range names {
		answer := network.AddPortGroup(ctx, &types.AddPortGroup{Portgrp: types.HostPortGroupSpec{Name: name, VswitchName: "vSwitch0"}})
		if answer.Fault() != nil {
			return fmt.Errorf("network %s: %T", name, answer.Fault().VimFault())
		}
	}
	return nil
}
