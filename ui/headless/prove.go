package headless

import (
	"context"
	"crypto/x509"

	"culvert/tunnel"
)

// Prove tries a tunnel that is open, once: nil when its far end answers as the probe wants it to. roots are the
// authorities that a URL's certificate may come from, nil the system's.
func Prove(ctx context.Context, t *tunnel.Tunnel, p Probe, roots *x509.CertPool) error {
	_, err := prober{tunnel: t, probe: p, roots: roots}.once(ctx)
	return err
}
