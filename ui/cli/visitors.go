package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"culvert/aws/emulator"
	"culvert/tunnel"
)

// visitors are clients that use every tunnel to the demo's proxy now and then, so that there is something to see.
type visitors struct {
	mu     sync.Mutex
	cancel []context.CancelFunc
	work   sync.WaitGroup
}

// What happens by itself on the screen of the demo is to be seen within a minute: something every few seconds, a task
// that takes one or two of them from one status to the next, a look that misses neither, and deployments of the service
// that a newcomer has a tunnel to.
const (
	demoLife    = 4 * time.Second
	demoPace    = 2500 * time.Millisecond
	demoRefresh = 2 * time.Second

	firstDeployment = 35 * time.Second
	nextDeployment  = 90 * time.Second
)

// Where a newcomer begins.
const (
	demoCluster = "automation"
	demoService = "squid"
)

// deploys begins deployments of the demo's service until ctx ends, after first and then every so often: tunnels are to follow.
func deploys(ctx context.Context, account *emulator.Emulator, first, every time.Duration) {
	for wait := first; ; wait = every {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		_ = account.Deploy(demoCluster, demoService) // it is always there
	}
}

// proxyOfDemo is the port of the demo's squid service.
const proxyOfDemo = 3128

// enliven lets visitors come to the tunnels of an engine, until leave.
func (s *screenAccount) enliven(ctx context.Context, e *tunnel.Engine) {
	ctx, cancel := context.WithCancel(ctx)
	v := &s.visitors
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cancel = append(v.cancel, cancel)
	events := e.Watch(ctx)
	roots := (&account{demo: s.demo}).roots()
	v.work.Go(func() {
		seen := map[tunnel.ID]bool{}
		for event := range events {
			if event.State != tunnel.Open || seen[event.Tunnel] {
				continue
			}
			seen[event.Tunnel] = true
			for _, t := range e.Tunnels() {
				spec := t.Spec()
				if t.ID() == event.Tunnel && spec.Remote == (tunnel.Endpoint{Port: proxyOfDemo}) && spec.Socket == "" {
					v.work.Go(func() { visit(ctx, t, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}) })
				}
			}
		}
	})
}

// leave ends all visits.
func (v *visitors) leave() {
	v.mu.Lock()
	for _, cancel := range v.cancel {
		cancel()
	}
	v.mu.Unlock()
	v.work.Wait()
}

// visit asks private hosts for something through a tunnel, in an order that chance decides.
func visit(ctx context.Context, t *tunnel.Tunnel, trust *tls.Config) {
	proxy := &url.URL{Scheme: "http", Host: t.Addr().String()}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: trust, IdleConnTimeout: 3 * time.Second}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	for {
		wait := 400*time.Millisecond + rand.N(2*time.Second) //nolint:gosec // chance, not a secret
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if state, _ := t.State(); state.Final() {
			return
		}
		_ = ask(ctx, client) // what goes wrong is to be seen in the tunnel
	}
}

// ask makes one request, mostly small ones.
func ask(ctx context.Context, client *http.Client) error {
	method, address, body := http.MethodGet, "http://orders.internal/orders", []byte(nil)
	switch rand.N(9) { //nolint:gosec // as above
	case 0:
		address = "http://orders.internal/export?bytes=1500000"
	case 1:
		method, address, body = http.MethodPost, "http://orders.internal/import", bytes.Repeat([]byte("row\n"), 60_000)
	case 2, 3:
		address = "https://billing.internal/"
	case 4:
		address = "http://orders.internal/"
	case 5:
		address = "https://billing.internal/health"
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return err
}
