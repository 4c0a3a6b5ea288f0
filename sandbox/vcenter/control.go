package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// control is how tests make things go wrong: by rules that strike calls of a method, and by privileges that the account lacks.
// What it was told is kept in a file, so that it outlives this process.
type control struct {
	file   string
	mutex  sync.Mutex
	wanted wishes
}

type wishes struct {
	Rules  []*rule  `json:"rules"`
	Denied []string `json:"deniedPrivileges"`
}

// rule is what happens to calls of a method.
type rule struct {
	Name   string `json:"name"`
	Method string `json:"method"`
	Object string `json:"object,omitempty"` // managed object id; any where absent
	Skip   int    `json:"skip,omitempty"`   // calls that pass first
	Times  int    `json:"times"`            // calls that it strikes
	Struck int    `json:"struck"`
	// When: "before" it takes effect, or "after", when only the answer is missing.
	When         string `json:"when"`
	Milliseconds int    `json:"milliseconds,omitempty"` // delay
	Hold         bool   `json:"hold,omitempty"`         // until the rule is gone
	Fault        string `json:"fault,omitempty"`        // type of the fault that is the answer; only before
}

func openControl(state string) (*control, error) {
	c := &control{file: filepath.Join(state, "control.json")}
	text, err := os.ReadFile(c.file)
	if os.IsNotExist(err) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	return c, json.Unmarshal(text, &c.wanted)
}

func (c *control) save() error {
	text, err := json.Marshal(c.wanted)
	if err != nil {
		return err
	}
	return writeAtomically(c.file, text)
}

// strike finds the rule that strikes a call, and counts it.
func (c *control) strike(method, when string, on types.ManagedObjectReference) *rule {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, one := range c.wanted.Rules {
		if one.Method != method || one.When != when || one.Object != "" && one.Object != on.Value || one.Struck >= one.Skip+one.Times {
			continue
		}
		one.Struck++
		if err := c.save(); err != nil {
			panic(err)
		}
		if one.Struck > one.Skip {
			return one
		}
	}
	return nil
}

func (c *control) suffer(struck *rule) {
	time.Sleep(time.Duration(struck.Milliseconds) * time.Millisecond)
	for struck.Hold && c.stands(struck) {
		time.Sleep(20 * time.Millisecond)
	}
}

func (c *control) stands(struck *rule) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return slices.Contains(c.wanted.Rules, struck)
}

func (c *control) before(method string, on types.ManagedObjectReference) types.BaseMethodFault {
	struck := c.strike(method, "before", on)
	if struck == nil {
		return nil
	}
	c.suffer(struck)
	return faultNamed(struck.Fault, on)
}

func (c *control) after(method string, on types.ManagedObjectReference) {
	if struck := c.strike(method, "after", on); struck != nil {
		c.suffer(struck)
	}
}

// faultNamed is a fault of that type about the object; nil where none is named.
func faultNamed(name string, on types.ManagedObjectReference) types.BaseMethodFault {
	switch name {
	case "":
		return nil
	case "TaskInProgress":
		return &types.TaskInProgress{Task: types.ManagedObjectReference{Type: "Task", Value: "task-0"}}
	case "ManagedObjectNotFound":
		return &types.ManagedObjectNotFound{Obj: on}
	}
	if kind, ok := types.TypeFunc()(name); ok {
		if fault, ok := reflect.New(kind).Interface().(types.BaseMethodFault); ok {
			return fault
		}
	}
	return systemError("no fault is called " + name)
}

// call is asked before every call; what runs as a task of ours is struck there.
func (c *control) call(_ *simulator.Context, m *simulator.Method) types.BaseMethodFault {
	if privilege, ok := privilegeOf[m.Name]; ok && c.lacks(privilege) {
		return &types.NoPermission{Object: &m.This, PrivilegeId: privilege}
	}
	if strings.HasSuffix(m.Name, "_Task") && taskOfOurs[m.Name] {
		return nil
	}
	return c.before(m.Name, m.This)
}

func (c *control) lacks(privilege string) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return slices.Contains(c.wanted.Denied, privilege)
}

// serve answers tests: POST /rules, /denied (a whole new list each), /options, /import; GET / and /vms tell what there is.
func (c *control) serve(b *bed, socket string) error {
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	set := func(path string, target func() any) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			err := json.NewDecoder(r.Body).Decode(target())
			if err == nil {
				err = c.save()
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		})
	}
	set("/rules", func() any { c.wanted.Rules = nil; return &c.wanted.Rules })
	set("/denied", func() any { c.wanted.Denied = nil; return &c.wanted.Denied })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		_ = json.NewEncoder(w).Encode(c.wanted) // who asked has gone
	})
	mux.HandleFunc("POST /import", b.importVm)
	mux.HandleFunc("GET /vms", b.listVms)
	mux.HandleFunc("POST /options", b.setOptions)
	go func() { _ = http.Serve(listener, mux) }() // ends with this process
	return nil
}
