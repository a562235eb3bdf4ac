package aws

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestThrottlingIsTriedAgainAndThenTemporary(t *testing.T) {
	isolate(t)
	f := newFake(t, map[string]answer{"ListClusters": func(map[string]any) any {
		return refusal{Code: "ThrottlingException", Message: "Rate exceeded"}
	}})
	c, err := f.connectEnv(t, Options{})
	if err != nil {
		t.Fatal(text(err))
	}
	_, err = c.Discover(t.Context())
	_ = mustBe[*ThrottledError](t, err)
	mustSay(t, err, "ecs:ListClusters is throttled, after 2 attempts", "wait")
	if !Temporary(err) || len(f.calls("ListClusters")) != 2 {
		t.Errorf("got temporary %v after %d calls, want true after 2", Temporary(err), len(f.calls("ListClusters")))
	}
}

func TestUnreachableEndpointNamesAddressAndProxy(t *testing.T) {
	isolate(t)
	gone, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := gone.Addr().String()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	f := &fake{Server: &httptest.Server{URL: "http://" + address}}
	c, err := f.connectEnv(t, Options{})
	if err != nil {
		t.Fatal(text(err))
	}
	_, err = c.Identity(t.Context())
	_ = mustBe[*UnreachableError](t, err)
	mustSay(t, err, "reach "+address, "connection refused", "network, VPN, firewall")
	if !Temporary(err) {
		t.Error("an endpoint may come back")
	}

	t.Setenv("HTTP_PROXY", "http://"+address)
	f.URL = "http://ecs.example.invalid"
	if c, err = f.connectEnv(t, Options{}); err != nil {
		t.Fatal(text(err))
	}
	_, err = c.Identity(t.Context())
	mustSay(t, err, "reach ecs.example.invalid:80 through the proxy "+address, "check HTTPS_PROXY", "NO_PROXY")
}

func TestForeignCertificateIsNotTemporary(t *testing.T) {
	isolate(t)
	inspecting := httptest.NewTLSServer(http.NotFoundHandler())
	inspecting.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer inspecting.Close()
	c, err := (&fake{Server: inspecting}).connectEnv(t, Options{})
	if err != nil {
		t.Fatal(text(err))
	}
	_, err = c.Identity(t.Context())
	mustSay(t, err, "certificate", "AWS_CA_BUNDLE")
	if Temporary(err) {
		t.Error("time does not mend a certificate")
	}
}

func TestUnknownHostSaysCheckRegion(t *testing.T) {
	isolate(t)
	c, err := (&fake{Server: &httptest.Server{URL: "http://ecs.eu-wst-1.invalid"}}).connectEnv(t, Options{})
	if err != nil {
		t.Fatal(text(err))
	}
	_, err = c.Identity(t.Context())
	mustSay(t, err, "reach ecs.eu-wst-1.invalid:80")
}

// A sign-in page of a hotel, or another program on the port of --endpoint-url.
func TestAnswersThatAreNotAWS(t *testing.T) {
	for name, answered := range map[string]raw{
		"page":          {Status: 200, Body: "<html>Welcome to the hotel"},
		"refusing page": {Status: 403, Body: "<html>blocked"},
		"empty":         {Status: 200, Body: ""},
		"another type":  {Status: 200, Body: `{"clusterArns": 7}`},
		"deep":          {Status: 200, Body: strings.Repeat(`{"a":`, 20_000)},
		"binary":        {Status: 200, Body: "\x00\x01\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			isolate(t)
			f := newFake(t, map[string]answer{"ListClusters": func(map[string]any) any { return answered }})
			c, err := f.connectEnv(t, Options{})
			if err != nil {
				t.Fatal(text(err))
			}
			_, err = c.Discover(t.Context())
			if err == nil && name != "empty" {
				t.Fatal("got no error")
			}
			if err != nil {
				_ = mustBe[*AnswerError](t, err)
				mustSay(t, err, "--endpoint-url", strings.TrimPrefix(f.URL, "http://"))
			}
		})
	}
}

func TestCancelledCallIsNoDiagnosis(t *testing.T) {
	isolate(t)
	release := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	f := newFake(t, map[string]answer{"ListClusters": func(map[string]any) any { cancel(); <-release; return nil }})
	defer close(release)
	_, err := f.connect(t).Discover(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the caller's own end", err)
	}
	if _, ok := explained(err, ""); ok {
		t.Errorf("got a remedy for what the caller did: %s", text(err))
	}
}

func TestControlCharactersOfStrangersAreNotShown(t *testing.T) {
	isolate(t)
	f := newFake(t, map[string]answer{"ListClusters": func(map[string]any) any {
		return refusal{Code: "ClientException", Message: "\x1b[2Jgone\r::error::x\nsecond line" + strings.Repeat("x", 10_000)}
	}})
	_, err := f.connect(t).Discover(t.Context())
	if strings.ContainsAny(text(err), "\x1b\r") || len(text(err)) > 1000 {
		t.Errorf("got %q", text(err))
	}
}
