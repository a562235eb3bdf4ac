package tunnel_test

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
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
	"sync"
	"testing"
	"time"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// aheadOverTLS puts TLS before the account, by an authority that only AWS_CA_BUNDLE knows, and returns a client that goes there
// and the server, which tells the states of its connections, and what it is asked before it answers. Either may be nil.
func (w *world) aheadOverTLS(state func(net.Conn, http.ConnState), asked func(*http.Request)) (*aws.Client, *httptest.Server) {
	t := w.T
	t.Helper()
	back, err := url.Parse(w.account.URL())
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			if asked != nil {
				asked(r.In)
			}
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
	front.Config.ConnState = state
	front.EnableHTTP2 = true // as AWS does; a websocket cannot use it
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
	return client, front
}

// What a session needs first is there before the session is: no connection is opened for it any more.
func TestTheFirstSessionTakesWhatWasOpenedAhead(t *testing.T) {
	for _, gone := range []bool{false, true} {
		w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{Lanes: 1}, nil)
		arrived, idle := make(chan struct{}, 20), make(chan struct{}, 20)
		client, front := w.aheadOverTLS(func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				arrived <- struct{}{}
			case http.StateIdle:
				idle <- struct{}{}
			case http.StateActive, http.StateHijacked, http.StateClosed:
			}
		}, nil)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			tunnel.OpenAhead(t.Context(), client)
		}()
		for range 2 { // one to the API, one for the stream
			<-arrived
		}
		<-idle // the API has answered
		if gone {
			front.CloseClientConnections() // as a service does that has waited for long enough
		}
		w.use(client)
		mustExchange(t, w.dial(w.open(tunnel.Spec{})), random(100_000, 1))
		<-ended
		if more := len(arrived); (more > 0) != gone {
			t.Errorf("gone %v: got %d connections more", gone, more)
		}
		if n := w.account.Calls("StartSession"); n != 1 {
			t.Errorf("gone %v: got %d sessions, want 1", gone, n)
		}
	}
}

// A client waits for the session of a new host: while that is asked for, TLS of its stream is there already.
func TestTheStreamOfANewHostIsOpenedWhileItsSessionIsAskedFor(t *testing.T) {
	w := newPoolWorld(t, 2, nil)
	var mu sync.Mutex
	unused := map[net.Conn]bool{} // connections that carry nothing yet
	streams := func() bool {
		mu.Lock()
		defer mu.Unlock()
		for conn := range unused {
			if state := conn.(*tls.Conn).ConnectionState(); state.HandshakeComplete && state.NegotiatedProtocol == "" { // no API's
				return true
			}
		}
		return false
	}
	client, _ := w.aheadOverTLS(func(conn net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		unused[conn] = state == http.StateNew
		if state != http.StateNew {
			delete(unused, conn)
		}
	}, func(r *http.Request) {
		if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".StartSession") {
			return
		}
		for began := time.Now(); !streams(); time.Sleep(time.Millisecond) {
			if time.Since(began) > 10*time.Second {
				t.Error("a session is asked for, and no stream is being opened")
				return
			}
		}
	})
	w.use(client)
	tn := w.dynamic(tunnel.Dynamic{}, nil)
	for i := range 3 {
		if err := w.visit(tn, host(i), 1000); err != nil {
			t.Error(err)
		}
	}
	if n := w.account.Calls("StartSession"); n != 4 {
		t.Errorf("got %d sessions, want those of the scout and three hosts", n)
	}
}
