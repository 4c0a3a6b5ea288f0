package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// bed is what stands around the simulator. It has our methods answer calls: the objects in the simulator's registry stay its
// own, as its code asserts their types; a session's registry goes before that, so the objects that wrap them are put there.
// (Registry.Handler would be the place, but v0.56.0 looks the object up again after it for whoever has logged in.)
type bed struct {
	host       *host
	registry   *simulator.Registry
	inventory  *inventory
	control    *control
	turns      sync.Map
	taskNumber atomic.Int64
	mutex      sync.Mutex
	sessions   map[*simulator.Registry]bool
}

func startBed(model *simulator.Model, esx *host, state, controlSocket string) error {
	b := &bed{host: esx, registry: model.Map(), sessions: map[*simulator.Registry]bool{}}
	var err error
	if b.control, err = openControl(state); err != nil {
		return err
	}
	for _, found := range b.registry.All("Datastore") {
		if err := (&datastore{found.(*simulator.Datastore)}).measure(b.context()); err != nil {
			return err
		}
	}
	b.inventory = newInventory(b, state)
	if err := b.inventory.restore(); err != nil {
		return err
	}
	b.registry.Handler = b.handle
	b.registry.AddHandler(b)
	b.inventory.start()
	return b.control.serve(b, controlSocket)
}

// context is that of what this program does by itself. Each has a lock owner of its own.
func (b *bed) context() *simulator.Context { return newContext(b.registry) }

func newContext(registry *simulator.Registry) *simulator.Context {
	session := &simulator.Session{UserSession: types.UserSession{Key: "bed", UserName: "bed"}, Registry: simulator.NewRegistry(), Map: registry}
	return &simulator.Context{Context: context.Background(), Map: registry, Session: session}
}

func (b *bed) handle(ctx *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Session == nil {
		return nil, nil
	}
	b.wrap(ctx, m.This)
	return nil, b.control.call(ctx, m)
}

func (b *bed) wrap(ctx *simulator.Context, this types.ManagedObjectReference) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	session := ctx.Session.Registry
	if session.Get(this) != nil {
		return
	}
	b.sessions[session] = true
	switch object := ctx.Map.Get(this).(type) {
	case *simulator.VirtualMachine:
		session.Put(&machine{object, b})
	case *simulator.VirtualMachineSnapshot:
		session.Put(&snapshot{object, b})
	case *simulator.Folder:
		session.Put(&folder{object, b})
	case *simulator.Datastore:
		session.Put(&datastore{object})
	case *simulator.AuthorizationManager:
		session.Put(&authorization{object, b})
	}
}

func (b *bed) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "Bed", Value: "bed"}
}

func (b *bed) PutObject(_ *simulator.Context, object mo.Reference) {
	b.inventory.changed(object.Reference())
}

func (b *bed) UpdateObject(_ *simulator.Context, object mo.Reference, _ []types.PropertyChange) {
	b.inventory.changed(object.Reference())
}

// RemoveObject takes the wrapping objects away with what they wrap.
func (b *bed) RemoveObject(ctx *simulator.Context, ref types.ManagedObjectReference) {
	b.inventory.changed(ref)
	b.turns.Delete(ref)
	if !slices.Contains(wrapped, ref.Type) {
		return // what a session has for itself, such as its views
	}
	b.mutex.Lock()
	var having []*simulator.Registry
	for session := range b.sessions {
		if session.Get(ref) != nil {
			having = append(having, session)
		}
	}
	b.mutex.Unlock()
	for _, session := range having {
		session.Remove(ctx, ref)
	}
}

// wrapped are the types of objects that ours stand before.
var wrapped = []string{"VirtualMachine", "VirtualMachineSnapshot", "Folder", "Datastore", "AuthorizationManager"}
