package ui

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/tunnel"
)

// newWorld is the interface on an account with one service of two tasks, behind whose port 7000 a real web server is.
func newWorld(t *testing.T, o Options) (*loop, *emulator.Emulator) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
	}))
	t.Cleanup(server.Close)
	task := emulator.Task{Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{7000: server.Listener.Addr().String()}}}}
	account, err := emulator.Start(emulator.Options{Pace: 20 * time.Millisecond, Fleet: emulator.Fleet{
		Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "web", Count: 2, Task: task}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	account.Fault(func(f *emulator.Faults) { f.Pacing = 0 })
	key, secret := account.Credentials()
	if o.Log == nil {
		o.Log = &LogRing{}
	}
	log := slog.New(o.Log.Handler())
	o.Connect = func(ctx context.Context, _, _ string) (*aws.Client, error) {
		return aws.Connect(ctx, aws.Options{Region: "eu-west-1", Endpoint: account.URL(), Keys: aws.Keys{ID: key, Secret: secret}, Log: log})
	}
	o.Engine = func(c *aws.Client) *tunnel.Engine { return tunnel.New(tunnel.Options{Client: c, Log: log}) }
	ctx, cancel := context.WithCancel(t.Context())
	a, err := newApp(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	l := newLoop(t, a)
	t.Cleanup(func() {
		if err := a.close(); err != nil {
			t.Errorf("close: %v", err)
		}
		cancel()
		if left := account.Sessions(); len(left) > 0 {
			t.Errorf("%d sessions are left: %+v", len(left), left)
		}
	})
	a.width, a.height = 140, 40
	l.run(a.Init())
	return l, account
}

func TestATunnelIsStartedUsedWatchedAndStopped(t *testing.T) {
	local := freeLocal(t)
	l, account := newWorld(t, Options{Saved: Saved{
		Tunnels: []SavedTunnel{{Name: "site", Target: aws.Target{Cluster: "c", Service: "web"}, Forward: forward(fmt.Sprintf("%d:7000", local))}},
		Groups:  []SavedGroup{{Name: "all", Tunnels: []string{"site"}}},
	}})
	l.until("as of") // the account was looked at
	l.press("S", "enter")
	l.until("● running", "● open", fmt.Sprintf("127.0.0.1:%d", local))

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	address := fmt.Sprintf("http://127.0.0.1:%d", local)
	for range 3 {
		answer, err := client.Get(address + "/page")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, answer.Body); err != nil || n != 100_000 {
			t.Fatalf("got %d bytes, %v; want 100000", n, err)
		}
		_ = answer.Body.Close()
	}
	l.press("t", "enter")
	l.until("[connections 3]", "100 kB", "done", "301 kB in all", fmt.Sprintf("127.0.0.1:%d", local))
	l.press("v")
	l.until("[hosts 1]", "301 kB")
	l.press("v")
	l.until("[history", "handshaking", "starting")

	slow, err := client.Get(address + "/slow")
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Body.Close()
	l.until("1 connection")
	l.press("R")
	l.until("1 open connection will be cut.")
	l.press("y")
	l.until("reopening", "1 retry")
	if _, err := io.Copy(io.Discard, slow.Body); err == nil {
		t.Error("the connection that was cut ended as if it were complete")
	}
	l.until("0 connections")
	l.press("L")
	l.until("Log info and above")
	l.press("esc", "esc", "x") // back on the page of saved tunnels
	l.until("– stopped", "closed")
	for end := time.Now().Add(10 * time.Second); len(account.Sessions()) > 0; {
		if time.Now().After(end) {
			t.Fatalf("sessions are left after the stop: %+v", account.Sessions())
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.press("t", "R") // a tunnel that is over is opened anew
	l.until("● open")
}

func TestWhatCannotBeStartedSaysWhy(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	l, _ := newWorld(t, Options{Saved: Saved{Tunnels: []SavedTunnel{
		{Name: "lost", Target: aws.Target{Cluster: "c", Service: "wbe"}, Forward: forward("7000")},
		{Name: "taken", Target: aws.Target{Cluster: "c", Service: "web"}, Forward: forward(fmt.Sprintf("127.0.0.1:%d:7000", port))},
	}}})
	l.until("as of")
	l.press("S", "enter")
	l.until("✕ not started", `"wbe"`, "web") // the nearest name
	l.press("j", "enter")
	l.until(fmt.Sprintf("127.0.0.1:%d", port), "in use")
}

// freeLocal is a port that was free a moment ago.
func freeLocal(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}
