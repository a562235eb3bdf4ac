package tunnel_test

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// behindTLS puts a server with TLS before the account, as AWS's are, and lets the world's client go through it, which trusts it by
// AWS_CA_BUNDLE. It counts the connections; pass sees every request before it goes on.
func behindTLS(t *testing.T, w *world, pass func(*http.Request)) (accepted *atomic.Int64) {
	t.Helper()
	accepted = new(atomic.Int64)
	back, err := url.Parse(w.account.URL())
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			pass(r.In)
			r.SetURL(back)
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode == http.StatusSwitchingProtocols {
				return nil
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			body = bytes.ReplaceAll(body, []byte("ws://"), []byte("wss://"))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		},
	})
	front.EnableHTTP2 = true // as AWS does; a websocket cannot use it
	front.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			accepted.Add(1)
		}
	}
	front.StartTLS()
	t.Cleanup(front.Close)
	w.account.Fault(func(f *emulator.Faults) { f.StreamHost = front.Listener.Addr().String() })

	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	key, secret := w.account.Credentials()
	for name, value := range map[string]string{
		"AWS_CA_BUNDLE": bundle, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret,
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: front.URL})
	if err != nil {
		t.Fatal(err)
	}
	w.use(client)
	return accepted
}

// AWS's own streams are wss, behind AWS_CA_BUNDLE where somebody inspects TLS.
func TestStreamOverTLSWithTheUsersCABundle(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
	behindTLS(t, w, func(*http.Request) {})
	tn := w.open(tunnel.Spec{})
	conn := w.dial(tn)
	mustExchange(t, conn, random(2<<20, 1))
	w.account.CutClientLeg()
	mustExchange(t, conn, random(100_000, 2))
}

// What the agent sends while the socket is away is lost, so the way back is short: the API is asked on the connection that stands,
// the websocket is opened meanwhile, with the ticket of the last one.
func TestAResumeCostsOneConnection(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{Lanes: 1}, nil)
	var lost atomic.Bool
	upgraded := make(chan bool, 10) // with a ticket
	asked := make(chan string, 10)
	accepted := behindTLS(t, w, func(r *http.Request) {
		switch {
		case !lost.Load():
		case r.Header.Get("Upgrade") != "":
			upgraded <- r.TLS.DidResume
		case strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ResumeSession"):
			for end := time.Now().Add(5 * time.Second); len(upgraded) == 0 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			asked <- fmt.Sprintf("with %d websockets on their way", len(upgraded))
		}
	})
	tn := w.open(tunnel.Spec{})
	conn := w.dial(tn)
	mustExchange(t, conn, random(100_000, 1))
	before := accepted.Load()
	lost.Store(true)
	w.account.CutClientLeg()
	mustExchange(t, conn, random(100_000, 2))
	if got := <-asked; got != "with 1 websockets on their way" {
		t.Errorf("the session was resumed %s, want 1", got)
	}
	if !<-upgraded {
		t.Error("the websocket's TLS has begun from nothing, want the ticket of the last one used")
	}
	if n := accepted.Load() - before; n != 1 || len(asked)+len(upgraded) > 0 {
		t.Errorf("%d connections, %d more calls and %d more websockets, want one connection alone", n, len(asked), len(upgraded))
	}
}
