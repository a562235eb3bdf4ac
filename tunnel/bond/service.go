package bond

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"time"
)

// Service is a relay as a program: culvert relay, and the small build of that in deploy/relay.
type Service struct {
	Listen netip.AddrPort   // where the relay listens, on loopback
	To     []netip.AddrPort // the targets, on loopback, each with another port
	Build  string           // how the program calls itself in an answer
	Log    io.Writer        // gets lines with counts, which say nothing of who and what
}

// UsualListen is where culvert looks for a relay in a task.
const UsualListen = "127.0.0.1:7300"

const (
	memory     = 32 << 20        // bytes in which the garbage collector tries to keep the whole program
	countEvery = time.Minute     // how often counts are logged, if they have changed
	checkIn    = 2 * time.Second // how long Healthy may take
)

// ParseLoopback reads a loopback address with a port. Other addresses, and names, are errors.
func ParseLoopback(s string) (netip.AddrPort, error) {
	at, err := netip.ParseAddrPort(s)
	switch {
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("%q is no address and port of loopback, such as 127.0.0.1:3128", s)
	case !at.Addr().Unmap().IsLoopback() || at.Addr().Zone() != "":
		return netip.AddrPort{}, fmt.Errorf("%s is not of loopback: the relay listens there and leads there, nowhere else", at.Addr())
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// Check returns what is wrong with the fields of the service; nil when nothing is.
func (s Service) Check() error {
	to := map[uint16]netip.AddrPort{}
	for _, at := range s.To {
		switch other, known := to[at.Port()]; {
		case at.Port() == 0:
			return fmt.Errorf("%s: a port is a number from 1 on", at)
		case at == s.Listen:
			return fmt.Errorf("%s is where the relay listens itself", at)
		case known && other != at:
			return fmt.Errorf("%s and %s have the same port, by which connections name them", other, at)
		}
		to[at.Port()] = at
	}
	if len(to) == 0 {
		return fmt.Errorf("a relay leads nowhere without an address, such as 127.0.0.1:3128") //nolint:perfsprint // as the others
	}
	return nil
}

// Run serves until ctx ends, which ends all connections at once and is no error.
func (s Service) Run(ctx context.Context) error {
	if err := s.Check(); err != nil {
		return err
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(memory))
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Listen.String())
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	relay := s.relay()
	_, _ = fmt.Fprintf(s.Log, "relay: listens on %s\n", l.Addr())
	served := make(chan error, 1)
	go func() { served <- relay.Serve(l) }() //nolint:contextcheck // Close ends what it does
	defer func() { _, _ = l.Close(), relay.Close() }()
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for last := (Counts{}); ; {
		select {
		case <-ctx.Done():
			_, _ = fmt.Fprintf(s.Log, "relay: ends; %s\n", relay.Counts())
			return nil
		case err := <-served:
			return fmt.Errorf("serve: %w", err)
		case <-tick.C:
			if now := relay.Counts(); now != last {
				last = now
				_, _ = fmt.Fprintf(s.Log, "relay: %s\n", now)
			}
		}
	}
}

func (s Service) relay() *Relay {
	relay := &Relay{Build: s.Build}
	to := map[uint16]string{}
	for _, at := range s.To {
		if _, known := to[at.Port()]; !known {
			relay.Targets = append(relay.Targets, at.Port())
		}
		to[at.Port()] = at.String()
	}
	relay.Dial = func(ctx context.Context, port uint16) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", to[port])
	}
	return relay
}

func (c Counts) String() string {
	return fmt.Sprintf("%d bundles, %d strands, %d streams; so far %d streams opened, %d refused, %d connections turned away",
		c.Bundles, c.Strands, c.Streams, c.Opened, c.Refused, c.Turned)
}

// Healthy checks whether the relay on an address answers, and returns how it calls itself.
func Healthy(ctx context.Context, at netip.AddrPort) (build string, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkIn)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.String())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	return Check(ctx, conn)
}
