// A simulated vCenter whose VMs have bytes: govmomi's simulator answers the API, and what an ESXi host does to disks and
// power is done by a process beside it, asked over a unix socket (one JSON POST for each deed).
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address of the API")
	hostSocket := flag.String("host", "", "unix socket of the host process")
	controlSocket := flag.String("control", "", "unix socket on which tests are served")
	state := flag.String("state", "", "directory of the inventory, the certificate and the switches of tests")
	store := flag.String("datastore", "", "directory of the datastore")
	user := flag.String("user", "", "")
	password := flag.String("password", "", "")
	portGroups := flag.String("port-groups", "", "names of networks that there are beside the simulator's own, by commas")
	plain := flag.Bool("plain", false, "the simulator as it comes, with nothing of ours")
	flag.Parse()

	certificate, err := ensureCertificate(*state)
	if err != nil {
		log.Fatal(err)
	}
	model := simulator.VPX()
	model.Machine, model.Host, model.ClusterHost = 0, 0, 1
	model.ServiceContent.About.Version, model.ServiceContent.About.ApiVersion = "8.0.3", "8.0.3.0"
	if err := model.Create(); err != nil {
		log.Fatal(err)
	}
	registry := model.Map()
	for _, found := range registry.All("Datastore") {
		ds := found.(*simulator.Datastore)
		ds.Summary.Url, ds.Info.GetDatastoreInfo().Url = *store, *store
	}
	if *portGroups != "" {
		if err := addPortGroups(registry, strings.Split(*portGroups, ",")); err != nil {
			log.Fatal(err)
		}
	}
	if !*plain {
		if err := startBed(model, newHost(*hostSocket), *state, *controlSocket); err != nil {
			log.Fatal(err)
		}
	}
	service := model.Service
	service.RegisterEndpoints = true // tags and the like
	service.Listen = &url.URL{Host: *listen, User: url.UserPassword(*user, *password)}
	service.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	service.ServeMux = http.NewServeMux()
	server := service.NewServer()
	if !*plain {
		server.Config.Handler = ordered(guarded(server.Config.Handler, *user, *password))
	}
	fmt.Println(server.URL.Host)

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	go func() { // whoever started it has gone, by whatever death
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop <- syscall.SIGTERM
	}()
	<-stop
	// Not server.Close(), which waits for those who wait for updates.
	model.Remove()
}
