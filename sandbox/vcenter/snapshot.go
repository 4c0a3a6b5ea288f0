package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

type snapshot struct {
	*simulator.VirtualMachineSnapshot
	bed *bed
}

func (m *machine) CreateSnapshotTask(ctx *simulator.Context, req *types.CreateSnapshot_Task) soap.HasFault {
	wanted := &types.CreateSnapshotEx_Task{This: req.This, Name: req.Name, Description: req.Description, Memory: req.Memory}
	if req.Quiesce {
		wanted.QuiesceSpec = &types.VirtualMachineGuestQuiesceSpec{}
	}
	return &methods.CreateSnapshot_TaskBody{Res: &types.CreateSnapshot_TaskResponse{Returnval: m.bed.work(ctx, m, "CreateSnapshot_Task", func() (types.AnyType, types.BaseMethodFault) {
		return m.takeSnapshot(ctx, wanted)
	})}}
}

func (m *machine) CreateSnapshotExTask(ctx *simulator.Context, req *types.CreateSnapshotEx_Task) soap.HasFault {
	return &methods.CreateSnapshotEx_TaskBody{Res: &types.CreateSnapshotEx_TaskResponse{Returnval: m.bed.work(ctx, m, "CreateSnapshotEx_Task", func() (types.AnyType, types.BaseMethodFault) {
		return m.takeSnapshot(ctx, req)
	})}}
}

// takeSnapshot freezes the files that the disks are in; the VM goes on in new ones that build on them.
func (m *machine) takeSnapshot(ctx *simulator.Context, req *types.CreateSnapshotEx_Task) (types.AnyType, types.BaseMethodFault) {
	if req.QuiesceSpec != nil {
		if !m.toolsRun() {
			req.QuiesceSpec = nil // without Tools it is ignored (VirtualMachine.createSnapshot, API reference)
		} else if isTrue(m.option(quiesceFailsOption)) {
			return nil, &types.ApplicationQuiesceFault{}
		}
	}
	if m.Snapshot != nil && depth(m.Snapshot.RootSnapshotList) >= deepest {
		return nil, &types.SnapshotFault{}
	}
	// First here, then at the host: what the host has and this does not would be nobody's.
	body := m.VirtualMachine.CreateSnapshotExTask(ctx, req).(*methods.CreateSnapshotEx_TaskBody)
	ref, fault := inner(ctx, body.Res.Returnval, body.Fault_)
	if fault != nil {
		return nil, fault
	}
	taken := ctx.Map.Get(ref.(types.ManagedObjectReference)).(*simulator.VirtualMachineSnapshot)
	m.bed.inventory.flush()
	var now layout
	tracking := m.Config.ChangeTrackingEnabled != nil && *m.Config.ChangeTrackingEnabled
	if fault := m.bed.host.call("snapshot", map[string]any{"machine": m.describe(), "snapshot": taken.Self.Value, "tracking": tracking}, &now); fault != nil {
		m.forget(ctx, taken)
		return nil, fault
	}
	m.adopt(ctx, now)
	return ref, nil
}

func (s *snapshot) RemoveSnapshotTask(ctx *simulator.Context, req *types.RemoveSnapshot_Task) soap.HasFault {
	vm := ctx.Map.Get(s.Vm).(*simulator.VirtualMachine)
	m := &machine{vm, s.bed}
	return &methods.RemoveSnapshot_TaskBody{Res: &types.RemoveSnapshot_TaskResponse{Returnval: s.bed.work(ctx, vm, "RemoveSnapshot_Task", func() (types.AnyType, types.BaseMethodFault) {
		if ctx.Map.Get(s.Self) == nil {
			return nil, &types.ManagedObjectNotFound{Obj: s.Self}
		}
		doomed := []types.ManagedObjectReference{s.Self}
		if req.RemoveChildren && vm.Snapshot != nil {
			doomed = append(doomed, below(vm.Snapshot.RootSnapshotList, s.Self)...)
		}
		return nil, m.removeSnapshots(ctx, doomed)
	})}}
}

func (m *machine) RemoveAllSnapshotsTask(ctx *simulator.Context, _ *types.RemoveAllSnapshots_Task) soap.HasFault {
	return &methods.RemoveAllSnapshots_TaskBody{Res: &types.RemoveAllSnapshots_TaskResponse{Returnval: m.bed.work(ctx, m, "RemoveAllSnapshots_Task", func() (types.AnyType, types.BaseMethodFault) {
		if m.Snapshot == nil {
			return nil, nil
		}
		return nil, m.removeSnapshots(ctx, snapshotsIn(m.Snapshot.RootSnapshotList))
	})}}
}

// removeSnapshots merges what was written since into the frozen files, the youngest first.
func (m *machine) removeSnapshots(ctx *simulator.Context, doomed []types.ManagedObjectReference) types.BaseMethodFault {
	for i := len(doomed) - 1; i >= 0; i-- {
		taken, ok := ctx.Map.Get(doomed[i]).(*simulator.VirtualMachineSnapshot)
		if !ok {
			continue
		}
		fault := m.merge(ctx, "unsnapshot", map[string]any{"machine": m.describe(), "snapshot": taken.Self.Value})
		m.forget(ctx, taken)
		if fault != nil {
			// As on vSphere: the snapshot is gone, its files are not.
			m.needsConsolidation(ctx, true)
			return fault
		}
	}
	return nil
}

func (m *machine) ConsolidateVMDisksTask(ctx *simulator.Context, _ *types.ConsolidateVMDisks_Task) soap.HasFault {
	return &methods.ConsolidateVMDisks_TaskBody{Res: &types.ConsolidateVMDisks_TaskResponse{Returnval: m.bed.work(ctx, m, "ConsolidateVMDisks_Task", func() (types.AnyType, types.BaseMethodFault) {
		if fault := m.merge(ctx, "consolidate", map[string]any{"machine": m.describe()}); fault != nil {
			return nil, fault
		}
		m.needsConsolidation(ctx, false)
		return nil, nil
	})}}
}

func (m *machine) needsConsolidation(ctx *simulator.Context, needed bool) {
	ctx.Map.AtomicUpdate(ctx, m.VirtualMachine, []types.PropertyChange{
		{Name: "runtime.consolidationNeeded", Val: needed}, {Name: "summary.runtime.consolidationNeeded", Val: needed}})
}

// merge has the host merge files, and follows it in the names of the disks.
func (m *machine) merge(ctx *simulator.Context, deed string, in any) types.BaseMethodFault {
	var now layout
	if fault := m.bed.host.call(deed, in, &now); fault != nil {
		return fault
	}
	m.adopt(ctx, now)
	return nil
}

// forget takes a snapshot out of the inventory.
func (m *machine) forget(ctx *simulator.Context, taken *simulator.VirtualMachineSnapshot) {
	// The simulator would delete the files that have the keys of the snapshot's in a list that it numbers anew: a disk's, then.
	ctx.Map.WithLock(ctx, m.VirtualMachine, func() { m.LayoutEx.Snapshot, m.Layout.Snapshot = nil, nil })
	body := taken.RemoveSnapshotTask(ctx, &types.RemoveSnapshot_Task{This: taken.Self}).(*methods.RemoveSnapshot_TaskBody)
	_, _ = inner(ctx, body.Res.Returnval, body.Fault_) // it has no way to fail
}

// deepest is how many snapshots a chain may have (vSphere configuration maximums).
const deepest = 32

func depth(tree []types.VirtualMachineSnapshotTree) (most int) {
	for _, node := range tree {
		most = max(most, 1+depth(node.ChildSnapshotList))
	}
	return most
}

// snapshotsIn are all snapshots of a tree, parents before children.
func snapshotsIn(tree []types.VirtualMachineSnapshotTree) (refs []types.ManagedObjectReference) {
	for _, node := range tree {
		refs = append(append(refs, node.Snapshot), snapshotsIn(node.ChildSnapshotList)...)
	}
	return refs
}

func below(tree []types.VirtualMachineSnapshotTree, of types.ManagedObjectReference) []types.ManagedObjectReference {
	for _, node := range tree {
		if node.Snapshot == of {
			return snapshotsIn(node.ChildSnapshotList)
		}
		if found := below(node.ChildSnapshotList, of); found != nil {
			return found
		}
	}
	return nil
}
