package headless

import (
	"bufio"
	"context"
	"net/http"
	"time"

	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// anyHost proves a tunnel to any host: a session to its target was opened, and with a URL that was fetched through it. The proxy
// is culvert's own, and of the hosts behind it each is proved when somebody asks for it.
func (p prober) anyHost(ctx context.Context) (proof, error) {
	found := proof{by: provedNone, scheme: schemeHTTP, session: true}
	if p.probe.Kind == ProbeNone {
		return found, nil
	}
	if _, err := p.connect(ctx); err != nil {
		return proof{}, err
	}
	found.by = provedSession
	asked := time.Now()
	switch p.probe.Kind {
	case ProbeNone, ProbeAuto, ProbeTCP:
		return found, nil
	case ProbeHTTP, ProbeProxy:
		if err := p.refusesItself(ctx); err != nil {
			return proof{}, err
		}
	case ProbeURL:
		if err := p.fetch(ctx, schemeHTTP); err != nil {
			return proof{}, p.unfetched(ctx, err)
		}
	case ProbeProtocol:
		if p.probe.Protocol != doctor.SOCKS {
			return proof{}, &ProbeError{Problem: "a tunnel to any host has no server that could answer in " + p.probe.Protocol.Name(), Advice: "use --probe URL, which is fetched through it, or leave --probe out", Lasting: true}
		}
		if _, err := p.ask(ctx, doctor.SOCKS, 0, p.patience()); err != nil {
			return proof{}, p.plainly(ctx, err, doctor.SOCKS)
		}
		found.by = doctor.SOCKS.Name()
		found.answered = time.Since(asked)
		return found, nil
	}
	found.by, found.answered = provedProxy, time.Since(asked)
	return found, nil
}

// refusesItself has the proxy answer without a session: to a request for what is never reached through it.
func (p prober) refusesItself(ctx context.Context) error {
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // only asked
	_ = conn.SetDeadline(time.Now().Add(probeTimeout / 2))
	asked, err := http.NewRequestWithContext(ctx, http.MethodConnect, "http://127.0.0.1:1", http.NoBody)
	if err != nil {
		return err
	}
	if _, err = conn.Write([]byte("CONNECT " + asked.Host + " HTTP/1.1\r\nHost: " + asked.Host + "\r\n\r\n")); err != nil {
		return &notHTTPError{err}
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), asked)
	if err != nil {
		return &notHTTPError{err}
	}
	return answer.Body.Close()
}

// unfetched is why a URL could not be fetched.
func (p prober) unfetched(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &ProbeError{Problem: "probe " + p.probe.URL.Redacted(), Advice: "check the URL from a machine that reaches it, or use --probe tcp", Err: err}
}

// isProxy reports whether a URL is probed through a tunnel: one to any host is a proxy, others are expected to be by their port.
func isProxy(s tunnel.Spec) bool { return s.Dynamic != nil || proxyPort(s.Remote.Port) }

// fits reports whether a probe, which is for all tunnels of a run, says something of one to any host.
func (p Probe) fits(s tunnel.Spec) bool {
	return s.Dynamic == nil || !p.OfOneServer()
}

// OfOneServer reports whether a probe asks for a protocol that a proxy does not speak.
func (p Probe) OfOneServer() bool { return p.Kind == ProbeProtocol && p.Protocol != doctor.SOCKS }

// standsAsBefore reports whether a step says nothing new: a tunnel to any host that is open goes on being so when another session
// is, and that is a step of the destination which has it.
func (t *tracked) standsAsBefore(before tunnel.State, e tunnel.Event) bool {
	return t.Spec().Dynamic != nil && e.Destination == nil && before == tunnel.Open && e.State == tunnel.Open
}

// proveAgain reports whether a step asks for another proof: the tunnel leads elsewhere, or that to any host is back. Sessions to
// a host of its own say nothing of the others.
func (t *tracked) proveAgain(before tunnel.State, e tunnel.Event) bool {
	if t.Spec().Dynamic != nil {
		return before != tunnel.Open
	}
	return t.Moved(t.proving, e.Link)
}
