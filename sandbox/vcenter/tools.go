package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// Switches of the simulator, each an entry of a VM's extraConfig, as no guest here runs VMware Tools.
const (
	// toolsOption: whether Tools run in the guest while the VM is on.
	toolsOption = "simulator.tools"
	// quiesceFailsOption: whether the guest's file systems cannot be brought to rest.
	quiesceFailsOption = "simulator.quiesceFails"
)

func (m *machine) toolsRun() bool { return m.running() && isTrue(m.option(toolsOption)) }

// showTools brings what the VM tells of its guest in line with the switch and its power.
func (m *machine) showTools(ctx *simulator.Context) {
	status, running := types.VirtualMachineToolsStatusToolsNotInstalled, types.VirtualMachineToolsRunningStatusGuestToolsNotRunning
	if isTrue(m.option(toolsOption)) {
		status = types.VirtualMachineToolsStatusToolsNotRunning
	}
	if m.toolsRun() {
		status, running = types.VirtualMachineToolsStatusToolsOk, types.VirtualMachineToolsRunningStatusGuestToolsRunning
	}
	ctx.Map.AtomicUpdate(ctx, m.VirtualMachine, []types.PropertyChange{
		{Name: "guest.toolsStatus", Val: status}, {Name: "guest.toolsRunningStatus", Val: string(running)},
		{Name: "summary.guest.toolsStatus", Val: status}, {Name: "summary.guest.toolsRunningStatus", Val: string(running)},
	})
}
