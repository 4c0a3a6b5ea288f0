package main

import (
	"bytes"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// RevertToSnapshotTask throws away what was written since, and gives the VM the configuration that it had. Whoever asks for it has
// taken the VM's power: a snapshot without memory is of a VM that is off.
func (s *snapshot) RevertToSnapshotTask(ctx *simulator.Context, req *types.RevertToSnapshot_Task) soap.HasFault {
	vm := ctx.Map.Get(s.Vm).(*simulator.VirtualMachine)
	m := &machine{vm, s.bed}
	return &methods.RevertToSnapshot_TaskBody{Res: &types.RevertToSnapshot_TaskResponse{Returnval: s.bed.work(ctx, vm, "RevertToSnapshot_Task", func() (types.AnyType, types.BaseMethodFault) {
		if ctx.Map.Get(s.Self) == nil {
			return nil, &types.ManagedObjectNotFound{Obj: s.Self}
		}
		if m.running() {
			return nil, m.powerFault(types.VirtualMachinePowerStatePoweredOff)
		}
		var now layout
		if fault := m.bed.host.call("revert", map[string]any{"machine": m.describe(), "snapshot": s.Self.Value}, &now); fault != nil {
			return nil, fault
		}
		before, err := copyOf(s.Config)
		if err != nil {
			return nil, systemError(err.Error())
		}
		body := s.VirtualMachineSnapshot.RevertToSnapshotTask(ctx, req).(*methods.RevertToSnapshot_TaskBody)
		if _, fault := inner(ctx, body.Res.Returnval, body.Fault_); fault != nil {
			return nil, fault
		}
		ctx.Map.AtomicUpdate(ctx, m.VirtualMachine, []types.PropertyChange{
			{Name: "config", Val: before},
			{Name: "summary.config.numCpu", Val: before.Hardware.NumCPU},
			{Name: "summary.config.memorySizeMB", Val: before.Hardware.MemoryMB}})
		m.adopt(ctx, now)
		return nil, nil
	})}}
}

// copyOf is a configuration of its own: a snapshot's stays what it is when the VM's changes.
func copyOf(config types.VirtualMachineConfigInfo) (*types.VirtualMachineConfigInfo, error) {
	var content bytes.Buffer
	if err := types.NewJSONEncoder(&content).Encode(config); err != nil {
		return nil, err
	}
	copied := new(types.VirtualMachineConfigInfo)
	return copied, types.NewJSONDecoder(&content).Decode(copied)
}
