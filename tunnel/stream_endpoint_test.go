package tunnel_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/internal/say"
	"culvert/tunnel"
)

// door is a VPC endpoint for ssmmessages: it speaks TLS under its own name, and leads to the emulator.
type door struct {
	*httptest.Server

	mu    sync.Mutex
	names []string // of TLS's SNI, and of the Host header
}

func newDoor(t *testing.T, to string) *door {
	t.Helper()
	back, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{}
	d.Server = httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		d.note("Host " + r.In.Host + r.In.URL.Path)
		r.SetURL(back)
		r.Out.Host = r.In.Host // it is signed
	}})
	d.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		d.note("SNI " + hello.ServerName)
		return nil, nil //nolint:nilnil // as the server is set up
	}}
	d.Config.ErrorLog = log.New(io.Discard, "", 0)
	d.StartTLS()
	t.Cleanup(d.Close)
	return d
}

func (d *door) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names = append(d.names, what)
}

func (d *door) seen() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.names)
}

// trusting has the environment trust a door, to which a proxy leads whatever the name, with the emulator's keys.
func trusting(t *testing.T, w *world, d *door, certificate bool) *gate {
	t.Helper()
	g := newGate(t, "http", "", "", d.Listener.Addr().String())
	key, secret := w.account.Credentials()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if !certificate {
		bundle = ""
	}
	for name, value := range map[string]string{
		"AWS_CA_BUNDLE": bundle, "REQUESTS_CA_BUNDLE": "", "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret,
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "HTTPS_PROXY": "http://" + g.address, "HTTP_PROXY": "", "NO_PROXY": "",
	} {
		t.Setenv(name, value)
	}
	return g
}

// SSM names AWS's own host, which is not reached from here: the websocket is dialled at the endpoint that the user named, with
// its name in TLS and in what is signed. Each source of such a setting counts.
func TestStreamEndpointIsWhereTheWebsocketGoes(t *testing.T) {
	profile := func(t *testing.T, o *aws.Options, endpoint string) {
		t.Helper()
		config := filepath.Join(t.TempDir(), "config")
		text := "[profile corp]\nservices = inside\naws_access_key_id = " + os.Getenv("AWS_ACCESS_KEY_ID") + "\naws_secret_access_key = " + os.Getenv("AWS_SECRET_ACCESS_KEY") +
			"\n[services inside]\nssmmessages =\n  endpoint_url = " + endpoint + "\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_CONFIG_FILE", config)
		o.Profile = "corp"
	}
	flag := func(_ *testing.T, o *aws.Options, endpoint string) { o.StreamEndpoint = endpoint }
	variable := func(t *testing.T, _ *aws.Options, endpoint string) {
		t.Helper()
		t.Setenv("AWS_ENDPOINT_URL_SSMMESSAGES", endpoint)
	}
	for name, test := range map[string]struct {
		endpoint string
		set      func(t *testing.T, o *aws.Options, endpoint string)
	}{
		"the flag":                {"https://vpce-1.example.com", flag},
		"as a websocket":          {"wss://vpce-1.example.com:443/", flag},
		"the environment":         {"https://vpce-1.example.com", variable},
		"services of the profile": {"https://vpce-1.example.com", profile},
		"the flag first": {"https://vpce-1.example.com", func(t *testing.T, o *aws.Options, endpoint string) {
			t.Helper()
			variable(t, o, "https://elsewhere.invalid")
			flag(t, o, endpoint)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, func(f *emulator.Faults) { f.StreamHost = "stream.invalid" })
			d := newDoor(t, w.account.URL())
			g := trusting(t, w, d, true)
			options := aws.Options{Region: "eu-west-1", Endpoint: w.account.URL()}
			test.set(t, &options, test.endpoint)
			client, err := aws.Connect(t.Context(), options)
			if err != nil {
				t.Fatal(err)
			}
			w.use(client)
			conn := w.dial(w.open(tunnel.Spec{}))
			mustExchange(t, conn, random(100_000, 1))
			w.account.CutClientLeg()
			mustExchange(t, conn, random(1000, 2))
			seen := d.seen()
			if !slices.Contains(seen, "SNI vpce-1.example.com") || !slices.ContainsFunc(seen, func(s string) bool { return strings.HasPrefix(s, "Host vpce-1.example.com") }) {
				t.Errorf("the endpoint saw %q", seen)
			}
			if asked := g.hosts(); !slices.Equal(asked, []string{"CONNECT vpce-1.example.com:443"}) {
				t.Errorf("the way was asked for by %q", asked)
			}
		})
	}
}

// Who answers at the endpoint has to be who its name says, before a token is sent; nobody else gets it.
func TestStreamEndpointIsNotTrustedBlindly(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint string
		trusted  bool
		remedy   string
	}{
		"another name":         {"https://vpce-1.elsewhere.test", true, "--stream-endpoint"},
		"an unknown authority": {"https://vpce-1.example.com", false, "AWS_CA_BUNDLE"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, need.Server(t, need.Echo), tunnel.Options{}, nil)
			d := newDoor(t, w.account.URL())
			g := trusting(t, w, d, test.trusted)
			client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: w.account.URL(), StreamEndpoint: test.endpoint})
			if err != nil {
				t.Fatal(err)
			}
			w.use(client)
			failed := w.events.await(t, w.start(tunnel.Spec{}), tunnel.Failed)
			if !strings.Contains(say.Remedy(failed.Err), test.remedy) {
				t.Errorf("got %v, %s", failed.Err, say.Remedy(failed.Err))
			}
			if seen := d.seen(); slices.ContainsFunc(seen, func(s string) bool { return strings.HasPrefix(s, "Host") }) {
				t.Errorf("the endpoint saw %q", seen)
			}
			if asked := g.hosts(); len(asked) != 1 || !strings.Contains(asked[0], "vpce-1") {
				t.Errorf("the way was asked for by %q", asked)
			}
		})
	}
}
