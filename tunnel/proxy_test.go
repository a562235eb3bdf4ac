package tunnel_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/elazarl/goproxy"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// corporate is an HTTP proxy that alone knows where aws.test is, and remembers what it was asked for.
type corporate struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newCorporate(t *testing.T, awsAddress string) *corporate {
	t.Helper()
	c := &corporate{}
	proxy := goproxy.NewProxyHttpServer()
	proxy.Logger = log.New(io.Discard, "", 0)
	dial := func(_, address string) (net.Conn, error) {
		c.mu.Lock()
		c.asked = append(c.asked, address)
		c.mu.Unlock()
		var d net.Dialer
		return d.DialContext(context.Background(), "tcp", awsAddress)
	}
	proxy.Tr = &http.Transport{DialContext: func(_ context.Context, network, address string) (net.Conn, error) { return dial(network, address) }}
	proxy.ConnectDial = dial
	c.Server = httptest.NewServer(proxy)
	t.Cleanup(c.Close)
	t.Cleanup(proxy.Tr.CloseIdleConnections)
	return c
}

// users.md 15: behind a corporate proxy the API calls and the websocket both go through it.
func TestWebsocketGoesThroughTheProxyOfTheEnvironment(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.StreamHost = "aws.test" })
	address := strings.TrimPrefix(w.account.URL(), "http://")
	proxy := newCorporate(t, address)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("NO_PROXY", "")
	key, secret := w.account.Credentials()
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: "http://aws.test", Keys: aws.Keys{ID: key, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	w.use(client)
	mustExchange(t, w.dial(w.open(tunnel.Spec{})), random(100_000, 1))
	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	if len(proxy.asked) < 2 || proxy.asked[0] != "aws.test:80" {
		t.Errorf("the proxy was asked for %v, want the API and the websocket", proxy.asked)
	}
}

// A proxy variable that points at our own listener would send AWS's traffic in a circle.
func TestOwnListenerIsNeverUsedAsProxy(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.StreamHost = "aws.test" })
	proxy := newCorporate(t, strings.TrimPrefix(w.account.URL(), "http://"))
	tn := w.start(tunnel.Spec{}) // its listener is the proxy now; aws.test cannot be reached without one
	t.Setenv("HTTP_PROXY", "http://"+tn.Addr().String())
	t.Setenv("NO_PROXY", "")
	key, secret := w.account.Credentials()
	client, err := aws.Connect(t.Context(), aws.Options{
		Region: "eu-west-1", Endpoint: "http://aws.test", Keys: aws.Keys{ID: key, Secret: secret},
	})
	if err != nil {
		t.Fatal(err)
	}
	client.Own([]netip.AddrPort{tn.Addr()})
	request := httptest.NewRequest(http.MethodGet, "http://aws.test/", nil)
	if through, err := client.Proxy(request); err != nil || through != nil {
		t.Errorf("got proxy %v, %v; want none", through, err)
	}
	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	if len(proxy.asked) != 0 {
		t.Errorf("the proxy was asked for %v", proxy.asked)
	}
}
