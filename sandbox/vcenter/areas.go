package main

import (
	"fmt"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// QueryChangedDiskAreas is not part of the simulator.
func (m *machine) QueryChangedDiskAreas(ctx *simulator.Context, req *types.QueryChangedDiskAreas) soap.HasFault {
	body := new(methods.QueryChangedDiskAreasBody)
	refuse := func(fault types.BaseMethodFault, message string) soap.HasFault {
		body.Fault_ = simulator.Fault(message, fault)
		return body
	}
	wrong := func(property string) soap.HasFault {
		return refuse(&types.InvalidArgument{InvalidProperty: property}, "A specified parameter was not correct: "+property)
	}
	if req.Snapshot == nil {
		return wrong("snapshot") // of a VM that runs as it is now, nothing can be told
	}
	taken, ok := ctx.Map.Get(*req.Snapshot).(*simulator.VirtualMachineSnapshot)
	if !ok {
		return refuse(&types.ManagedObjectNotFound{Obj: *req.Snapshot}, "")
	}
	if taken.Vm != m.Self {
		return wrong("snapshot")
	}
	for _, device := range taken.Config.Hardware.Device {
		disk, backing := flat(device)
		if backing == nil || disk.Key != req.DeviceKey {
			continue
		}
		if req.StartOffset < 0 || req.StartOffset >= disk.CapacityInBytes {
			return wrong("startOffset")
		}
		if backing.ChangeId == "" { // it was taken without change tracking
			return refuse(&types.FileFault{File: backing.FileName}, fmt.Sprintf("Error caused by file %s", backing.FileName))
		}
		of, _ := m.disk(device)
		var answer struct {
			Length int64
			Areas  []struct{ Offset, Length int64 }
		}
		query := map[string]any{"machine": m.describe(), "snapshot": taken.Self.Value, "disk": of, "changeId": req.ChangeId, "startOffset": req.StartOffset}
		if fault := m.bed.host.call("areas", query, &answer); fault != nil {
			return refuse(fault, fmt.Sprintf("Error caused by file %s", backing.FileName))
		}
		info := types.DiskChangeInfo{StartOffset: req.StartOffset, Length: answer.Length}
		for _, area := range answer.Areas {
			info.ChangedArea = append(info.ChangedArea, types.DiskChangeExtent{Start: area.Offset, Length: area.Length})
		}
		body.Res = &types.QueryChangedDiskAreasResponse{Returnval: info}
		return body
	}
	return wrong("deviceKey")
}
