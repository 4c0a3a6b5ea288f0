package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// importVm puts a VM into the inventory whose disks' bytes are in the datastore already: its request is a
// VirtualMachineConfigSpec in the JSON of the VI JSON API, its disks with fileOperation "create" and the name of a descriptor
// whose flat file is there.
func (b *bed) importVm(w http.ResponseWriter, r *http.Request) {
	var spec types.VirtualMachineConfigSpec
	if err := types.NewJSONDecoder(r.Body).Decode(&spec); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx := b.context()
	dc := b.registry.Any("Datacenter").(*simulator.Datacenter)
	pool := b.registry.Any("ResourcePool").Reference()
	f := &folder{b.registry.Get(dc.VmFolder).(*simulator.Folder), b}
	body := f.CreateVMTask(ctx, &types.CreateVM_Task{This: f.Self, Config: spec, Pool: pool}).(*methods.CreateVM_TaskBody)
	result, fault := inner(ctx, body.Res.Returnval, body.Fault_)
	if fault != nil {
		http.Error(w, fmt.Sprintf("%T: %+v", fault, fault), http.StatusConflict)
		return
	}
	if r.URL.Query().Has("powerOn") {
		m := &machine{b.registry.Get(result.(types.ManagedObjectReference)).(*simulator.VirtualMachine), b}
		body := m.PowerOnVMTask(ctx, &types.PowerOnVM_Task{This: m.Self}).(*methods.PowerOnVM_TaskBody)
		if _, fault := inner(ctx, body.Res.Returnval, body.Fault_); fault != nil {
			http.Error(w, fmt.Sprintf("%T: %+v", fault, fault), http.StatusConflict)
			return
		}
	}
	_, _ = fmt.Fprint(w, result.(types.ManagedObjectReference).Value) // who asked has gone
}

// listVms tells of all VMs by what tests know them by.
func (b *bed) listVms(w http.ResponseWriter, _ *http.Request) {
	type one struct {
		Id           string `json:"id"`
		Name         string `json:"name"`
		InstanceUuid string `json:"instanceUuid"`
	}
	all := []one{}
	ctx := b.context()
	for _, found := range b.registry.All("VirtualMachine") {
		vm := found.(*simulator.VirtualMachine)
		ctx.Map.WithLock(ctx, vm, func() { all = append(all, one{vm.Self.Value, vm.Name, vm.Config.InstanceUuid}) })
	}
	_ = json.NewEncoder(w).Encode(all) // who asked has gone
}

// setOptions changes the extraConfig of a VM: {"vm": id, "options": {key: value}}.
func (b *bed) setOptions(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Vm      string            `json:"vm"`
		Options map[string]string `json:"options"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	vm, ok := b.registry.Get(types.ManagedObjectReference{Type: "VirtualMachine", Value: asked.Vm}).(*simulator.VirtualMachine)
	if !ok {
		http.Error(w, "no VM "+asked.Vm, http.StatusNotFound)
		return
	}
	var spec types.VirtualMachineConfigSpec
	for key, value := range asked.Options {
		spec.ExtraConfig = append(spec.ExtraConfig, &types.OptionValue{Key: key, Value: value})
	}
	m, ctx := &machine{vm, b}, b.context()
	body := m.ReconfigVMTask(ctx, &types.ReconfigVM_Task{This: vm.Self, Spec: spec}).(*methods.ReconfigVM_TaskBody)
	if _, fault := inner(ctx, body.Res.Returnval, body.Fault_); fault != nil {
		http.Error(w, fmt.Sprintf("%T: %+v", fault, fault), http.StatusConflict)
	}
}
