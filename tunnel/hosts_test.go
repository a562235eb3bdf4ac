package tunnel_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"culvert/tunnel"
)

// served is what a proxy has counted itself for one host.
type served struct{ requests, refused uint64 }

// Ten thousand requests over fifty connections that are kept, to three hundred hosts: what the tunnel tells of each host is
// what the proxy has counted.
func TestHostsOfKeptConnectionsAreThoseThatTheProxyServed(t *testing.T) {
	var mu sync.Mutex
	counted := map[string]served{}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		s := counted[r.Host]
		s.requests++
		if strings.HasPrefix(r.Host, "host1") {
			s.refused++
			w.Header().Set("X-Squid-Error", "ERR_ACCESS_DENIED 0")
			w.WriteHeader(http.StatusForbidden)
		}
		counted[r.Host] = s
		_, _ = fmt.Fprint(w, strings.Repeat("x", len(r.URL.Path)*37%5000)) // with a length, or in chunks
	}))
	t.Cleanup(proxy.Close)
	w := newWorld(t, strings.TrimPrefix(proxy.URL, "http://"), tunnel.Options{}, nil)
	tn := w.open(tunnel.Spec{})
	const connections, each, hosts = 30, 100, 300
	var sent, received uint64
	var all sync.WaitGroup
	for c := range connections {
		conn := w.dial(tn)
		all.Go(func() {
			defer conn.Close()
			answers := bufio.NewReader(conn)
			for i := range each {
				host := fmt.Sprintf("host%d.internal", (c*each+i*7)%hosts)
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+host+"/"+strings.Repeat("p", i), strings.NewReader(strings.Repeat("GET http://nobody/ HTTP/1.1\r\n\r\n", i)))
				if err == nil {
					err = request.WriteProxy(conn)
				}
				if err != nil {
					t.Error(err)
					return
				}
				answer, err := http.ReadResponse(answers, request)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, answer.Body)
				if err := errors.Join(err, answer.Body.Close()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	got := map[string]served{}
	for range connections {
		ended := w.events.ended(t)
		sent, received = sent+ended.Sent, received+ended.Received
		if ended.Requests != each || ended.Err == nil || ended.Status != http.StatusForbidden {
			t.Errorf("a connection with %d requests, status %d, %v; want %d, the first refusal", ended.Requests, ended.Status, ended.Err, each)
		}
		for _, share := range ended.Split() {
			s := got[share.Host]
			s.requests, s.refused = s.requests+share.Requests, s.refused+share.Failed
			got[share.Host] = s
			sent, received = sent-share.Sent, received-share.Received
		}
	}
	if !reflect.DeepEqual(got, counted) {
		t.Errorf("%d hosts, the proxy served %d:\n got %v\nwant %v", len(got), len(counted), got, counted)
	}
	if sent != 0 || received != 0 {
		t.Errorf("%d bytes sent and %d received belong to no host", sent, received)
	}
}
