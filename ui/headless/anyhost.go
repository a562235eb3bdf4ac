package headless

import (
	"bufio"
	"context"
	"net/http"
	"time"

	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// anyHost proves a tunnel to any host: a session to its target can be opened, and what the probe asks for besides works: an
// answer of culvert's own proxy, or a URL fetched through it. Each host behind the proxy is proved when a client asks for it.
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

// refusesItself has culvert's own proxy answer a request without opening a session: the request is for 127.0.0.1:1, which is
// never reached through a tunnel.
func (p prober) refusesItself(ctx context.Context) error {
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing was sent that could be lost
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

// isProxy reports whether a URL can be probed through a tunnel. A tunnel to any host is a proxy itself; of others the remote
// port tells.
func isProxy(s tunnel.Spec) bool { return s.Dynamic != nil || proxyPort(s.Remote.Port) }

// fits reports whether the run's probe, which is the same for all tunnels, can be used on this one: behind a tunnel to any host
// there is no single server that could answer.
func (p Probe) fits(s tunnel.Spec) bool {
	return s.Dynamic == nil || !p.OfOneServer()
}

// OfOneServer reports whether a probe asks for a protocol that a proxy does not speak.
func (p Probe) OfOneServer() bool { return p.Kind == ProbeProtocol && p.Protocol != doctor.SOCKS }

// standsAsBefore reports whether an event says nothing new about a tunnel to any host: it was open and still is. That another
// session carries a destination is an event of that destination.
func (t *tracked) standsAsBefore(before tunnel.State, e tunnel.Event) bool {
	return t.Spec().Dynamic != nil && e.Destination == nil && before == tunnel.Open && e.State == tunnel.Open
}

// proveAgain reports whether an event asks for another proof: a tunnel now leads to another task or session, or a tunnel to any
// host is open again. Of the latter the sessions do not matter: each leads to one host and says nothing about the others.
func (t *tracked) proveAgain(before tunnel.State, e tunnel.Event) bool {
	if t.Spec().Dynamic != nil {
		return before != tunnel.Open
	}
	return t.Moved(t.proving, e.Link)
}
