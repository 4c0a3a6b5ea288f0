package main

import (
	"strconv"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// work runs a deed as a task of the object. Unlike a task of the simulator it does not hold the object's lock, so that the
// object can be read meanwhile, as it can on vCenter; deeds on one object come one after another.
func (b *bed) work(ctx *simulator.Context, on mo.Reference, method string, deed func() (types.AnyType, types.BaseMethodFault)) types.ManagedObjectReference {
	self := on.Reference()
	turn := b.turn(self)
	task := simulator.CreateTask(self, method, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		turn.Lock()
		defer turn.Unlock()
		if fault := b.control.before(method, self); fault != nil {
			return nil, fault
		}
		result, fault := deed()
		b.inventory.flush()
		b.control.after(method, self)
		return result, fault
	})
	task.Info.Name = method // the method's, as vCenter has it; the simulator would write it otherwise
	// It locks what is named as its entity when it begins to run.
	task.Info.Entity = &types.ManagedObjectReference{Type: "Turn", Value: strconv.FormatInt(b.taskNumber.Add(1), 10)}
	ref := task.Run(ctx)
	ctx.Map.WithLock(ctx, task, func() { task.Info.Entity = &self })
	b.noteTask(ctx, self, ref)
	return ref
}

// remembered is how many tasks an object lists; vCenter's own limit is one of time.
const remembered = 20

// noteTask lists a task as one of an object's recent ones, as the simulator does by the entity that ours has not had.
func (b *bed) noteTask(ctx *simulator.Context, on, task types.ManagedObjectReference) {
	object, ok := ctx.Map.Get(on).(mo.Entity)
	if !ok {
		return
	}
	ctx.WithLock(object, func() {
		recent := append(object.Entity().RecentTask, task)
		if len(recent) > remembered {
			recent = recent[len(recent)-remembered:]
		}
		ctx.Update(object, []types.PropertyChange{{Name: "recentTask", Val: recent}})
	})
}

func (b *bed) turn(ref types.ManagedObjectReference) *sync.Mutex {
	turn, _ := b.turns.LoadOrStore(ref, new(sync.Mutex))
	return turn.(*sync.Mutex)
}

// inner waits for a task that govmomi's own method has begun, inside a task of ours.
func inner(ctx *simulator.Context, ref types.ManagedObjectReference, fault *soap.Fault) (types.AnyType, types.BaseMethodFault) {
	if fault != nil {
		return nil, fault.VimFault().(types.BaseMethodFault)
	}
	task := ctx.Map.Get(ref).(*simulator.Task)
	task.Wait()
	if task.Info.Error != nil {
		return nil, task.Info.Error.Fault
	}
	return task.Info.Result, nil
}
