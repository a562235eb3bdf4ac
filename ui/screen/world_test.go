package screen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
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
	return worldOf(t, o, emulator.Fleet{
		Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "web", Count: 2, Task: task}}}},
	})
}

// worldOf is the interface on an account.
func worldOf(t *testing.T, o Options, fleet emulator.Fleet) (*loop, *emulator.Emulator) {
	t.Helper()
	account, err := emulator.Start(emulator.Options{Pace: 20 * time.Millisecond, Fleet: fleet})
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
	o.Connect = func(ctx context.Context, _, _, _ string) (*aws.Client, error) {
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
	local := need.Port(t)
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
	l.until("reopening", "retr") // of each session that it had
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

func TestASavedTunnelIsOpenedInTheAccountThatItNames(t *testing.T) {
	web := aws.Target{Cluster: "c", Service: "web"}
	l, _ := newWorld(t, Options{Profile: "dev", Saved: Saved{
		Tunnels: []SavedTunnel{
			{Name: "here", Target: web, Forward: forward("7000")},
			{Name: "there", Target: web, Forward: forward("7000"), Profile: "staging", Region: "eu-west-1"},
			{Name: "too", Target: web, Forward: forward("7000"), Profile: "staging", Region: "eu-west-1"},
			{Name: "over", Target: web, Forward: forward("7000"), Profile: "prod"},
		},
		Groups: []SavedGroup{{Name: "all", Tunnels: []string{"here", "there", "too", "over"}}},
	}})
	a := l.a
	var mu sync.Mutex
	var asked []string
	usual := a.connect
	a.connect = func(ctx context.Context, profile, region, role string) (*aws.Client, error) {
		mu.Lock()
		asked = append(asked, profile+"/"+region)
		mu.Unlock()
		if profile == "prod" {
			return nil, &aws.NoRegionError{Profile: profile}
		}
		return usual(ctx, profile, region, role)
	}
	before := a.here
	l.until("as of")
	l.press("S")
	l.until("(profile staging, region eu-west-1)", "(profile prod)")
	l.press("enter") // the group
	l.until("1 not started", "profile prod")
	l.until("Tunnels 3")
	slices.Sort(asked)
	if !slices.Equal(asked, []string{"dev/", "prod/", "staging/eu-west-1"}) {
		t.Errorf("connected to %v, want each account once", asked)
	}
	if a.here != before {
		t.Error("the account that is browsed has changed")
	}
	in := map[string]int{}
	for _, r := range a.tunnels.rows {
		in[r.place.profile]++
	}
	if in["dev"] != 1 || in["staging"] != 2 {
		t.Errorf("tunnels by profile: %v", in)
	}
}

// A task takes the place of another one, and nothing answers in it: the tunnel is not shown as it was before.
func TestASuccessorThatDoesNotAnswerIsShown(t *testing.T) {
	var dead atomic.Bool
	l, account := newWorld(t, Options{
		Prove: func(ctx context.Context, tn *tunnel.Tunnel, _, _ string) (string, error) {
			if _, err := tn.Prove(ctx); err != nil || !dead.Load() {
				return "tcp", err
			}
			return "", errors.New("the successor says nothing")
		},
		Saved: Saved{Tunnels: []SavedTunnel{{
			Name: "site", Target: aws.Target{Cluster: "c", Service: "web"}, Forward: forward(fmt.Sprintf("%d:7000", need.Port(t))),
		}}},
	})
	l.until("as of")
	l.press("S", "enter")
	l.until("● open")
	l.press("t")
	tn := l.a.tunnels.rows[0].tunnel
	for l.a.tunnels.proofs[tn].state != proved {
		_, cmd := l.a.Update(<-l.messages)
		l.run(cmd)
	}
	dead.Store(true)
	if err := account.StopTask(tn.Link().Target.Task, "replaced"); err != nil {
		t.Fatal(err)
	}
	l.until("no answer", "the successor says nothing")
	dead.Store(false)
	l.until("● open")
}
