package headless_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/ui/headless"
)

// sight is a far end, and how a forward to it looks.
type sight struct {
	remote tunnel.Endpoint
	probe  headless.Probe
	faults func(*emulator.Faults)
	every  time.Duration // its name is resolved anew
	wait   time.Duration // for one that is never ready; 0 is sightWait
	// never is what keeps it from being ready, which it must not be; nil where it must be.
	never func(error) bool
	// then goes on with a tunnel that is ready; it stops the run at its end. over says how the run has to end.
	then func(v *view) error
	over func(error) bool
}

// view is one run of a sight.
type view struct {
	account *emulator.Emulator
	servers servers
	tunnel  *tunnel.Tunnel
	out     *output
}

const (
	sightPort = 7000
	// sightWait is what a forward that is never ready gets: more than a session and a proof take on a busy machine.
	sightWait = 4 * time.Second
)

func isRefused(err error) bool {
	_, refused := errors.AsType[*tunnel.RefusedError](err)
	return refused
}

// theSights are all of them, by name. A run has an account of its own, with a task in which a server of the run listens.
func theSights() map[string]sight {
	named, tcp := tunnel.Endpoint{Host: "db.internal", Port: 6000}, headless.Probe{Kind: headless.ProbeTCP}
	return map[string]sight{
		"refused by the container": {remote: tunnel.Endpoint{Port: 7001}, never: isRefused},
		"refused by a host":        {remote: tunnel.Endpoint{Host: "orders.internal", Port: 5432}, probe: tcp, never: isRefused},
		"swallowed": {
			remote: tunnel.Endpoint{Host: "orders-db.internal", Port: 5432},
			faults: func(f *emulator.Faults) { f.Swallow = []uint16{5432} },
			wait:   12 * time.Second, // two proofs
			never: func(err error) bool {
				_, unanswered := errors.AsType[*tunnel.UnansweredError](err)
				return unanswered
			},
		},
		"unresolved": {
			remote: tunnel.Endpoint{Host: "nowhere.internal", Port: 5432},
			never: func(err error) bool {
				return strings.Contains(fmt.Sprint(err), "nable to resolve host nowhere.internal")
			},
		},
		"forbidden": {
			remote: tunnel.Endpoint{Host: "169.254.169.254", Port: 80},
			never:  func(err error) bool { return strings.Contains(fmt.Sprint(err), "is forbidden") },
		},
		"wrong protocol": {
			remote: tunnel.Endpoint{Host: "page.internal", Port: 5432},
			never: func(err error) bool {
				_, other := errors.AsType[*doctor.OtherProtocolError](err)
				return other
			},
		},
		"moved":                      {remote: named, probe: tcp, then: failsOver},
		"moved with both ends alive": {remote: named, probe: tcp, every: time.Second, then: swaps},
		"dead successor": {remote: tunnel.Endpoint{Port: sightPort}, probe: tcp, then: isOrphaned, over: func(err error) bool {
			lost, ok := errors.AsType[*headless.LostError](err)
			return ok && lost.Unproved
		}},
		"live successor":        {remote: tunnel.Endpoint{Port: sightPort}, probe: tcp, then: isReplaced},
		"healthy container":     {remote: tunnel.Endpoint{Port: sightPort}},
		"healthy host":          {remote: named, probe: tcp},
		"healthy proxy":         {remote: tunnel.Endpoint{Port: 3128}},
		"healthy database":      {remote: tunnel.Endpoint{Host: "orders-db.internal", Port: 5432}},
		"healthy and far away":  {remote: named, probe: tcp, faults: func(f *emulator.Faults) { f.Delay = 50 * time.Millisecond }},
		"healthy, another lost": {remote: named, probe: tcp, faults: func(f *emulator.Faults) { f.Swallow = []uint16{5432} }},
		"healthy on a bad path": {remote: named, probe: tcp, faults: func(f *emulator.Faults) {
			loss := emulator.Loss{Drop: 0.03, Duplicate: 0.03, Reorder: 0.03}
			f.Up, f.Down = emulator.Path{Data: loss, Acks: loss}, emulator.Path{Data: loss, Acks: loss}
		}},
	}
}

// No far end is ready that is not, and none that is well is taken for something else, on a machine that is busy. RUNS=200 asks
// each 200 times (make sights), SIGHT="dead successor" only that one.
func TestSightsAreNeverFalse(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while on a machine that it keeps busy")
	}
	runs := 2
	if asked := os.Getenv("RUNS"); asked != "" {
		var err error
		if runs, err = strconv.Atoi(asked); err != nil || runs < 1 {
			t.Fatalf("RUNS=%s is no number of runs", asked)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	defer busy.Wait()
	defer stop()
	for range runtime.NumCPU() {
		busy.Go(func() {
			for ctx.Err() == nil { //nolint:revive // that is what keeps the machine busy
			}
		})
	}
	atOnce := make(chan struct{}, 8*runtime.NumCPU())
	var all sync.WaitGroup
	var mu sync.Mutex
	wrong := map[string]int{}
	for name, s := range theSights() {
		if only := os.Getenv("SIGHT"); only != "" && name != only {
			continue
		}
		for range runs {
			atOnce <- struct{}{}
			all.Go(func() {
				defer func() { <-atOnce }()
				if err := s.look(ctx); err != nil {
					mu.Lock()
					defer mu.Unlock()
					if wrong[name]++; wrong[name] <= 3 {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
		}
	}
	all.Wait()
	for name := range theSights() {
		t.Logf("%-28s %d of %d runs wrong", name, wrong[name], runs)
	}
}

// look runs the face on the sight, and says what was wrong about it.
func (s sight) look(ctx context.Context) error {
	far := servers{}
	defer far.end()
	task := emulator.Task{Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{
		sightPort: far.add(ctx, "A", false), 7001: "", 3128: emulator.Proxy,
	}}}}
	e, err := emulator.Start(emulator.Options{Pace: 20 * time.Millisecond, Fleet: emulator.Fleet{ //nolint:contextcheck // it lives until it is closed
		VPC:      true,
		Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 2, Task: task}}}},
		Hosts:    map[string]string{"db.internal": far["A"].Addr().String(), "page.internal": far.add(ctx, "page", true)},
	}})
	if err != nil {
		return err
	}
	defer e.Close() //nolint:contextcheck // it ends in its own time
	if s.faults != nil {
		e.Fault(s.faults)
	}
	id, secret := e.Credentials()
	client, err := aws.Connect(ctx, aws.Options{Region: "eu-west-1", Endpoint: e.URL(), Keys: aws.Keys{ID: id, Secret: secret}})
	if err != nil {
		return err
	}
	v := &view{account: e, servers: far, out: &output{}}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	opened := make(chan *tunnel.Tunnel, 1)
	o := headless.Options{
		Client: client, Engine: tunnel.New(tunnel.Options{Client: client, AllowLinkLocal: true, ReResolve: s.every}),
		Forwards: []headless.Forward{{Query: aws.Query{Cluster: "c", Service: "s", Port: s.remote.Port}, Spec: tunnel.Spec{Remote: s.remote}}},
		Probe:    s.probe, Wait: time.Minute, Patience: time.Second, Out: v.out, Err: &output{}, JSON: true,
		Ready: func(all []*tunnel.Tunnel) { opened <- all[0] },
	}
	if s.never != nil {
		o.Wait = cmp.Or(s.wait, sightWait)
	}
	over := make(chan error, 1)
	go func() { over <- headless.Run(ctx, o) }()
	var wrong error
	select {
	case v.tunnel = <-opened:
		if s.never == nil && s.then != nil {
			wrong = s.then(v)
		}
		stop()
		err = <-over
	case err = <-over:
	}
	_, isReady := v.find("ready")
	switch {
	case wrong != nil:
	case s.never != nil && (isReady || !s.never(err)):
		wrong = fmt.Errorf("is ready: %t, ended with %s", isReady, fmt.Sprint(err))
	case s.never == nil && !isReady:
		wrong = fmt.Errorf("is not ready: %w", err)
	case s.never == nil && s.over == nil && err != nil, s.over != nil && !s.over(err):
		wrong = fmt.Errorf("ended with %w", err)
	}
	if wrong == nil && len(e.Sessions()) > 0 {
		wrong = fmt.Errorf("%d sessions are left", len(e.Sessions()))
	}
	if wrong != nil {
		wrong = fmt.Errorf("%w\n%s", wrong, v.out)
	}
	return wrong
}

// servers are those of a run, by name.
type servers map[string]net.Listener

// houses counts servers.
var houses atomic.Uint32

// add starts a server on loopback and returns its address: of pages, or one that says its name and then echoes. On Linux
// that is an address of its own, as the port of one that has closed is soon somebody else's.
func (s servers) add(ctx context.Context, name string, page bool) string {
	host := "127.0.0.1"
	if n := houses.Add(1); runtime.GOOS == "linux" {
		host = netip.AddrFrom4([4]byte{127, 1 + byte(n>>16), byte(n >> 8), byte(n)}).String()
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return err.Error() // no address, as who uses it says
	}
	s[name] = l
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if page {
					_, _ = conn.Read(make([]byte, 1))
					_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
					return
				}
				_, _ = io.WriteString(conn, name)
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().String()
}

func (s servers) end() {
	for _, l := range s {
		_ = l.Close()
	}
}

// find returns the first event of a kind that has been printed.
func (v *view) find(kind string) (event map[string]any, found bool) {
	for line := range strings.Lines(v.out.String()) {
		if json.Unmarshal([]byte(line), &event) == nil && event["event"] == kind {
			return event, true
		}
		event = nil
	}
	return nil, false
}

// eventually waits for what has to come, and says what did not.
func eventually(what string, holds func() bool) error {
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("in a minute there was not " + what)
		}
	}
	return nil
}

// connect opens a connection through the tunnel, and says whose it is: empty when it was refused.
func (v *view) connect() (net.Conn, string) {
	conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", v.tunnel.Addr().String())
	if err != nil {
		return nil, err.Error()
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	name := make([]byte, 1)
	n, _ := io.ReadFull(conn, name)
	return conn, string(name[:n])
}

// reaches waits until new connections reach a server.
func (v *view) reaches(name string) error {
	return eventually("a connection to "+name, func() bool {
		conn, got := v.connect()
		if conn != nil {
			_ = conn.Close()
		}
		return got == name
	})
}

// echoes sends bytes there and back.
func echoes(conn net.Conn) error {
	sent := make([]byte, 50_000)
	_, _ = rand.Read(sent)
	go func() { _, _ = conn.Write(sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("the open connection: %w", err)
	}
	if !bytes.Equal(got, sent) {
		return errors.New("other bytes came back on the open connection")
	}
	return nil
}

// failsOver moves the name while the old address begins to refuse; the open connection goes on.
func failsOver(v *view) error { return v.moves(func() { _ = v.servers["A"].Close() }) }

// swaps moves the name while both ends are alive.
func swaps(v *view) error { return v.moves(func() {}) }

func (v *view) moves(fail func()) error {
	open, name := v.connect()
	if name != "A" {
		return fmt.Errorf("reaches %q", name)
	}
	defer open.Close()
	next := v.servers.add(context.Background(), "B", false)
	fail()
	if err := v.account.MoveHost("db.internal", next); err != nil {
		return err
	}
	err := errors.Join(v.reaches("B"), echoes(open))
	if state, trouble := v.tunnel.State(); state != tunnel.Open || trouble != nil {
		err = errors.Join(err, fmt.Errorf("is %s: %w", state, trouble))
	}
	return err
}

// isOrphaned ends the server and the task: in the next one nothing listens.
func isOrphaned(v *view) error {
	_ = v.servers["A"].Close()
	return v.replaced(false)
}

func isReplaced(v *view) error { return v.replaced(true) }

func (v *view) replaced(proved bool) error {
	if err := v.account.StopTask(v.tunnel.Link().Target.Task, "replaced"); err != nil {
		return err
	}
	if err := eventually("a proof of the successor", func() bool { _, found := v.find("proof"); return found }); err != nil {
		return err
	}
	if e, _ := v.find("proof"); e["proved"] != proved {
		return fmt.Errorf("the successor is proved: %v, want %t", e["proved"], proved)
	}
	return nil
}

// A tunnel is ready a round trip and a half after its session at the latest, on a path that takes its time: the proof is one.
func TestReadyComesWithinARoundTripAndAHalfOfOpen(t *testing.T) {
	const each = 100 * time.Millisecond // way
	server := need.Server(t, need.Echo)
	var took []time.Duration
	for range 7 {
		e, client := service(t, server)
		e.Fault(func(f *emulator.Faults) { f.Delay = each })
		out := &output{}
		o := options(client, 8080, out)
		o.Probe = headless.Probe{Kind: headless.ProbeTCP}
		if err := ready(t, o); err != nil {
			t.Fatal(err)
		}
		took = append(took, at(t, out, `"event":"ready"`).Sub(at(t, out, `"state":"open"`)))
	}
	slices.Sort(took)
	t.Logf("ready after open: %s, round trip %s", took, 2*each)
	if median := took[len(took)/2]; median > 3*each || median < 2*each-10*time.Millisecond {
		t.Errorf("ready comes %s after open, want one round trip, %s, to one and a half", took, 2*each)
	}
}

// at is the time of the first event with some text in it.
func at(t *testing.T, out *output, text string) time.Time {
	t.Helper()
	for line := range strings.Lines(out.String()) {
		var e struct {
			Time time.Time `json:"time"`
		}
		if err := json.Unmarshal([]byte(line), &e); err == nil && strings.Contains(line, text) {
			return e.Time
		}
	}
	t.Fatalf("no %s in %s", text, out)
	return time.Time{}
}
