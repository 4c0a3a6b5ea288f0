package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/vmware/govmomi/vim25/types"
)

// host is the process that runs machines and keeps their disks.
type host struct{ client *http.Client }

func newHost(socket string) *host {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &host{&http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// call has the host do something; a refusal is the fault that it names.
func (h *host) call(deed string, in, out any) types.BaseMethodFault {
	body, err := json.Marshal(in)
	if err != nil {
		return systemError(err.Error())
	}
	response, err := h.client.Post("http://host/"+deed, "application/json", bytes.NewReader(body))
	if err != nil {
		return &types.HostNotReachable{}
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return &types.HostNotReachable{}
	}
	if response.StatusCode != http.StatusOK {
		var refusal struct{ Fault, Message string }
		if err := json.Unmarshal(answer, &refusal); err != nil {
			return systemError(err.Error())
		}
		switch refusal.Fault {
		case "FileLocked":
			return &types.FileLocked{FileFault: types.FileFault{File: refusal.Message}}
		case "FileFault":
			return &types.FileFault{File: refusal.Message}
		case "FileNotFound":
			return &types.FileNotFound{FileFault: types.FileFault{File: refusal.Message}}
		}
		return systemError(fmt.Sprintf("%s: %s", deed, refusal.Message))
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			return systemError(err.Error())
		}
	}
	return nil
}

func systemError(reason string) types.BaseMethodFault { return &types.SystemError{Reason: reason} }
