package main

import (
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// layout is what the host tells of a VM: the files that each disk consists of, by the disk's key, as base names from the first
// one to that which the disk is in, and the same for its snapshots. The host is right, as an ESXi host is towards vCenter.
type layout struct {
	Running   bool               `json:"running"`
	Disks     map[int32][]string `json:"disks"`
	Snapshots map[string]struct {
		Disks     map[int32][]string `json:"disks"`
		ChangeIds map[int32]string   `json:"changeIds"` // of disks with change tracking
	} `json:"snapshots"`
}

// adopt has the VM and its snapshots name the files that the host names.
func (m *machine) adopt(ctx *simulator.Context, now layout) {
	m.rewrite(ctx, func(disk *types.VirtualDisk, backing *types.VirtualDiskFlatVer2BackingInfo) {
		consist(backing, now.Disks[disk.Key])
	})
	if m.Snapshot == nil {
		return
	}
	for _, ref := range snapshotsIn(m.Snapshot.RootSnapshotList) {
		taken, ok := ctx.Map.Get(ref).(*simulator.VirtualMachineSnapshot)
		known, told := now.Snapshots[ref.Value]
		if !ok || !told {
			continue
		}
		ctx.Map.WithLock(ctx, taken, func() {
			for _, device := range taken.Config.Hardware.Device {
				if disk, backing := flat(device); backing != nil {
					consist(backing, known.Disks[disk.Key])
					backing.ChangeId = known.ChangeIds[disk.Key]
				}
			}
		})
		m.bed.inventory.changed(m.Self)
	}
}

// consist has a backing be the last of the files, which builds on those before. Of disks without any nothing is known.
func consist(backing *types.VirtualDiskFlatVer2BackingInfo, files []string) {
	if len(files) == 0 {
		return
	}
	like, directory := *backing, backing.FileName
	var parent *types.VirtualDiskFlatVer2BackingInfo
	for _, file := range files {
		one := like
		one.FileName, one.Parent = beside(directory, file), parent
		parent = &one
	}
	*backing = *parent
}

// beside is the name of a file in the directory of another.
func beside(name, file string) string { return name[:strings.LastIndexAny(name, "/]")+1] + file }
