package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// taskOfOurs are the methods that run as tasks by bed.work.
var taskOfOurs = map[string]bool{
	"CreateVM_Task": true, "Destroy_Task": true, "ReconfigVM_Task": true, "PowerOnVM_Task": true, "PowerOffVM_Task": true,
	"CreateSnapshot_Task": true, "CreateSnapshotEx_Task": true, "RemoveSnapshot_Task": true, "RemoveAllSnapshots_Task": true,
	"ConsolidateVMDisks_Task": true, "RevertToSnapshot_Task": true,
}

// privilegeOf is the privilege that a method asks for (vSphere Web Services API reference, "Required Privileges"); what depends
// on the arguments, as all of ReconfigVM_Task's does, is in configPrivileges.
var privilegeOf = map[string]string{
	"CreateVM_Task": "VirtualMachine.Inventory.Create", "Destroy_Task": "VirtualMachine.Inventory.Delete",
	"PowerOnVM_Task": "VirtualMachine.Interact.PowerOn", "PowerOffVM_Task": "VirtualMachine.Interact.PowerOff",
	"ShutdownGuest":       "VirtualMachine.Interact.PowerOff",
	"CreateSnapshot_Task": "VirtualMachine.State.CreateSnapshot", "CreateSnapshotEx_Task": "VirtualMachine.State.CreateSnapshot",
	"RemoveSnapshot_Task": "VirtualMachine.State.RemoveSnapshot", "RemoveAllSnapshots_Task": "VirtualMachine.State.RemoveSnapshot",
	"ConsolidateVMDisks_Task": "VirtualMachine.State.RemoveSnapshot", "RevertToSnapshot_Task": "VirtualMachine.State.RevertToSnapshot",
	"Rename_Task":           "VirtualMachine.Config.Rename",
	"QueryChangedDiskAreas": "VirtualMachine.Provisioning.DiskRandomRead",
}

// configPrivileges are those that the parts of a specification ask for (VirtualMachineConfigSpec, API reference).
func configPrivileges(spec *types.VirtualMachineConfigSpec) (asked []string) {
	need := func(is bool, privilege string) {
		if is {
			asked = append(asked, "VirtualMachine.Config."+privilege)
		}
	}
	need(spec.ChangeTrackingEnabled != nil, "ChangeTracking")
	need(spec.NumCPUs != 0, "CPUCount")
	need(spec.MemoryMB != 0, "Memory")
	need(len(spec.ExtraConfig) > 0, "AdvancedConfig")
	need(spec.Name != "" || spec.Annotation != "", "Rename")
	need(spec.Firmware != "" || spec.BootOptions != nil || spec.GuestId != "", "Settings")
	for _, change := range spec.DeviceChange {
		one := change.GetVirtualDeviceConfigSpec()
		_, disk := one.Device.(*types.VirtualDisk)
		add, remove := one.Operation == types.VirtualDeviceConfigSpecOperationAdd, one.Operation == types.VirtualDeviceConfigSpecOperationRemove
		need(disk && add && one.FileOperation != "", "AddNewDisk")
		need(disk && add && one.FileOperation == "", "AddExistingDisk")
		need(disk && remove, "RemoveDisk")
		need(!disk && (add || remove), "AddRemoveDevice")
		need(!add && !remove, "EditDevice")
	}
	return asked
}

// authorization answers by the privileges that the account lacks.
type authorization struct {
	*simulator.AuthorizationManager
	bed *bed
}

func (a *authorization) HasPrivilegeOnEntities(req *types.HasPrivilegeOnEntities) soap.HasFault {
	var found []types.EntityPrivilege
	for _, entity := range req.Entity {
		found = append(found, types.EntityPrivilege{Entity: entity, PrivAvailability: a.availability(req.PrivId)})
	}
	return &methods.HasPrivilegeOnEntitiesBody{Res: &types.HasPrivilegeOnEntitiesResponse{Returnval: found}}
}

func (a *authorization) HasPrivilegeOnEntity(req *types.HasPrivilegeOnEntity) soap.HasFault {
	var found []bool
	for _, one := range a.availability(req.PrivId) {
		found = append(found, one.IsGranted)
	}
	return &methods.HasPrivilegeOnEntityBody{Res: &types.HasPrivilegeOnEntityResponse{Returnval: found}}
}

func (a *authorization) HasUserPrivilegeOnEntities(req *types.HasUserPrivilegeOnEntities) soap.HasFault {
	var found []types.EntityPrivilege
	for _, entity := range req.Entities {
		found = append(found, types.EntityPrivilege{Entity: entity, PrivAvailability: a.availability(req.PrivId)})
	}
	return &methods.HasUserPrivilegeOnEntitiesBody{Res: &types.HasUserPrivilegeOnEntitiesResponse{Returnval: found}}
}

func (a *authorization) availability(privileges []string) (found []types.PrivilegeAvailability) {
	for _, one := range privileges {
		found = append(found, types.PrivilegeAvailability{PrivId: one, IsGranted: !a.bed.control.lacks(one)})
	}
	return found
}
