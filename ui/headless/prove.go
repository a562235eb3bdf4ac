package headless

import (
	"context"
	"crypto/x509"

	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// Prove makes one attempt to prove an open tunnel; err is nil when its far end answers as the probe wants. by is what the
// tunnel was proved by, in the words of the ready event. login is for a proxy that asks for one; roots are the authorities that
// may have issued a URL's certificate, nil for the system's.
func Prove(ctx context.Context, t *tunnel.Tunnel, p Probe, login *doctor.Login, roots *x509.CertPool) (by string, err error) {
	found, err := prober{tunnel: t, probe: p, login: login, roots: roots}.once(ctx)
	if found.by == provedURL && found.scheme == schemeSOCKS {
		return doctor.SOCKS.Name(), err
	}
	return found.by, err
}
