package screen

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/tunnel/front"
)

// Forwards and tunnels to any host in the words of flags and config files.

// forwardWords writes a forward in one line: the form of -L, or of -D with the flags that go with it.
func forwardWords(f tunnel.Forward) string {
	if f.Dynamic == nil {
		return f.String()
	}
	words := []string{"-D", f.String()}
	for _, form := range forms(f.Dynamic.Via) {
		words = append(words, "--via", form)
	}
	for _, form := range forms(f.Dynamic.Deny) {
		words = append(words, "--deny", form)
	}
	if n := f.Dynamic.Destinations; n > 0 {
		words = append(words, "--destinations", strconv.Itoa(n))
	}
	for _, e := range hostPorts(f.Dynamic.Warm) {
		words = append(words, "--warm", e)
	}
	return strings.Join(words, " ")
}

// farOf names the far end of a forward for people.
func farOf(f tunnel.Forward) string {
	return tunnel.Spec{Remote: f.Remote, Dynamic: f.Dynamic}.FarEnd()
}

// hostPort writes a destination as clients name it.
func hostPort(e tunnel.Endpoint) string { return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))) }

// hostPorts writes destinations as clients name them.
func hostPorts(of []tunnel.Endpoint) []string {
	written := make([]string, len(of))
	for i, e := range of {
		written[i] = hostPort(e)
	}
	return written
}

// endpoints reads what hostPorts has written.
func endpoints(written []string) ([]tunnel.Endpoint, error) {
	var parsed []tunnel.Endpoint
	for _, text := range written {
		f, err := tunnel.ParseForward("0:" + text)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, f.Remote)
	}
	return parsed, nil
}

// forms writes patterns.
func forms(patterns []front.Pattern) []string {
	written := make([]string, len(patterns))
	for i, p := range patterns {
		written[i] = p.String()
	}
	return written
}

// patterns reads a list of patterns; the error names the first word that is none.
func patterns(words []string) ([]front.Pattern, error) {
	var parsed []front.Pattern
	for _, word := range words {
		p, err := front.ParsePattern(word)
		if err != nil {
			if text := err.Error(); !strings.Contains(text, word) {
				err = errors.New(word + ": " + text)
			}
			return nil, err
		}
		parsed = append(parsed, p)
	}
	return parsed, nil
}

// capOf is how many destinations a tunnel to any host has open at a time at the most.
func capOf(d *tunnel.Dynamic) int {
	if d.Destinations > 0 {
		return d.Destinations
	}
	return tunnel.DefaultDestinations
}

// sameFar reports whether two forwards have the same far end: one endpoint, or any host by the same rules.
func sameFar(a, b tunnel.Forward) bool {
	if a.Dynamic == nil || b.Dynamic == nil {
		return a.Dynamic == b.Dynamic && a.Remote == b.Remote
	}
	same := func(a, b []front.Pattern) bool {
		one, other := forms(a), forms(b)
		slices.Sort(one)
		slices.Sort(other)
		return slices.Equal(slices.Compact(one), slices.Compact(other))
	}
	return same(a.Dynamic.Via, b.Dynamic.Via) && same(a.Dynamic.Deny, b.Dynamic.Deny) && capOf(a.Dynamic) == capOf(b.Dynamic)
}

// forwardOf returns the forward of a spec, with the port on which its tunnel listens.
func forwardOf(spec tunnel.Spec, local uint16) tunnel.Forward {
	return tunnel.Forward{
		Remote: spec.Remote, Dynamic: spec.Dynamic, Socket: spec.Socket, Local: netip.AddrPortFrom(spec.Local.Addr(), local),
	}
}

// behind says how many destinations of a tunnel to any host are open through a task, and how many there may be; empty for other
// tunnels, and where that is not known.
func (r reading) behind() string {
	if r.Spec.Dynamic == nil || !r.counted {
		return ""
	}
	return say.Count(uint64(max(r.through, 0))) + "/" + say.Count(uint64(max(capOf(r.Spec.Dynamic), 0)))
}
