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

// visitors are clients that use every tunnel to the demo's proxy now and then, so that the screen shows some traffic.
type visitors struct {
	mu     sync.Mutex
	cancel []context.CancelFunc
	work   sync.WaitGroup
}

// The demo shows within a minute what happens by itself: something happens every demoLife on average, a task takes demoPace from
// one status to the next, the screen reads the account every demoRefresh, which misses none of that, and the service to which a
// newcomer has a tunnel is deployed.
const (
	demoLife    = 4 * time.Second
	demoPace    = 2500 * time.Millisecond
	demoRefresh = 2 * time.Second

	firstDeployment = 35 * time.Second
	nextDeployment  = 90 * time.Second
)

// The row of the browser at which the demo begins.
const (
	demoCluster = "automation"
	demoService = "squid"
)

// deploys begins a deployment of the demo's service after first, and then one every time after every, until ctx ends. They show
// that tunnels follow their service.
func deploys(ctx context.Context, account *emulator.Emulator, first, every time.Duration) {
	for wait := first; ; wait = every {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		_ = account.Deploy(demoCluster, demoService) // the demo always has this service
	}
}

// proxyOfDemo is the port of the demo's squid service.
const proxyOfDemo = 3128

// enliven has visitors use the tunnels of an engine until leave is called.
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

// leave ends all visits, and waits for their end.
func (v *visitors) leave() {
	v.mu.Lock()
	for _, cancel := range v.cancel {
		cancel()
	}
	v.mu.Unlock()
	v.work.Wait()
}

// visit requests pages of private hosts through a tunnel, in a random order, until the tunnel is over or ctx ends.
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
		_ = ask(ctx, client) // an error is seen at the tunnel
	}
}

// ask makes one random request. Most requests are small.
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
