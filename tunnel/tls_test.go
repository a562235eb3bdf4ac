package tunnel_test

import (
	"bytes"
	"encoding/pem"
	"io"
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

// AWS's own streams are wss, behind AWS_CA_BUNDLE where somebody inspects TLS.
func TestStreamOverTLSWithTheUsersCABundle(t *testing.T) {
	w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
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
	w.use(client)
	tn := w.open(tunnel.Spec{})
	conn := w.dial(tn)
	mustExchange(t, conn, random(2<<20, 1))
	w.account.CutClientLeg()
	mustExchange(t, conn, random(100_000, 2))
}
