//go:build linux

package action_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"culvert/aws/emulator"
	"culvert/internal/need"
)

// A proxy that wants a login gets it from the inputs; the later steps get the whole URL, and the log nothing of it but what
// it masks. What the runner had in its NO_PROXY is said where it leads past the tunnel, extended, and given back.
func TestAProxyThatWantsALogin(t *testing.T) {
	const password = " p@ss/w:rd " // inputs are trimmed, but for this one
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(page.Close)
	at := strings.Replace(page.URL, "127.0.0.1", "web.internal", 1)
	squid := need.Squid(t, need.SquidConfig{Users: map[string]string{"alice": password}, Hosts: map[string]netip.Addr{"web.internal": netip.MustParseAddr("127.0.0.1")}})
	task := emulator.Task{Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{3129: squid.Addr.String()}}}}
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 1, Task: task}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	j := newJob(t, append(e.Env(), "NO_PROXY=.internal,corp.example")...)
	u := j.use(map[string]string{
		"path": program(t), "target": "c/s", "forward": "0:3129", "proxy-user": "alice", "proxy-password": password, "proxy-env": "export", "probe": at,
	})
	main := u.main()
	if main.code != 0 {
		t.Fatalf("main ends with %d", main.code)
	}
	log := main.log.String()
	for line := range strings.Lines(log) {
		if strings.Contains(line, "p@ss") || strings.Contains(line, "p%40ss") {
			if !strings.HasPrefix(line, "::add-mask::") {
				t.Errorf("the log shows %q", line)
			}
		}
	}
	if !strings.Contains(log, "::warning title=culvert::NO_PROXY has .internal") {
		t.Error("no word of the NO_PROXY that leads past the tunnel")
	}
	proxy, err := url.Parse(main.outputs["proxy-url"])
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := proxy.User.Password(); got != password || proxy.User.Username() != "alice" {
		t.Errorf("got the proxy's login %s", proxy.User)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the proxy answers %d", answer.StatusCode)
	}
	if got := j.exported["NO_PROXY"]; !strings.HasPrefix(got, ".internal,corp.example,localhost,") {
		t.Errorf("later steps get NO_PROXY=%s", got)
	}
	u.post()
	if got := j.exported["NO_PROXY"]; got != ".internal,corp.example" {
		t.Errorf("NO_PROXY is %q afterwards", got)
	}
	j.nothingIsLeft()
	j.sessionsEnd(e)
}
