package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// inventory keeps VMs, their snapshots and folders on disk, as the simulator has them in memory only: each VM in a file of its
// own, written before a task that changes it is done. It is vCenter's database.
type inventory struct {
	bed       *bed
	directory string
	mutex     sync.Mutex
	dirty     map[types.ManagedObjectReference]bool
	writing   sync.Mutex
}

type vmRecord struct {
	Vm        mo.VirtualMachine           `json:"vm"`
	Snapshots []mo.VirtualMachineSnapshot `json:"snapshots"`
}

func newInventory(b *bed, state string) *inventory {
	return &inventory{bed: b, directory: filepath.Join(state, "inventory"), dirty: map[types.ManagedObjectReference]bool{}}
}

func (i *inventory) changed(ref types.ManagedObjectReference) {
	if ref.Type != "VirtualMachine" && ref.Type != "Folder" {
		return
	}
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.dirty[ref] = true
}

// start has what no task of ours changed written as well, soon.
func (i *inventory) start() {
	go func() {
		for {
			time.Sleep(50 * time.Millisecond)
			i.flush()
		}
	}()
}

// flush writes what has changed.
func (i *inventory) flush() {
	i.writing.Lock()
	defer i.writing.Unlock()
	i.mutex.Lock()
	dirty := i.dirty
	i.dirty = map[types.ManagedObjectReference]bool{}
	i.mutex.Unlock()
	for ref := range dirty {
		if err := i.write(ref); err != nil {
			log.Fatalf("inventory: %s: %s", ref, err) // what it says to have kept, it has
		}
	}
}

func (i *inventory) write(ref types.ManagedObjectReference) error {
	file := filepath.Join(i.directory, ref.Type+"-"+ref.Value+".json")
	ctx := i.bed.context()
	var content bytes.Buffer
	var err error
	switch object := ctx.Map.Get(ref).(type) {
	case nil:
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			return err
		}
		return nil
	case *simulator.VirtualMachine:
		ctx.Map.WithLock(ctx, object, func() {
			record := vmRecord{Vm: object.VirtualMachine}
			if object.Snapshot != nil {
				for _, ref := range snapshotsIn(object.Snapshot.RootSnapshotList) {
					if taken, ok := ctx.Map.Get(ref).(*simulator.VirtualMachineSnapshot); ok {
						record.Snapshots = append(record.Snapshots, taken.VirtualMachineSnapshot)
					}
				}
			}
			err = types.NewJSONEncoder(&content).Encode(record)
		})
	case *simulator.Folder:
		ctx.Map.WithLock(ctx, object, func() { err = types.NewJSONEncoder(&content).Encode(object.Folder) })
	}
	if err != nil {
		return err
	}
	return writeAtomically(file, content.Bytes())
}

// restore brings back what was written. What the host knows better, it is asked.
func (i *inventory) restore() error {
	if err := os.MkdirAll(i.directory, 0o700); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(i.directory, "*.json"))
	if err != nil {
		return err
	}
	var folders []mo.Folder
	var records []vmRecord
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		decoder := types.NewJSONDecoder(bytes.NewReader(content))
		if strings.HasPrefix(filepath.Base(name), "Folder-") {
			var one mo.Folder
			err = decoder.Decode(&one)
			folders = append(folders, one)
		} else {
			var one vmRecord
			err = decoder.Decode(&one)
			records = append(records, one)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	ctx := i.bed.context()
	// A folder's own number is larger than that of the folder it was made in.
	sort.Slice(folders, func(a, b int) bool { return number(folders[a].Self) < number(folders[b].Self) })
	for _, one := range folders {
		if ctx.Map.Get(one.Self) == nil && one.Parent != nil {
			one.ChildEntity = nil
			if err := putInto(ctx, *one.Parent, &simulator.Folder{Folder: one}); err != nil {
				return err
			}
		}
	}
	for _, record := range records {
		if err := i.restoreVm(ctx, record); err != nil {
			return err
		}
	}
	return ctx.Map.AlignCounter()
}

func number(ref types.ManagedObjectReference) (n int) {
	_, _ = fmt.Sscanf(strings.TrimLeft(ref.Value, "abcdefghijklmnopqrstuvwxyz-"), "%d", &n)
	return n
}

func putInto(ctx *simulator.Context, parent types.ManagedObjectReference, object mo.Entity) error {
	into, ok := ctx.Map.Get(parent).(*simulator.Folder)
	if !ok {
		return fmt.Errorf("inventory: %s has no folder %s", object.Reference(), parent)
	}
	into.ChildEntity = append(into.ChildEntity, object.Reference())
	ctx.Map.PutEntity(into, object)
	return nil
}

func (i *inventory) restoreVm(ctx *simulator.Context, record vmRecord) error {
	vm := &simulator.VirtualMachine{VirtualMachine: record.Vm, DataSets: map[string]*simulator.DataSet{}}
	if vm.Parent == nil {
		return fmt.Errorf("inventory: %s has no folder", vm.Self)
	}
	if err := putInto(ctx, *vm.Parent, vm); err != nil {
		return err
	}
	for _, one := range record.Snapshots {
		ctx.Map.Put(&simulator.VirtualMachineSnapshot{VirtualMachineSnapshot: one})
	}
	if host, ok := ctx.Map.Get(*vm.Runtime.Host).(*simulator.HostSystem); ok {
		host.Vm = append(host.Vm, vm.Self)
	}
	if pool, ok := ctx.Map.Get(*vm.ResourcePool).(*simulator.ResourcePool); ok {
		pool.Vm = append(pool.Vm, vm.Self)
	}
	for _, ref := range vm.Datastore {
		if ds, ok := ctx.Map.Get(ref).(*simulator.Datastore); ok {
			ds.Vm = append(ds.Vm, vm.Self)
		}
	}
	m := &machine{vm, i.bed}
	var now layout
	if fault := i.bed.host.call("resume", map[string]any{"machine": m.describe(), "running": m.running()}, &now); fault != nil {
		return fmt.Errorf("the host does not tell of %s: %T", vm.Name, fault)
	}
	for _, one := range record.Snapshots {
		if _, known := now.Snapshots[one.Self.Value]; !known { // cut off before the host had it, or when it was gone already
			m.forget(ctx, ctx.Map.Get(one.Self).(*simulator.VirtualMachineSnapshot))
		}
	}
	m.adopt(ctx, now)
	if !m.thisHost() {
		state := types.VirtualMachinePowerStatePoweredOff
		if now.Running {
			state = types.VirtualMachinePowerStatePoweredOn
		}
		m.setPower(ctx, state)
		if now.Running {
			go m.watch()
		}
	}
	i.changed(vm.Self)
	return nil
}
