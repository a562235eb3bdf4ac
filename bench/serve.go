//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"culvert/aws/emulator"
)

// Where the destinations are in the emulated account. Each service has two tasks, so that sessions can be spread.
const (
	cluster   = "bench"
	service   = "target"
	mortal    = "mortal" // its tasks are killed
	container = "app"
	region    = "eu-west-1"
	port      = 7000
	proxyPort = 3128
	tasks     = 2
)

// agentPacing is what the real agent rests after each message of at most 1024 bytes (protocol.md 8).
const agentPacing = time.Millisecond

// conditions are what the service and the agent do to a session.
type conditions struct {
	Delay  time.Duration `json:"delay"`  // of the service, each way
	Pacing time.Duration `json:"pacing"` // of the agent
	Loss   float64       `json:"loss"`   // share of the messages lost: data and acknowledges, both ways
}

// hello is the first line of the far side.
type hello struct {
	URL    string   `json:"url"`
	KeyID  string   `json:"key"`
	Secret string   `json:"secret"`
	Env    []string `json:"env"` // for a client's process

	// Real is what the ports of the services are called that have a relay: it opens a port of loopback by its number, so
	// that each server behind it has its own.
	Real map[uint16]uint16 `json:"real"`
}

// order is what the far side is asked; every order gets an answer.
type order struct {
	Set   *conditions `json:"set"`
	Site  *siteOrder  `json:"site"`  // open the page and its proxy
	Close bool        `json:"close"` // the clients' sockets
	Shut  bool        `json:"shut"`  // the door, until the next reap
	Kill  bool        `json:"kill"`  // the tasks that have sessions, without a word
	Count bool        `json:"count"` // the sessions since the last reap
	Reap  bool        `json:"reap"`  // end all sessions, and replace the tasks that were killed
	Relay *relayOrder `json:"relay"` // start or end the relay
	Harm  harm        `json:"harm"`  // to what goes through the relay
}

type answer struct {
	Received int64     `json:"received"` // bytes that uploads have delivered to the destination so far
	Opened   []int     `json:"opened"`   // sessions of each task
	Site     *sitePlan `json:"site"`
	Relay    relaySeen `json:"relay"`
	Error    string    `json:"error"`
}

// far is the far side: the account with its agents, and the destinations.
type far struct {
	account     *emulator.Emulator
	destination *destination
	site        *site // nil until it is asked for
	relay       *relay
	door        door
	real        map[uint16]uint16
	killed      []string
	since       time.Time // sessions are counted from here on
}

// serve is the far side in a process of its own, so that its work is not counted as a client's. It takes orders as JSON
// until its input ends.
func serve(in io.Reader, out io.Writer) error {
	d, err := startDestination()
	if err != nil {
		return err
	}
	defer d.close()
	task := emulator.Task{Containers: []emulator.Container{{Name: container, Ports: map[uint16]string{port: d.address(), proxyPort: ""}}}}
	hosts := map[string]string{}
	for i := range dynamicHosts {
		hosts[benchHost(i)] = d.address()
	}
	ports, err := realPorts(d)
	if err != nil {
		return err
	}
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{
		Region: region, Hosts: hosts,
		Clusters: []emulator.Cluster{{Name: cluster, Services: append([]emulator.Service{
			{Name: service, Count: tasks, Task: task}, {Name: mortal, Count: tasks, Task: task},
		}, relayedServices(ports)...)}},
	}})
	if err != nil {
		return fmt.Errorf("start the account: %w", err)
	}
	defer e.Close()
	f := &far{account: e, destination: d, since: time.Now(), real: ports, door: door{at: ports[doorPort]}}
	if err := f.door.open(); err != nil {
		return err
	}
	defer f.door.close()
	defer func() { f.site.close() }()
	defer func() { _, _ = f.relay.end() }()
	id, secret := e.Credentials()
	answers, orders := json.NewEncoder(out), json.NewDecoder(in)
	if err := answers.Encode(hello{URL: e.URL(), KeyID: id, Secret: secret, Env: e.Env(), Real: ports}); err != nil { //nolint:gosec // of the emulated account
		return fmt.Errorf("greet: %w", err)
	}
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		if err := answers.Encode(f.obey(o)); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}

func (f *far) obey(o order) answer {
	a := answer{Received: f.destination.received.Load()}
	var err error
	if o.Set != nil {
		f.account.Fault(o.Set.apply)
	}
	if o.Site != nil {
		a.Site, err = f.openSite(*o.Site)
	}
	if o.Close {
		f.account.CloseClientLeg(1000)
	}
	if o.Shut {
		f.door.close()
	}
	if o.Kill {
		err = errors.Join(err, f.kill())
	}
	if o.Relay != nil {
		var wrong error
		a.Relay, wrong = f.orderRelay(*o.Relay)
		err = errors.Join(err, wrong)
	}
	if o.Harm != "" {
		err = errors.Join(err, f.harm(o.Harm))
	}
	if o.Count {
		a.Opened = f.opened()
	}
	if o.Reap {
		err = errors.Join(err, f.reap())
	}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

// openSite puts the page's proxy behind its port of every task.
func (f *far) openSite(o siteOrder) (*sitePlan, error) {
	if f.site == nil {
		var err error
		if f.site, err = openSite(o, f.real[proxyPort]); err != nil {
			return nil, err
		}
		for _, task := range f.account.Tasks(cluster, service) {
			if err := f.account.MapPort(task, proxyPort, f.site.squid.Addr.String()); err != nil {
				return nil, err
			}
		}
	}
	plan := f.site.plan
	return &plan, nil
}

// opened counts the sessions of each task.
func (f *far) opened() []int {
	byTask := map[string]int{}
	for _, s := range f.account.SessionsSince(f.since) {
		byTask[s.Target]++
	}
	var counts []int
	for _, n := range byTask {
		counts = append(counts, n)
	}
	slices.Sort(counts)
	slices.Reverse(counts)
	return counts
}

// kill ends the agents of the tasks that have sessions, with all their workers and without a word to anybody.
func (f *far) kill() error {
	for _, s := range f.account.Sessions() {
		if parts := strings.Split(s.Target, "_"); len(parts) == 3 && !slices.Contains(f.killed, parts[1]) {
			f.killed = append(f.killed, parts[1])
		}
	}
	if len(f.killed) == 0 {
		return errors.New("kill a task: none has a session")
	}
	for _, task := range f.killed {
		if err := f.account.KillAgent(task); err != nil {
			return err
		}
	}
	return nil
}

// reap ends all sessions and replaces what was killed.
func (f *far) reap() error {
	for _, s := range f.account.Sessions() {
		f.account.KillSession(s.ID, "the bench has ended the session")
	}
	f.since = time.Now()
	if err := f.door.open(); err != nil {
		return err
	}
	if len(f.killed) == 0 {
		return nil
	}
	for _, task := range f.killed {
		if err := f.account.StopTask(task, "killed by the bench"); err != nil {
			return err
		}
	}
	f.killed = nil
	return nil
}

func (c conditions) apply(f *emulator.Faults) {
	f.Delay, f.Pacing = c.Delay, c.Pacing
	loss := emulator.Loss{Drop: c.Loss}
	f.Up = emulator.Path{Data: loss, Acks: loss}
	f.Down = f.Up
}
