package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"culvert/aws/emulator"
	"culvert/internal/need"
)

// The far ends of the stories about proxies, by their ports in the task.
const (
	portOpen    = 4000 // Squid
	portClosed  = 3129 // Squid that lets alice in alone
	portSOCKS   = 1080
	portSecret  = 1081 // a SOCKS server that lets alice in alone
	portTiny    = 8118
	portHA      = 7777 // HAProxy before Squid
	portWeb     = 8080 // a web server
	portNothing = 9999 // an echo
)

// alicesPassword has in it what a URL, a shell and a config file take amiss.
const alicesPassword = "p@ss:w/rd %41&é;$HOME"

// TestStoriesOfProxies runs the scripts of testdata/proxies, behind whose account real proxies are: $WEB is a page that they
// reach.
func TestStoriesOfProxies(t *testing.T) {
	t.Parallel()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello from the VPC\n") }))
	t.Cleanup(page.Close)
	hosts := map[string]netip.Addr{"web.internal": netip.MustParseAddr("127.0.0.1")}
	port := netip.MustParseAddrPort(page.Listener.Addr().String()).Port()
	open := need.Squid(t, need.SquidConfig{Hosts: hosts})
	closed := need.Squid(t, need.SquidConfig{Hosts: hosts, Users: map[string]string{"alice": alicesPassword}})
	ports := map[uint16]string{
		portOpen: open.Addr.String(), portClosed: closed.Addr.String(), portHA: need.HAProxy(t, open.Addr).String(),
		portSOCKS: need.Microsocks(t, "", "").String(), portSecret: need.Microsocks(t, "alice", alicesPassword).String(),
		portTiny: need.Tinyproxy(t).String(), portWeb: page.Listener.Addr().String(), portNothing: need.Server(t, need.Echo),
	}
	p := stories("testdata/proxies")
	p.Setup = func(env *testscript.Env) error {
		if err := quiet(env); err != nil {
			return err
		}
		task := emulator.Task{Containers: []emulator.Container{{Name: "app", Ports: ports}}}
		e, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{Clusters: []emulator.Cluster{{
			Name: "c", Services: []emulator.Service{{Name: "s", Count: 1, Task: task}},
		}}}})
		if err != nil {
			return err
		}
		env.Defer(e.Close)
		env.Values[storyKey{}] = &story{account: e, spawned: map[string]*spawned{}}
		env.Vars = append(env.Vars, e.Env()...)
		env.Setenv("WEB", fmt.Sprintf("http://web.internal:%d/", port))
		env.Setenv("HERE", page.URL+"/")
		env.Setenv("SECRET", alicesPassword)
		path := env.WorkDir + "/password"
		env.Setenv("PASSWORD_FILE", path)
		return os.WriteFile(path, []byte(alicesPassword+"\n"), 0o600)
	}
	testscript.Run(t, p)
}
