//go:build linux

package action_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
)

// visited is what the browser saw of a page.
type visited struct {
	URL    string `json:"url"`
	Status int    `json:"status"`
	Title  string `json:"title"`
	Text   string `json:"text"`
	Error  string `json:"error"`
}

// browse is a step that opens pages in Chromium by Playwright.
func (j *job) browse(key, picture string, urls ...string) []visited {
	j.Helper()
	script, err := filepath.Abs("testdata/browser.js")
	if err != nil {
		j.Fatal(err)
	}
	environment := map[string]string{"NODE_PATH": need.Playwright(j.T)}
	args := append([]string{script, need.Command(j.T, "chromium"), key, picture}, urls...)
	s := j.start(environment, j.node, args...).end()
	if s.code != 0 {
		j.Fatalf("the browser's step ends with %d", s.code)
	}
	var all []visited
	for line := range strings.Lines(s.log.String()) {
		var v visited
		if err := json.Unmarshal([]byte(line), &v); err == nil {
			all = append(all, v)
		}
	}
	if len(all) != len(urls) {
		j.Fatalf("got %d pages, want %d", len(all), len(urls))
	}
	return all
}

func TestABrowserOpensPrivatePagesThroughTheTunnel(t *testing.T) {
	j := newJob(t)
	plain, secure := httptest.NewServer(shop()), httptest.NewUnstartedServer(shop())
	certificate, key := certificateFor(t, "billing.internal")
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	loopback := netip.MustParseAddr("127.0.0.1")
	squid := need.Squid(t, need.SquidConfig{
		Hosts: map[string]netip.Addr{"orders.internal": loopback, "billing.internal": loopback},
		Rules: []string{"acl private dstdomain .internal", "http_access deny !private"}, // Chromium calls home
	})
	pages := []string{
		fmt.Sprintf("http://orders.internal:%s/", port(t, plain)),
		fmt.Sprintf("https://billing.internal:%s/", port(t, secure)),
	}

	for _, v := range j.browse(key, "", pages...) {
		if !strings.Contains(v.Error, "ERR_NAME_NOT_RESOLVED") {
			t.Errorf("without the tunnel: got %+v, want a host that nobody knows", v)
		}
	}

	e := account(t)
	for _, task := range e.Tasks("automation", "squid") {
		if err := e.MapPort(task, 3128, squid.Addr.String()); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range e.Env() {
		name, value, _ := strings.Cut(v, "=")
		j.machine[name] = value
	}
	u := j.use(map[string]string{"path": program(t), "target": "automation/squid", "forward": "0:3128", "probe": pages[0]})
	main := u.main()
	if main.code != 0 || j.exported["PROXY_SERVER"] == "" {
		t.Fatalf("main ends with %d, PROXY_SERVER is %q", main.code, j.exported["PROXY_SERVER"])
	}

	picture := need.Artefact(t, "browser.png")
	_ = os.Remove(picture)
	for _, v := range j.browse(key, picture, pages...) {
		u, err := url.Parse(v.URL)
		if err != nil {
			t.Fatal(err)
		}
		want := visited{URL: v.URL, Status: http.StatusOK, Title: "The shop at " + u.Host, Text: "seen by script at " + u.Host}
		if v != want {
			t.Errorf("got %+v, want %+v", v, want)
		}
	}
	image, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if size, err := png.DecodeConfig(bytes.NewReader(image)); err != nil || size.Width != 900 {
		t.Errorf("the picture %s: got %+v, %v", picture, size, err)
	}

	u.post()
	j.nothingIsLeft()
	j.sessionsEnd(e)
	log := squid.AccessLog(t)
	for _, want := range []string{"GET " + pages[0], "CONNECT billing.internal:"} {
		if !strings.Contains(log, want) {
			t.Errorf("got squid's log\n%s\nwant %q in it", log, want)
		}
	}
}

// shop is a page with a script that asks its host for more, as pages do.
func shop() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><title>The shop at %[1]s</title>
<body style="font: 20px sans-serif; margin: 3em"><h1>Private page</h1><p>You are at <b>%[1]s</b>, which only the proxy in the VPC resolves.
<p id="live">waiting</p>
<script>fetch("/live").then((a) => a.text()).then((text) => {
  document.getElementById("live").textContent = text; document.body.dataset.loaded = "yes"; });</script>`, r.Host)
	})
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, "seen by script at ", r.Host) })
	return mux
}

func port(t *testing.T, s *httptest.Server) string {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// certificateFor is a certificate by nobody the browser knows, and its public key as Chromium is told to trust it.
func certificateFor(t *testing.T, host string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(public)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, base64.StdEncoding.EncodeToString(hash[:])
}
