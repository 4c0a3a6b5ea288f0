package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// machine is a VM whose power and disks are the host's.
type machine struct {
	*simulator.VirtualMachine
	bed *bed
}

// thisHostOption marks the VM that stands for the machine which this program itself runs on, as a backup proxy is a VM of the
// site: nothing is started for it, and its disks appear as devices here.
const thisHostOption = "simulator.thisHost"

type nicOf struct {
	Mac     string `json:"mac"`
	Network string `json:"network"`
}

type machineOf struct {
	Vm       string   `json:"vm"`
	Name     string   `json:"name"`
	Instance string   `json:"instanceUuid"`
	Cpus     int32    `json:"cpus"`
	MiB      int32    `json:"memoryMiB"`
	Firmware string   `json:"firmware"`
	Nics     []nicOf  `json:"nics"`
	Disks    []diskOf `json:"disks"`
	Serial   string   `json:"serialFile"` // what the first serial port writes to; empty without one
	ThisHost bool     `json:"thisHost"`
	ShowsIds bool     `json:"showsIds"` // disk.EnableUUID
}

func (m *machine) option(key string) string {
	for _, option := range m.Config.ExtraConfig {
		if o := option.GetOptionValue(); o.Key == key {
			value, _ := o.Value.(string)
			return value
		}
	}
	return ""
}

func isTrue(text string) bool {
	return text == "TRUE" || text == "true" || text == "True" || text == "1"
}

func (m *machine) thisHost() bool { return isTrue(m.option(thisHostOption)) }

func (m *machine) describe() machineOf {
	d := machineOf{Vm: m.Self.Value, Name: m.Name, Instance: m.Config.InstanceUuid, Cpus: m.Config.Hardware.NumCPU, MiB: m.Config.Hardware.MemoryMB, Firmware: m.Config.Firmware,
		ThisHost: m.thisHost(), ShowsIds: isTrue(m.option("disk.EnableUUID")), Nics: []nicOf{}, Disks: []diskOf{}}
	for _, device := range m.Config.Hardware.Device {
		if disk, ok := m.disk(device); ok {
			d.Disks = append(d.Disks, disk)
		}
		if card, ok := device.(types.BaseVirtualEthernetCard); ok {
			d.Nics = append(d.Nics, nicOf{card.GetVirtualEthernetCard().MacAddress, m.network(card)})
		}
		if port, ok := device.(*types.VirtualSerialPort); ok && d.Serial == "" {
			if file, ok := port.Backing.(types.BaseVirtualDeviceFileBackingInfo); ok {
				d.Serial = path(m.bed.registry, file.GetVirtualDeviceFileBackingInfo().FileName)
			}
		}
	}
	return d
}

func (m *machine) network(card types.BaseVirtualEthernetCard) string {
	switch backing := card.GetVirtualEthernetCard().Backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		return backing.DeviceName
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		ref := types.ManagedObjectReference{Type: "DistributedVirtualPortgroup", Value: backing.Port.PortgroupKey}
		if group, ok := m.bed.registry.Get(ref).(*simulator.DistributedVirtualPortgroup); ok {
			return group.Name
		}
	}
	return ""
}

func (m *machine) directory() string {
	return filepath.Dir(path(m.bed.registry, m.Config.Files.VmPathName))
}

func (m *machine) running() bool {
	return m.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
}

func (m *machine) powerFault(wanted types.VirtualMachinePowerState) types.BaseMethodFault {
	return &types.InvalidPowerState{RequestedState: wanted, ExistingState: m.Runtime.PowerState}
}

func (m *machine) setPower(ctx *simulator.Context, state types.VirtualMachinePowerState) {
	changes := []types.PropertyChange{{Name: "runtime.powerState", Val: state}, {Name: "summary.runtime.powerState", Val: state}}
	if state == types.VirtualMachinePowerStatePoweredOn {
		changes = append(changes, types.PropertyChange{Name: "runtime.bootTime", Val: time.Now()})
	}
	ctx.Map.AtomicUpdate(ctx, m.VirtualMachine, changes)
	m.showTools(ctx)
}

func (m *machine) PowerOnVMTask(ctx *simulator.Context, _ *types.PowerOnVM_Task) soap.HasFault {
	return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: m.bed.work(ctx, m, "PowerOnVM_Task", func() (types.AnyType, types.BaseMethodFault) {
		if m.running() {
			return nil, m.powerFault(types.VirtualMachinePowerStatePoweredOn)
		}
		if fault := m.allowedAddresses(); fault != nil {
			return nil, fault
		}
		d := m.describe()
		if fault := m.bed.host.call("powerOn", d, nil); fault != nil {
			return nil, fault
		}
		m.setPower(ctx, types.VirtualMachinePowerStatePoweredOn)
		go m.watch()
		return nil, nil
	})}}
}

// allowedAddresses: of VMware's own addresses a person may give those from 00:50:56:00:00:00 to 00:50:56:3f:ff:ff alone
// (vSphere Networking, "Assign MAC Addresses Statically"); a VM with another does not start, unless it is told not to look.
func (m *machine) allowedAddresses() types.BaseMethodFault {
	at := 0
	for _, device := range m.Config.Hardware.Device {
		card, ok := device.(types.BaseVirtualEthernetCard)
		if !ok {
			continue
		}
		mac := strings.ToLower(card.GetVirtualEthernetCard().MacAddress)
		unchecked := strings.EqualFold(m.option(fmt.Sprintf("ethernet%d.checkMACAddress", at)), "FALSE")
		at++
		if card.GetVirtualEthernetCard().AddressType == string(types.VirtualEthernetCardMacTypeManual) && !unchecked &&
			strings.HasPrefix(mac, "00:50:56:") && mac[9:] >= "40" {
			return &types.GenericVmConfigFault{Reason: mac + " is not an allowed static Ethernet address."}
		}
	}
	return nil
}

// watch waits for the machine's end, whoever caused it.
func (m *machine) watch() {
	for m.bed.host.call("wait", m.describe(), nil) != nil { // the host is away
		if m.bed.registry.Get(m.Self) == nil {
			return
		}
		time.Sleep(time.Second)
	}
	m.setPower(m.bed.context(), types.VirtualMachinePowerStatePoweredOff)
	m.bed.inventory.flush()
}

func (m *machine) PowerOffVMTask(ctx *simulator.Context, _ *types.PowerOffVM_Task) soap.HasFault {
	return &methods.PowerOffVM_TaskBody{Res: &types.PowerOffVM_TaskResponse{Returnval: m.bed.work(ctx, m, "PowerOffVM_Task", func() (types.AnyType, types.BaseMethodFault) {
		if !m.running() {
			return nil, m.powerFault(types.VirtualMachinePowerStatePoweredOff)
		}
		if fault := m.bed.host.call("powerOff", m.describe(), nil); fault != nil {
			return nil, fault
		}
		m.setPower(ctx, types.VirtualMachinePowerStatePoweredOff)
		return nil, nil
	})}}
}

func (m *machine) ShutdownGuest(ctx *simulator.Context, _ *types.ShutdownGuest) soap.HasFault {
	body := new(methods.ShutdownGuestBody)
	if !m.running() {
		body.Fault_ = simulator.Fault("", m.powerFault(types.VirtualMachinePowerStatePoweredOn))
	} else if !m.toolsRun() {
		body.Fault_ = simulator.Fault("Cannot complete operation because VMware Tools is not running in this virtual machine.", &types.ToolsUnavailable{})
	} else if fault := m.bed.host.call("shutdown", m.describe(), nil); fault != nil {
		body.Fault_ = simulator.Fault("", fault)
	} else {
		body.Res = new(types.ShutdownGuestResponse)
	}
	return body
}

func (m *machine) DestroyTask(ctx *simulator.Context, req *types.Destroy_Task) soap.HasFault {
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: m.bed.work(ctx, m, "Destroy_Task", func() (types.AnyType, types.BaseMethodFault) {
		if m.running() {
			return nil, m.powerFault(types.VirtualMachinePowerStatePoweredOff)
		}
		if fault := m.bed.host.call("destroy", m.describe(), nil); fault != nil {
			return nil, fault
		}
		body := m.VirtualMachine.DestroyTask(ctx, req).(*methods.Destroy_TaskBody)
		return inner(ctx, body.Res.Returnval, body.Fault_)
	})}}
}
