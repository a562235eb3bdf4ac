package headless

import (
	"context"
	"errors"
	"os"
	"time"

	"culvert/internal/say"
	"culvert/tunnel/doctor"
)

// protocol proves that the far end speaks the protocol that the probe names.
func (p prober) protocol(ctx context.Context, found *proof) error {
	want := p.probe.Protocol
	if want == doctor.SOCKS {
		return p.socks(ctx, found)
	}
	found.by, found.scheme = want.Name(), ""
	return p.speaks(ctx, want)
}

// socks proves a SOCKS proxy.
func (p prober) socks(ctx context.Context, found *proof) error {
	answer, err := p.ask(ctx, doctor.SOCKS, 0, p.patience())
	switch {
	case err != nil:
		return p.plainly(ctx, err, doctor.SOCKS)
	case answer.Protocol != doctor.SOCKS:
		return &doctor.OtherProtocolError{Remote: p.tunnel.Spec().Remote, Wanted: doctor.SOCKS, Got: answer.Protocol}
	}
	return p.take(answer, found)
}

// web proves that the far end answers in HTTP and, where the probe asks for that, that it is a proxy.
func (p prober) web(ctx context.Context, found *proof) error {
	answer, err := p.ask(ctx, doctor.HTTP, 0, probeTimeout/2)
	remote := p.tunnel.Spec().Remote
	switch {
	case err != nil:
		return p.plainly(ctx, err, doctor.HTTP)
	case p.probe.Kind == ProbeProxy && (answer.Protocol != doctor.HTTP || !answer.Proxy):
		return &ProbeError{
			Problem: remote.String() + " accepts, but is no HTTP proxy: it is " + answer.String(),
			Advice:  "check the port, or use " + p.fitting(answer) + " if that is what should be there",
			Lasting: true,
		}
	case answer.Protocol == doctor.Unknown:
		return &notHTTPError{err: errors.New("what it says is no HTTP")}
	case answer.Protocol != doctor.HTTP:
		return &doctor.OtherProtocolError{Remote: remote, Wanted: doctor.HTTP, Got: answer.Protocol}
	}
	return p.take(answer, found)
}

// fitting is the --probe that a far end would pass, by its answer.
func (p prober) fitting(answer doctor.Answer) string {
	if name := answer.Protocol.Name(); name != "" {
		return "--probe " + name
	}
	return "--probe tcp"
}

// take records what an answer says of the far end. A login that the proxy refuses is an error: nothing would get through.
func (p prober) take(answer doctor.Answer, found *proof) error {
	found.by, found.scheme, found.server = provedTCP, "", say.Brief(answer.Server)
	if name := answer.Protocol.Name(); name != "" {
		found.by = name
	}
	switch {
	case !answer.Proxy:
	case answer.Protocol == doctor.SOCKS:
		found.scheme = schemeSOCKS
	default:
		found.by, found.scheme = provedProxy, schemeHTTP
	}
	if answer.Login && p.login != nil {
		e := &doctor.LoginWantedError{Remote: p.tunnel.Spec().Remote, Given: p.login}
		return &ProbeError{Problem: e.Error(), Advice: e.Remedy(), Lasting: true}
	}
	found.login = answer.Login
	return nil
}

// ask asks the far end what it is. greeting is how long a server may take that speaks first, patience how long each answer may
// take.
func (p prober) ask(ctx context.Context, opening doctor.Protocol, greeting, patience time.Duration) (doctor.Answer, error) {
	q := doctor.Question{Remote: p.tunnel.Spec().Remote, Patience: patience, Greeting: greeting, Login: p.login, Opening: opening}
	return q.Ask(ctx, p.dial)
}

// patience is how long the far end may take to answer in a protocol.
func (p prober) patience() time.Duration { return speakTimeout + p.ways() }

// ways is how long the session itself may take to carry a question and its answer.
func (p prober) ways() time.Duration { return 4 * p.tunnel.Stats().RoundTrip }

// greeting is how long a server that speaks first may take to do so.
func (p prober) greeting() time.Duration { return greetingWithin + 2*p.tunnel.Stats().RoundTrip }

// plainly turns the error of a far end that was asked in a protocol into one that says why it has not answered.
func (p prober) plainly(ctx context.Context, err error, want doctor.Protocol) error {
	shut, isShut := errors.AsType[*doctor.ShutError](err)
	_, isSilent := errors.AsType[*doctor.SilentError](err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case isSilent && want == doctor.HTTP:
		return &notHTTPError{os.ErrDeadlineExceeded}
	case isShut && want == doctor.HTTP:
		return p.dropped(shut.Err)
	case isSilent, isShut:
		return &doctor.MutedError{Remote: p.tunnel.Spec().Remote, Wanted: want, After: p.patience(), Err: hungUp(shut)}
	}
	return err
}

// hungUp is the error with which the far end closed the connection; nil when it did not.
func hungUp(shut *doctor.ShutError) error {
	if shut == nil {
		return nil
	}
	return shut.Err
}

// guess proves the protocol that the remote port stands for. A server that does not answer in it is accepted as it is. A server
// that is found to speak another protocol is an error, unless it is a proxy: proxies are accepted at any port.
func (p prober) guess(ctx context.Context, found *proof) error {
	port := p.tunnel.Spec().Remote.Port
	expected := doctor.ByPort(port)
	switch {
	case expected == doctor.HTTP, expected == doctor.Unknown, expected == doctor.SOCKS:
		return p.who(ctx, found, expected)
	case p.before.scheme != "": // the last proof found a proxy where the port stands for another server
		return p.who(ctx, found, doctor.HTTP)
	}
	err := p.speaks(ctx, expected)
	other, isOther := errors.AsType[*doctor.OtherProtocolError](err)
	switch {
	case isOther && other.Got == doctor.TLS:
		expected, err = doctor.TLS, nil // the port's own protocol may be inside
	case isOther && other.Got == doctor.HTTP:
		if answer, asking := p.ask(ctx, doctor.HTTP, 0, p.patience()); asking == nil && answer.Proxy {
			return p.take(answer, found)
		}
		return err
	case isOther && other.Got != doctor.Unknown:
		return err
	case err != nil && expected == doctor.TLS: // SOCKS proxies listen on 443, too, as firewalls let it through
		if answer, asking := p.ask(ctx, doctor.SOCKS, 0, p.patience()); asking == nil && answer.Protocol == doctor.SOCKS {
			return p.take(answer, found)
		}
	}
	if err == nil {
		found.by = expected.Name()
	}
	return ctx.Err()
}

// who asks a far end what it is whose port stands for a proxy, a web server or nothing known. A server that does not say is
// accepted as it is.
func (p prober) who(ctx context.Context, found *proof, expected doctor.Protocol) error {
	remote := p.tunnel.Spec().Remote
	greeting, patience := p.greeting(), strangerTimeout+p.ways()
	switch {
	case expected == doctor.HTTP:
		greeting, patience = 0, probeTimeout/2
	case expected == doctor.SOCKS:
		greeting, patience = 0, p.patience()
	case p.before.by == provedTCP || p.before.by == "" && unasked(remote.Port):
		return nil
	case p.before.by == provedHTTP || p.before.scheme != "":
		greeting = 0
	}
	answer, err := p.ask(ctx, expected, greeting, patience)
	shut, isShut := errors.AsType[*doctor.ShutError](err)
	_, isSilent := errors.AsType[*doctor.SilentError](err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case isShut && strictPort(remote.Port):
		return p.dropped(shut.Err)
	case isShut, isSilent:
		found.scheme = ""
		return nil
	case err != nil:
		return err
	}
	return p.take(answer, found)
}
