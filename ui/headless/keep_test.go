package headless_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/tunnel/front"
	"culvert/ui/control"
	"culvert/ui/headless"
)

// holding is a set of a short path, as sockets want it.
func holding(t *testing.T, name string) headless.Holding {
	t.Helper()
	root, err := os.MkdirTemp("", "keep") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	h := headless.Holding{Dir: control.Dir{Runtime: filepath.Join(root, "run"), State: root}}
	if err := h.Dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	h.Record = control.Record{Name: name, Process: control.Self(), Log: h.Dir.Log(name)}
	if err := h.Dir.Write(h.Record); err != nil {
		t.Fatal(err)
	}
	return h
}

// opened is a tunnel to a port of the account's task.
func opened(t *testing.T, e *tunnel.Engine, client *aws.Client, port uint16) headless.Kept {
	t.Helper()
	target, err := client.Lookup(t.Context(), aws.Query{Cluster: "c", Service: "s", Port: port})
	if err != nil {
		t.Fatal(err)
	}
	tn, err := e.Open(tunnel.Spec{Target: target, Remote: tunnel.Endpoint{Port: port}})
	if err != nil {
		t.Fatal(err)
	}
	return headless.Kept{Tunnel: tn, Engine: e}
}

// fetch asks a tunnel's server for something over a connection of its own.
func fetch(t *testing.T, k headless.Kept) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(fmt.Sprintf("http://%s/", k.Tunnel.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
}

// until asks for the set until it is as wanted.
func until(t *testing.T, h headless.Holding, what string, is func(control.Set) bool) control.Set {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		s, err := h.Dir.Set(t.Context(), h.Record.Name)
		if err == nil && is(s) {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("not %s: %+v, %v", what, s, err)
		}
	}
}

// Tunnels of two accounts and one that answers nothing go on as one set, with what was counted before; none is counted twice
// and none is forgotten.
func TestKeptTunnelsGoOnAsOneSet(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(server.Close)
	task := emulator.Task{Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{8080: server.Listener.Addr().String(), 9090: need.FreeAddress(t)}}}}
	one, oneClient := serviceOf(t, task)
	two, twoClient := serviceOf(t, task)
	first := tunnel.New(tunnel.Options{Client: oneClient})
	web, dead := opened(t, first, oneClient, 8080), opened(t, first, oneClient, 9090)
	other := opened(t, tunnel.New(tunnel.Options{Client: twoClient}), twoClient, 8080)

	for range 3 {
		fetch(t, web)
	}
	seen := web.Tunnel.Connections()
	if len(seen) < 2 {
		t.Fatalf("got %d connections, want them all", len(seen))
	}
	web.Hosts = []control.Host{{Host: "before:80", Connections: 40}, {Host: seen[0].Host, Connections: 1, Received: seen[0].Received}}
	web.Counted = []uint64{seen[0].ID, 5} // the others were not heard of in time; the fifth is counted, and heard of again
	web.Others = control.Host{Connections: 5}

	h, out := holding(t, "kept"), &output{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait, err := headless.Keep(ctx, headless.Options{Out: out, Err: out}, h, []headless.Kept{web, other, dead})
	if err != nil {
		t.Fatal(err)
	}
	set := until(t, h, "partial", func(s control.Set) bool {
		return s.State == control.Partial && len(s.Tunnels) == 3 && s.Tunnels[0].Ready && s.Tunnels[2].Ready && s.Tunnels[1].Error != ""
	})
	if ids := []int{set.Tunnels[0].ID, set.Tunnels[1].ID, set.Tunnels[2].ID}; ids[0] != 1 || ids[1] != 2 || ids[2] != 101 {
		t.Errorf("got tunnels %v, want each to have a number of its own", ids)
	}
	if late := opened(t, first, oneClient, 8080); late.Tunnel.ID() != 3 { // it was being opened when the others were kept
		t.Fatalf("got tunnel %d", late.Tunnel.ID())
	}
	until(t, h, "complete", func(s control.Set) bool { return len(s.Tunnels) == 4 })
	fetch(t, web)
	fetch(t, web)
	until(t, h, "counted", func(s control.Set) bool { return s.Tunnels[0].Accepted == 5 && s.Tunnels[0].Connections == 0 })
	detail, err := h.Dir.Detail(t.Context(), "kept", 1)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, host := range detail.Hosts {
		counts[host.Host] += host.Connections
	}
	if counts["before:80"] != 40 || counts[seen[0].Host] != 4 || counts["others"] != 5 || len(detail.Connections) != 5 || len(detail.Steps) == 0 {
		t.Errorf("got %v with %d connections and %d steps", counts, len(detail.Connections), len(detail.Steps))
	}
	if third, err := h.Dir.Detail(t.Context(), "kept", 101); err != nil || third.ID != 101 || len(third.Connections) != 0 {
		t.Errorf("got %+v, %v, want the tunnel of the second account", third, err)
	}

	// The tunnels of one account are lost for good: those of the other go on.
	if err := other.Engine.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	fetch(t, web)
	until(t, h, "partial", func(s control.Set) bool { return s.State == control.Partial && s.Tunnels[0].State == "open" })

	stopped := make(chan error, 1)
	var last control.Set
	go func() {
		var err error
		last, err = wait()
		stopped <- err
	}()
	cancel()
	if err := <-stopped; err == nil || !strings.Contains(err.Error(), "the engine was closed") { // that of the second account
		t.Errorf("got %v, want how the tunnels of the second account ended", err)
	}
	if last.Ended == nil || len(last.Tunnels) != 4 {
		t.Errorf("got %+v, want how the set was at its end, which came by itself", last)
	}
	if left := slices.Concat(one.Sessions(), two.Sessions()); len(left) > 0 {
		t.Errorf("sessions are left: %+v", left)
	}
	if conn, err := net.Dial("unix", h.Dir.Socket("kept")); err == nil {
		_ = conn.Close()
		t.Error("it still answers")
	}
}

// What cannot be kept is left as it is.
func TestTunnelsThatCannotBeKeptGoOn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(server.Close)
	_, client := service(t, server.Listener.Addr().String())
	k := opened(t, tunnel.New(tunnel.Options{Client: client}), client, 8080)
	defer func() {
		if err := k.Engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	h := holding(t, "kept")
	h.Dir.Runtime = filepath.Join(h.Dir.Runtime, "gone")
	if _, err := headless.Keep(t.Context(), headless.Options{Out: io.Discard, Err: io.Discard}, h, []headless.Kept{k}); err == nil {
		t.Error("it has no socket, and says nothing")
	}
	fetch(t, k)
}

// What is kept stands as the interface had it, whichever of the tunnels was open first.
func TestKeptTunnelsStandInTheOrderTheyWereGivenIn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(server.Close)
	_, client := serviceOf(t, emulator.Task{Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{8080: server.Listener.Addr().String()}}}})
	e := tunnel.New(tunnel.Options{Client: client})
	first, second := opened(t, e, client, 8080), opened(t, e, client, 8080)
	h, out := holding(t, "kept"), &output{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait, err := headless.Keep(ctx, headless.Options{Out: out, Err: out}, h, []headless.Kept{second, first})
	if err != nil {
		t.Fatal(err)
	}
	set := until(t, h, "two", func(s control.Set) bool { return len(s.Tunnels) == 2 && s.State == control.Ready })
	if set.Tunnels[0].ID != 2 || set.Tunnels[1].ID != 1 {
		t.Errorf("got tunnels %d and %d, want 2 and 1", set.Tunnels[0].ID, set.Tunnels[1].ID)
	}
	cancel()
	_, _ = wait()
}

// Who asks for a tunnel to any host that is held is told of its hosts, and what it was opened with.
func TestWhatIsHeldTellsOfItsDestinations(t *testing.T) {
	account, err := emulator.Start(emulator.Options{Fleet: emulator.Demo()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	id, secret := account.Credentials()
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: account.URL(), Keys: aws.Keys{ID: id, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	engine := tunnel.New(tunnel.Options{Client: client})
	target, err := client.Lookup(t.Context(), aws.Query{Cluster: "automation", Service: "squid"})
	if err != nil {
		t.Fatal(err)
	}
	via, err := front.ParsePattern("*.internal")
	if err != nil {
		t.Fatal(err)
	}
	tn, err := engine.Open(tunnel.Spec{Target: target, AnyPort: true, Dynamic: &tunnel.Dynamic{Via: []front.Pattern{via}, Destinations: 3, Warm: []tunnel.Endpoint{{Host: "billing.internal", Port: 443}}}})
	if err != nil {
		t.Fatal(err)
	}
	h := holding(t, "any")
	ctx, stop := context.WithCancel(t.Context())
	wait, err := headless.Keep(ctx, headless.Options{Out: io.Discard, Err: io.Discard}, h, []headless.Kept{{Tunnel: tn, Engine: engine}})
	if err != nil {
		t.Fatal(err)
	}
	proxy, _ := url.Parse("http://" + tn.Addr().String())
	through := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}}
	answer, err := through.Get("http://orders.internal/")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	set := until(t, h, "ready with two hosts", func(s control.Set) bool {
		return len(s.Tunnels) == 1 && s.Tunnels[0].Ready && len(s.Tunnels[0].Destinations) == 2
	})
	one := set.Tunnels[0]
	if want := (&control.Dynamic{Via: []string{"*.internal"}, Destinations: 3, Warm: []string{"billing.internal:443"}}); one.Remote != "any host" || !reflect.DeepEqual(one.Dynamic, want) || one.ProxyURL != proxy.String() || one.Proof != "session" {
		t.Errorf("got %+v, %+v", one, one.Dynamic)
	}
	detail, err := h.Dir.Detail(t.Context(), "any", one.ID)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]control.Destination{}
	for _, d := range detail.Destinations {
		told[d.Destination] = d
	}
	behind, err := h.Dir.DestinationDetail(t.Context(), "any", one.ID, "orders.internal:80")
	if err != nil || len(behind.Connections) != 1 || behind.Connections[0].Protocol != "http" || behind.Connections[0].Received == 0 {
		t.Errorf("got %+v, %v, want the connection to orders.internal alone", behind.Connections, err)
	}
	for _, none := range []string{"billing.internal:443", "nowhere.internal:80", ""} {
		if behind, err := h.Dir.DestinationDetail(t.Context(), "any", one.ID, none); err != nil || len(behind.Connections) != 0 {
			t.Errorf("%q: got %+v, %v, want no connection", none, behind.Connections, err)
		}
	}
	if _, err := h.Dir.DestinationDetail(t.Context(), "any", one.ID+1, "orders.internal:80"); err == nil {
		t.Error("a tunnel that there is not has a destination")
	}
	orders, billing := told["orders.internal:80"], told["billing.internal:443"]
	if len(told) != 2 || !billing.Warm || billing.Accepted != 0 || orders.Warm || orders.State != "open" || orders.Session == "" || orders.Task == "" || orders.Accepted != 1 || orders.Received == 0 || orders.Used.IsZero() {
		t.Errorf("got %+v", detail.Destinations)
	}
	for _, none := range []string{"", "orders.internal", "orders.internal:443", "ORDERS.internal:80", "orders.internal:80\n", "*:80"} {
		if ended, err := h.Dir.EndDestination(t.Context(), "any", one.ID, none); ended || err != nil {
			t.Errorf("%q: got %t, %v, want nothing to be ended", none, ended, err)
		}
	}
	for _, id := range []int{-1, 0, one.ID + 1} {
		if ended, err := h.Dir.EndDestination(t.Context(), "any", id, "orders.internal:80"); ended || err == nil {
			t.Errorf("tunnel %d: got %t, %v, want it not to be there", id, ended, err)
		}
	}
	for _, want := range []bool{true, false} {
		if ended, err := h.Dir.EndDestination(t.Context(), "any", one.ID, "orders.internal:80"); ended != want || err != nil {
			t.Errorf("got %t, %v, want %t: it is ended once", ended, err, want)
		}
	}
	until(t, h, "the other host alone", func(s control.Set) bool {
		of := s.Tunnels[0].Destinations
		return len(of) == 1 && of[0].Destination == "billing.internal:443" && of[0].Session == billing.Session
	})
	if answer, err = through.Get("http://orders.internal/"); err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	until(t, h, "both again, in another session", func(s control.Set) bool {
		of := s.Tunnels[0].Destinations
		return len(of) == 2 && of[1].Destination == "orders.internal:80" && of[1].Session != "" && of[1].Session != orders.Session
	})
	stop()
	last, _ := wait()
	if got := last.Tunnels[0].Destinations; len(got) != 2 || got[0].State != "open" {
		t.Errorf("at the end it has told of %+v, want them as they were", got)
	}
	if left := account.Sessions(); len(left) != 0 {
		t.Errorf("sessions are left: %+v", left)
	}
}
