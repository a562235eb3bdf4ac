package headless

import (
	"context"
	"crypto/x509"

	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// Prove tries a tunnel that is open, once: no error when its far end answers as the probe wants it to. by is what it was
// proved by, as the ready event says it. login is for a proxy that asks for one. roots are the authorities that a URL's certificate may come from, nil the system's.
func Prove(ctx context.Context, t *tunnel.Tunnel, p Probe, login *doctor.Login, roots *x509.CertPool) (by string, err error) {
	found, err := prober{tunnel: t, probe: p, login: login, roots: roots}.once(ctx)
	if found.by == provedURL && found.scheme == schemeSOCKS {
		return doctor.SOCKS.Name(), err
	}
	return found.by, err
}
