package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"culvert/internal/address"
	"culvert/tunnel"
	"culvert/tunnel/front"
	"culvert/ui/headless"
)

// maxDestinations is the highest value of --destinations.
const maxDestinations = 1000

// anyHost are the flags of tunnels to any host: what -D opens, and a saved tunnel with dynamic:.
type anyHost struct {
	via, deny    patternsValue
	destinations int
	warm         endpointsValue
}

// anyHostKeys are those flags, which are keys of a saved tunnel as well.
func anyHostKeys() []string { return []string{"via", "deny", "destinations", "warm"} }

// isList reports whether the setting with a key is a list.
func isList(key string) bool { return slices.Contains([]string{"via", "deny", "warm"}, key) }

func (h *anyHost) flags(f *pflag.FlagSet) {
	f.Var(&h.via, "via", "for -D: what goes through the task, repeatable: *.internal, .corp.example, 10.0.0.0/8, db?.example:5432; the rest goes directly from here (default all of it)")
	f.Var(&h.deny, "deny", "for -D: what is refused, repeatable, in the same forms")
	h.destinations = tunnel.DefaultDestinations
	f.Var(bytesValue{&h.destinations, 1, maxDestinations, "N"}, "destinations", "for -D: hosts that are open at a time, each with a session of its own; the one that was idle longest makes room")
	f.Var(&h.warm, "warm", "for -D: a host and port that is opened at the start and kept, repeatable")
	under(flagsForward, f, anyHostKeys()...)
}

// anyHostOf is what a tunnel to any host is opened with. entry is what a saved one says of itself: a flag of the command line stands
// above that, and that above environment and config file; what it denies is denied besides.
func (s *shared) anyHostOf(entry *tunnel.Dynamic) *tunnel.Dynamic {
	own := s.anyHost
	d := &tunnel.Dynamic{Via: own.via, Deny: own.deny, Destinations: own.destinations, Wait: s.wait, Warm: own.warm}
	if entry == nil {
		return d
	}
	given := func(flag string) bool { return s.set.Lookup(flag).Changed }
	if len(entry.Via) > 0 && !given("via") {
		d.Via = entry.Via
	}
	if entry.Destinations > 0 && !given("destinations") {
		d.Destinations = entry.Destinations
	}
	if len(entry.Warm) > 0 && !given("warm") {
		d.Warm = entry.Warm
	}
	d.Deny = slices.Concat(entry.Deny, own.deny)
	return d
}

// settle gives the tunnels to any host among forwards the settings of the flags. If there is no such tunnel, it refuses the flags
// for it.
func (s *shared) settle(parsed []tunnel.Forward) error {
	found := false
	for i := range parsed {
		if parsed[i].Dynamic != nil {
			parsed[i].Dynamic, found = s.anyHostOf(nil), true
		}
	}
	if found {
		return nil
	}
	return s.withoutAnyHost()
}

// withoutAnyHost refuses flags of the command line that are for tunnels to any host. It is called when there is no such tunnel.
func (s *shared) withoutAnyHost() error {
	for _, flag := range anyHostKeys() {
		if s.set.Lookup(flag).Changed {
			return usage("add -D PORT, such as -D 1080, or leave it out", "--%s says something of a tunnel to any host, and there is none", flag)
		}
	}
	return nil
}

// checkRules refuses a host of --warm or --probe that the rules of the tunnel never let go through the task.
func checkRules(d *tunnel.Dynamic, probe headless.Probe) error {
	rules := front.NewRules(d.Via, d.Deny)
	check := func(flag, host string, port uint16) error {
		way, err := rules.Way(host, port)
		switch {
		case err != nil:
			return usage("name another host, or change --deny", "%s %s leads nowhere: %s", flag, hostPort(tunnel.Endpoint{Host: host, Port: port}), err)
		case way == front.Directly:
			return usage("add it to --via, or name a host that --via means", "%s %s does not go through the task: no pattern of --via means it", flag, hostPort(tunnel.Endpoint{Host: host, Port: port}))
		}
		return nil
	}
	for _, e := range d.Warm {
		if err := check("--warm", e.Host, e.Port); err != nil {
			return err
		}
	}
	if probe.Kind != headless.ProbeURL {
		return nil
	}
	port, err := strconv.ParseUint(cmp.Or(probe.URL.Port(), map[string]string{"http": "80", "https": "443"}[probe.URL.Scheme]), 10, 16)
	if err != nil {
		return usage("write a port from 1 to 65535", "--probe %s has no port", probe.URL.Redacted())
	}
	return check("--probe", probe.URL.Hostname(), uint16(port))
}

// checkProbe refuses a probe that cannot prove a tunnel to any host: one of a host that does not go through the tunnel; and, if
// all tunnels lead to any host, one with the protocol of a single server. Beside other tunnels such a probe is for the others.
func (s *shared) checkProbe(wanted []headless.Forward) error {
	for _, w := range wanted {
		if w.Spec.Dynamic == nil {
			continue
		}
		if err := checkRules(w.Spec.Dynamic, cmp.Or(w.Probe, s.probe.Probe)); err != nil {
			return err
		}
	}
	if !s.set.Lookup("probe").Changed || !s.probe.OfOneServer() || slices.ContainsFunc(wanted, func(w headless.Forward) bool { return w.Spec.Dynamic == nil }) {
		return nil
	}
	return usage("give --probe URL, which is fetched through it, or leave --probe out", "--probe %s asks one server, and a tunnel to any host has none", s.probe.String())
}

// wordingOf is what a tunnel to any host is opened with, in words that are equal when two ask for the same; empty of others.
func wordingOf(d *tunnel.Dynamic) string {
	if d == nil {
		return ""
	}
	var text strings.Builder
	for _, part := range [][2]string{
		{"via", (*patternsValue)(&d.Via).String()}, {"without", (*patternsValue)(&d.Deny).String()}, {"warm", (*endpointsValue)(&d.Warm).String()},
	} {
		if part[1] != "" {
			text.WriteString(" " + part[0] + " " + part[1])
		}
	}
	if n := cmp.Or(d.Destinations, tunnel.DefaultDestinations); n != tunnel.DefaultDestinations {
		fmt.Fprintf(&text, " at most %d", n)
	}
	return text.String()
}

// patternsValue are the patterns of --via and --deny; each use of the flag adds some.
type patternsValue []front.Pattern

func (v *patternsValue) Type() string { return "PATTERN" }

func (v *patternsValue) String() string {
	if v == nil {
		return ""
	}
	forms := make([]string, len(*v))
	for i, p := range *v {
		forms[i] = p.String()
	}
	return strings.Join(forms, ",")
}

// Set adds patterns, with commas between them.
func (v *patternsValue) Set(s string) error {
	for form := range strings.SplitSeq(s, ",") {
		form = strings.TrimSpace(form)
		p, err := front.ParsePattern(form)
		if err != nil {
			return err
		}
		*v = append(*v, p)
	}
	return nil
}

// endpointsValue are the hosts of --warm; each use of the flag adds some.
type endpointsValue []tunnel.Endpoint

func (v *endpointsValue) Type() string { return "HOST:PORT" }

func (v *endpointsValue) String() string {
	if v == nil {
		return ""
	}
	forms := make([]string, len(*v))
	for i, e := range *v {
		forms[i] = hostPort(e)
	}
	return strings.Join(forms, ",")
}

// hostPort is an endpoint as it is written, an IPv6 address in brackets.
func hostPort(e tunnel.Endpoint) string { return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))) }

// Set adds hosts, with commas between them.
func (v *endpointsValue) Set(s string) error {
	for form := range strings.SplitSeq(s, ",") {
		form = strings.TrimSpace(form)
		e, err := hostAndPort(form)
		if err != nil {
			return &partError{part: form, err: err, advice: "name a host behind the task with its port, as in db.internal:5432 or [fd00::1]:443"}
		}
		*v = append(*v, e)
	}
	return nil
}

// hostAndPort reads a host, which no tunnel to any host refuses by its nature, with its port.
func hostAndPort(form string) (tunnel.Endpoint, error) {
	f, err := tunnel.ParseForward("0:" + form) // a form with a remote host needs a local port
	host := f.Remote.Host
	addr, isAddr := address.Parse(host)
	switch {
	case err != nil || host == "" || f.Socket != "" || f.Local.Addr().IsValid():
		return tunnel.Endpoint{}, errors.New("it is no host and port")
	case address.LoopbackName(host), isAddr && address.Loopback(addr):
		return tunnel.Endpoint{}, fmt.Errorf("%s is the task itself: a tunnel to any host never leads there, -L PORT does", f.Remote.Host)
	}
	return f.Remote, nil
}

// partError is one part of a list that cannot be used.
type partError struct {
	part, advice string
	err          error
}

func (e *partError) Error() string  { return fmt.Sprintf("%q: %s", e.part, e.err) }
func (e *partError) Unwrap() error  { return e.err }
func (e *partError) Remedy() string { return e.advice }
