//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"culvert/internal/need"
)

// The page: what it asks for is not to be kept, so that a second visit fetches all of it again.
const (
	siteHost  = "page.internal"
	sheets    = 100
	sheetSize = 30_000 // bytes, which do not compress
)

// siteOrder says how the page is to be reached.
type siteOrder struct {
	Squid string        `json:"squid"` // the program
	Delay time.Duration `json:"delay"` // each way, of the proxy's second address
}

// sitePlan is what a browser needs to know of the page.
type sitePlan struct {
	URL      string `json:"url"`      // by HTTP/1.1
	Second   string `json:"second"`   // by HTTP/2
	Key      string `json:"key"`      // hash of the certificate's key, as Chromium is told to trust it
	Straight string `json:"straight"` // host:port of the proxy without a session, at the delay of a session
}

// site is a page over TLS that a real Squid alone resolves.
type site struct {
	plan    sitePlan
	squid   *need.Proxy
	servers []*http.Server
	far     *delayed
	serving sync.WaitGroup
}

// openSite opens it with its proxy on a port.
func openSite(o siteOrder, proxyAt uint16) (s *site, err error) {
	s = &site{}
	defer func() {
		if err != nil {
			s.close()
			s, err = nil, fmt.Errorf("open the page: %w", err)
		}
	}()
	certificate, key, err := selfSigned(siteHost)
	if err != nil {
		return s, err
	}
	s.plan.Key = key
	if s.plan.URL, err = s.serve(certificate, map[string]func(*http.Server, *tls.Conn, http.Handler){}); err != nil { // HTTP/1.1 alone
		return s, err
	}
	if s.plan.Second, err = s.serve(certificate, nil); err != nil {
		return s, err
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	names := map[string]netip.Addr{siteHost: loopback}
	for i := range dynamicHosts {
		names[proxiedHost(i)] = loopback
	}
	if s.squid, err = need.StartSquid(o.Squid, need.SquidConfig{
		At: netip.AddrPortFrom(loopback, proxyAt), Hosts: names,
		Rules: []string{"acl private dstdomain .internal", "http_access deny !private"}, // Chromium calls home
	}); err != nil {
		return s, err
	}
	if s.far, err = startDelayed(s.squid.Addr.String(), o.Delay); err != nil {
		return s, err
	}
	s.plan.Straight = s.far.address()
	return s, nil
}

// serve has the page served, and returns its URL.
func (s *site) serve(certificate tls.Certificate, protocols map[string]func(*http.Server, *tls.Conn, http.Handler)) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to wait for
	if err != nil {
		return "", err
	}
	server := &http.Server{
		Handler: page(), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(nowhere{}, "", 0),
		TLSConfig:    &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		TLSNextProto: protocols,
	}
	s.servers = append(s.servers, server)
	s.serving.Go(func() { _ = server.ServeTLS(l, "", "") }) // until it is closed
	return fmt.Sprintf("https://%s/", net.JoinHostPort(siteHost, portOf(l))), nil
}

func (s *site) close() {
	if s == nil {
		return
	}
	if s.far != nil {
		s.far.close()
	}
	if s.squid != nil {
		s.squid.Stop()
	}
	for _, server := range s.servers {
		_ = server.Close()
	}
	s.serving.Wait()
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String()) // a listener's address has both
	return port
}

// page is the handler of a page with many stylesheets.
func page() http.Handler {
	var index strings.Builder
	index.WriteString("<!doctype html><title>Many stylesheets</title>\n<link rel=icon href=data:,>\n")
	for n := range sheets {
		fmt.Fprintf(&index, "<link rel=stylesheet href=/%d.css>\n", n)
	}
	text := hex.EncodeToString(randomBlock()[:sheetSize/2])
	sheet := []byte("/*" + text[:sheetSize-4] + "*/")
	mux := http.NewServeMux()
	answer := func(kind string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Cache-Control", "no-store")
			_, _ = w.Write(body) // the browser sees what is missing
		}
	}
	mux.HandleFunc("GET /{$}", answer("text/html; charset=utf-8", []byte(index.String())))
	mux.HandleFunc("GET /{sheet}", answer("text/css", sheet))
	return mux
}

// selfSigned is a certificate by nobody, and its public key as Chromium is told to trust it.
func selfSigned(host string) (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	hash := sha256.Sum256(public)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, base64.StdEncoding.EncodeToString(hash[:]), nil
}

// nowhere takes what a server complains of.
type nowhere struct{}

// Write implements io.Writer.
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
