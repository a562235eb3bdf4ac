package headless

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"culvert/internal/say"
	"culvert/tunnel/doctor"
)

// warn reports something that is likely to go wrong behind a tunnel that is ready.
func (r *run) warn(t *tracked, problem, remedy string) {
	r.printer.event(warningEvent{head: newHead(time.Now(), "warning", t.ID()), Warning: say.Line(problem), Remedy: say.Line(remedy)})
	r.GitHub.Warn(problem, remedy)
}

// warnOfProxies tells what the command may miss: a proxy where the user could have expected one, or the way through it.
func (r *run) warnOfProxies(listeners []Listener) {
	c := r.Command
	if c.Proxy.Off {
		return
	}
	i := slices.IndexFunc(listeners, func(p Listener) bool { return p.URL != "" })
	if i < 0 {
		r.withoutProxy()
		return
	}
	t := r.tunnels[i]
	var probed *url.URL
	if p := r.probeOf(t); p.Kind == ProbeURL {
		probed = p.URL
	}
	for _, w := range []Warning{Exempted(c.Env, c.Proxy, c.NoProxy, probed, t.Spec().Dynamic), Undone(c.Env, c.Proxy, c.NoProxy)} {
		if w != (Warning{}) {
			r.warn(t, w.Problem, w.Remedy)
		}
	}
}

// withoutProxy tells that the command gets no proxy's variables: as a warning where they were asked for, in a line where
// they could be expected.
func (r *run) withoutProxy() {
	var seen []string
	expected := false
	for _, t := range r.tunnels {
		seen = append(seen, t.Spec().FarEnd()+" "+t.found.asSeen(t.Spec().Socket))
		expected = expected || t.found.mayBeProxy(t.Spec().Remote.Port)
	}
	said := r.Command.Proxy.Said
	switch {
	case said != "":
		w := NoProxyAt("--proxy-env="+said, seen)
		r.warn(r.tunnels[0], w.Problem+": the command gets no HTTP_PROXY", w.Remedy)
	case expected && !r.Command.knowsListener():
		r.notices.say("the command gets no HTTP_PROXY, as no proxy is at the far end: " + strings.Join(seen, ", ") + "; it listens on what CULVERT_ADDR says")
	}
}

// NoProxyAt warns that what the user asked for needs a proxy, but none is there; seen says what the far ends are instead.
func NoProxyAt(asked string, seen []string) Warning {
	return Warning{
		Problem: asked + ", but no proxy is at the far end: " + strings.Join(seen, ", "),
		Remedy:  "forward to the proxy's port; --probe http-proxy makes it an error, and the doctor says what answers there",
	}
}

// asSeen says what a tunnel's far end was seen to be.
func (p proof) asSeen(socket string) string {
	return Seen(p.by, p.server, p.scheme != "" && socket != "")
}

// Seen says what a far end that is no proxy for programs was found to be, by its proof and by the name that its server gives
// itself.
func Seen(by, server string, atSocket bool) string {
	switch {
	case atSocket:
		return "is one, but at a unix socket, which no proxy variable can name"
	case by == provedNone:
		return "was not asked (--probe none)"
	case by == provedTCP:
		return "accepts, and does not say what it is"
	case server != "":
		return fmt.Sprintf("answers as %s (%s)", by, say.Line(server))
	}
	return "answers as " + by
}

// mayBeProxy reports whether a user could expect a proxy at a far end that was not found to be one: a web server, or a server
// that says nothing, at a port that stands for no other protocol.
func (p proof) mayBeProxy(port uint16) bool {
	switch p.by {
	case provedHTTP, provedProxy, provedURL:
		return true
	case provedTCP, provedNone:
		switch doctor.ByPort(port) { //nolint:exhaustive // the others are no proxy's
		case doctor.Unknown, doctor.HTTP, doctor.SOCKS:
			return true
		}
	}
	return false
}

var listenerNames = regexp.MustCompile(`CULVERT_(HOST|PORT|ADDR)`)

// knowsListener reports whether a command is told by its arguments where the tunnel listens.
func (c *Command) knowsListener() bool {
	return slices.ContainsFunc(c.Args[1:], func(argument string) bool {
		return templateForm.MatchString(argument) || listenerNames.MatchString(argument)
	})
}
