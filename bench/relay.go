//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
)

// The services whose task has a relay, of one task each: a bundle keeps to one.
const (
	bonded    = "bonded"   // affords eight sessions at once
	bondedBig = "bonded16" // and twice as many

	relayPort = 7300
	doorPort  = 7001 // in them alone: what listens there can be closed
)

func relays(service string) bool { return service == bonded || service == bondedBig }

// realPorts are the ports of loopback that stand for those of a service with a relay: the destination's, and two that are free.
func realPorts(d *destination) (map[uint16]uint16, error) {
	listeners := []net.Listener{d.listener}
	defer func() {
		for _, l := range listeners[1:] {
			_ = l.Close()
		}
	}()
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to wait for
		if err != nil {
			return nil, fmt.Errorf("look for a free port: %w", err)
		}
		listeners = append(listeners, l)
	}
	ports := map[uint16]uint16{}
	for i, port := range []uint16{port, proxyPort, doorPort} {
		at, err := netip.ParseAddrPort(listeners[i].Addr().String())
		if err != nil {
			return nil, fmt.Errorf("look for a free port: %w", err)
		}
		ports[port] = at.Port()
	}
	return ports, nil
}

// relayedServices are described for the account.
func relayedServices(ports map[uint16]uint16) []emulator.Service {
	at := func(port uint16) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))) }
	app := emulator.Container{Name: container, Ports: map[uint16]string{
		ports[port]: at(ports[port]), ports[proxyPort]: at(ports[proxyPort]), ports[doorPort]: at(ports[doorPort]),
	}}
	beside := emulator.Container{
		Name: "relay", NonEssential: true, Ports: map[uint16]string{relayPort: ""}, PortNames: map[uint16]string{relayPort: aws.RelayName},
	}
	var services []emulator.Service
	for _, s := range []struct{ name, cpu string }{{bonded, "1024"}, {bondedBig, "2048"}} {
		services = append(services, emulator.Service{
			Name: s.name, Count: 1,
			Task: emulator.Task{CPU: s.cpu, Memory: "4096", Containers: []emulator.Container{app, beside}},
		})
	}
	return services
}

// door is a server that does nothing but listen, on a port of its own, and can be closed.
type door struct {
	at       uint16
	listener net.Listener // nil: closed
	running  sync.WaitGroup
}

// open opens it unless it is.
func (d *door) open() error {
	if d.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(d.at)))) //nolint:noctx // nothing to wait for
	if err != nil {
		return fmt.Errorf("listen on a port that is to be closed: %w", err)
	}
	d.listener = l
	d.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close() //nolint:errcheck // nothing came
		}
	})
	return nil
}

func (d *door) close() {
	if d.listener != nil {
		_ = d.listener.Close()
		d.listener = nil
		d.running.Wait()
	}
}

// relayOrder starts the relay anew, or ends it.
type relayOrder struct {
	Program string `json:"program"` // empty: end it
}

// relaySeen is what there is to say of it.
type relaySeen struct {
	Pid     int `json:"pid"`
	Streams int `json:"streams"` // that it has opened or refused, when it ended by order
}

// relay is the small program that runs in a task, as a process of its own.
type relay struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	killed bool

	mu   sync.Mutex
	said bytes.Buffer
}

const (
	relayWithin = 10 * time.Second // for its start, and for its end
	relayLog    = 64 << 10
)

var (
	relayListens = regexp.MustCompile(`listens on (\S+)`)
	relayCarried = regexp.MustCompile(`so far (\d+) streams opened, (\d+) refused`)
)

// startRelay starts one that opens these ports, and returns where it listens.
func startRelay(program string, to map[uint16]uint16) (r *relay, at string, err error) {
	args := []string{"relay", "--listen", "127.0.0.1:0"}
	for _, port := range to {
		args = append(args, "--to", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	}
	r = &relay{ended: make(chan struct{})}
	r.cmd = exec.CommandContext(context.Background(), program, args...)
	log, err := r.cmd.StderrPipe()
	if err != nil {
		return nil, "", fmt.Errorf("start the relay: %w", err)
	}
	if err := r.cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("start the relay: %w", err)
	}
	listens := make(chan string, 1)
	go func() {
		defer close(r.ended)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			r.mu.Lock()
			if r.said.Len() < relayLog {
				_, _ = r.said.Write(append(lines.Bytes(), '\n'))
			}
			r.mu.Unlock()
			if m := relayListens.FindSubmatch(lines.Bytes()); m != nil {
				select {
				case listens <- string(m[1]):
				default:
				}
			}
		}
		_ = r.cmd.Wait() // it has been told to end, or what it does not carry is missed
	}()
	select {
	case at = <-listens:
		return r, at, nil
	case <-r.ended:
	case <-time.After(relayWithin):
		_, _ = r.end()
	}
	return nil, "", fmt.Errorf("start the relay: it does not listen: %s", r.text())
}

func (r *relay) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.String()
}

// end has it end as a task that stops does, and returns how many streams it has had, which one that was killed cannot say: -1.
func (r *relay) end() (streams int, err error) {
	if r == nil {
		return 0, nil
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(relayWithin):
		_ = r.cmd.Process.Kill()
		<-r.ended
		return 0, errors.New("end the relay: it goes on after its signal")
	}
	m := relayCarried.FindStringSubmatch(r.text())
	switch {
	case r.killed:
		return -1, nil
	case m == nil:
		return 0, fmt.Errorf("the relay ended by itself: %s", r.text())
	}
	for _, count := range m[1:] {
		n, err := strconv.Atoi(count)
		if err != nil {
			return 0, fmt.Errorf("read what the relay has carried: %w", err)
		}
		streams += n
	}
	return streams, nil
}

// orderRelay starts it or ends it, for all tasks that have one.
func (f *far) orderRelay(o relayOrder) (seen relaySeen, err error) {
	old := f.relay
	f.relay = nil
	if seen.Streams, err = old.end(); err != nil {
		return seen, err
	}
	at := ""
	if o.Program != "" {
		if f.relay, at, err = startRelay(o.Program, f.real); err != nil {
			return seen, err
		}
		seen.Pid = f.relay.cmd.Process.Pid
	}
	for _, service := range []string{bonded, bondedBig} {
		for _, task := range f.account.Tasks(cluster, service) {
			if err := f.account.MapPort(task, relayPort, at); err != nil {
				return seen, err
			}
		}
	}
	return seen, nil
}

// harm is something that becomes of a download through the relay.
type harm string

const (
	harmSession harm = "session" // one is terminated
	harmSocket  harm = "socket"  // one is lost
	harmTwo     harm = "two"     // sessions are terminated
	harmAll     harm = "all"     // sessions are
	harmRelay   harm = "relay"   // it is killed
)

func (f *far) harm(what harm) error {
	if what == harmRelay {
		if f.relay == nil {
			return errors.New("kill the relay: there is none")
		}
		f.relay.killed = true
		return f.relay.cmd.Process.Kill()
	}
	var ids []string
	for _, s := range f.account.Sessions() {
		if s.Port == relayPort {
			ids = append(ids, s.ID)
		}
	}
	most := map[harm]int{harmSession: 1, harmSocket: 1, harmTwo: 2, harmAll: len(ids)}[what]
	if len(ids) < max(most, 1) {
		return fmt.Errorf("only %d sessions lead to the relay", len(ids))
	}
	for _, id := range ids[:most] {
		if what == harmSocket {
			f.account.CutClientLeg(id)
		} else {
			f.account.KillSession(id, "terminated by the bench")
		}
	}
	return nil
}
