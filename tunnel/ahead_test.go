package tunnel_test

import (
	"bytes"
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
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// aheadOverTLS puts TLS before the account, by an authority that only AWS_CA_BUNDLE knows, and returns a client that goes there
// and the server, which tells the states of its connections.
func (w *world) aheadOverTLS(state func(http.ConnState)) (*aws.Client, *httptest.Server) {
	t := w.T
	t.Helper()
	back, err := url.Parse(w.account.URL())
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
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
	front.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if state != nil {
			state(s)
		}
	}
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
		client, front := w.aheadOverTLS(func(state http.ConnState) {
			switch state {
			case http.StateNew:
				arrived <- struct{}{}
			case http.StateIdle:
				idle <- struct{}{}
			case http.StateActive, http.StateHijacked, http.StateClosed:
			}
		})
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
