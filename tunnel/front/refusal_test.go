package front_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"culvert/internal/need"
	"culvert/tunnel/front"
)

var update = flag.Bool("update", false, "write the golden files anew")

// unreached is what a Dialer says, with a cause and a remedy.
type unreached struct {
	cause        front.Cause
	text, remedy string
}

func (e *unreached) Error() string      { return e.text }
func (e *unreached) Remedy() string     { return e.remedy }
func (e *unreached) Cause() front.Cause { return e.cause }

// troubles are hosts that cannot be had, each for a reason of its own.
func troubles(w *world) []string {
	fails := map[string]error{
		"refused.internal:80":   &unreached{front.CauseRefused, "the task cannot connect to refused.internal:80", "check that it is up"},
		"swallowed.internal:80": &unreached{front.CauseSwallowed, "the task's connection to swallowed.internal:80 gets no answer (5s so far)", "a security group drops it"},
		"nowhere.internal:80":   &unreached{front.CauseUnresolved, "the task does not resolve nowhere.internal", "check its name"},
		"forbidden.internal:80": &unreached{front.CauseForbidden, `AWS denies ssm:StartSession with the document "AWS-StartPortForwardingSessionToRemoteHost"`, `allow {"Action":"ssm:StartSession","Resource":"arn:aws:ssm:*::document\*"}`},
		"taskless.internal:80":  &unreached{front.CauseNoTask, "no task of shop/web runs", "aws ecs update-service --desired-count 1"},
		"full.internal:80":      &unreached{front.CauseFull, "48 destinations are open, and all are in use", "raise --destinations"},
		"late.internal:80":      &unreached{front.CauseLate, "no session within 2m0s", "allow more time with --wait"},
		"closing.internal:80":   &unreached{front.CauseClosing, "the tunnel ends", ""},
		"other.internal:80":     errors.New("strange\r\nX-Injected: yes\x1b[2J — „Umläute“ \\ \"quoted\" " + strings.Repeat("long ", 400)),
	}
	w.through.fails = fails
	var all []string
	for name := range fails {
		all = append(all, strings.TrimSuffix(name, ":80"))
	}
	w.through.at["mute.internal:80"] = need.Server(w.T, func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 1)) })
	w.through.at["babbling.internal:80"] = need.Server(w.T, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, "220 smtp ready\r\n")
	})
	slices.Sort(all)
	return append(all, "denied.internal", "own.amazonaws.com", "proxy.example", "127.1", "169.254.170.2", "under_score.internal.", "a b", "10.0.0.256", "[fe80::1%25eth0]", "localhost")
}

func openTroubles(t *testing.T) (*world, []string) {
	t.Helper()
	w := open(t, func(o *front.Options) {
		o.Rules = front.NewRules(nil, patterns(t, "denied.internal", ".denied.example:443"))
		o.Names = append(o.Names, "Proxy.Example") // port 80
		o.Own = func(host string) bool { return host == "own.amazonaws.com" }
	})
	return w, troubles(w)
}

// What a client is told who does not get what it asked for: in words, as a Proxy-Status, as a reply of SOCKS.
func TestRefusalsSayTheCauseAndTheRemedy(t *testing.T) {
	w, hosts := openTroubles(t)
	var said bytes.Buffer
	for _, host := range append(hosts, "mute.internal", "babbling.internal") {
		for _, request := range []string{
			"CONNECT " + host + ":80 HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
			"GET http://" + host + "/ HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
		} {
			if strings.Contains(host, " ") || (strings.HasPrefix(request, "CONNECT") && w.through.at[host+":80"] != "") {
				continue // no request of HTTP; a connection that is one
			}
			answer, body := w.ask(request)
			fmt.Fprintf(&said, "%s→ %s\n", strings.ReplaceAll(strings.SplitAfter(request, "\r\n")[0], "\r\n", " "), answer.Status)
			for _, name := range []string{"Content-Type", "X-Content-Type-Options", "Cache-Control", "Proxy-Status", "X-Injected"} {
				if value := answer.Header.Get(name); value != "" {
					fmt.Fprintf(&said, "    %s: %s\n", name, value)
				}
			}
			fmt.Fprintf(&said, "%s", body)
		}
		name := strings.Trim(strings.Replace(host, "%25", "%", 1), "[]")
		five := w.socks(fmt.Sprintf("\x05\x01\x00\x05\x01\x00\x03%c%s\x00\x50", len(name), name), 12)
		four := w.socks(fmt.Sprintf("\x04\x01\x00\x50\x00\x00\x00\x01\x00%s\x00", name), 8)
		if w.through.at[host+":80"] == "" {
			fmt.Fprintf(&said, "SOCKS 5 → %d, SOCKS 4a → %#02x\n\n", five[3], four[1])
		}
	}
	golden(t, "refusals.txt", said.String())
}

// socks writes bytes and reads as many as the answer to them has.
func (w *world) socks(request string, size int) []byte {
	w.Helper()
	conn := w.dial()
	defer conn.Close()
	_, _ = io.WriteString(conn, request)
	answer := make([]byte, size)
	if n, err := io.ReadFull(conn, answer); err != nil {
		w.Fatalf("%q: got %d bytes (%x), then %v", request, n, answer[:n], err)
	}
	return answer
}

// A Proxy-Status is a field that its readers can parse: one member with an error of the registry and a string of RFC 8941.
func TestProxyStatusIsAStructuredField(t *testing.T) {
	w, hosts := openTroubles(t)
	form := regexp.MustCompile(`^culvert; error=[a-z_]+; details="(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"$`)
	for _, host := range hosts {
		if strings.Contains(host, " ") {
			continue
		}
		answer, _ := w.ask("CONNECT " + host + ":80 HTTP/1.1\r\n\r\n")
		status := answer.Header.Values("Proxy-Status")
		if strings.HasPrefix(host, "[fe80") { // net/http itself
			continue
		}
		if len(status) != 1 || !form.MatchString(status[0]) || len(status[0]) > 1200 {
			t.Errorf("%s: got %q", host, status)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s has changed (go test ./tunnel/front -update):\n%s", path, got)
	}
}

// Nothing that a web page can send gets anything from the listener but a refusal and the end of the connection.
func TestNoWebPageUsesTheProxy(t *testing.T) {
	w := open(t, nil)
	w.site("orders.internal", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "secret") })
	for name, request := range map[string]string{
		"a page of it":           "GET / HTTP/1.1\r\nHost: " + w.addr + "\r\n\r\n",
		"a path of a host":       "GET /secret HTTP/1.1\r\nHost: orders.internal\r\n\r\n",
		"rebound":                "GET /proxy.pac HTTP/1.1\r\nHost: rebound.example:" + portOf(w.addr) + "\r\n\r\n",
		"rebound without a port": "GET /proxy.pac HTTP/1.1\r\nHost: rebound.example\r\n\r\n",
		"another port":           "GET /proxy.pac HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n",
		"no host":                "GET /proxy.pac HTTP/1.0\r\n\r\n",
		"a script's fetch":       "GET /proxy.pac HTTP/1.1\r\nHost: " + w.addr + "\r\nOrigin: https://evil.example\r\n\r\n",
		"an opaque origin":       "GET /proxy.pac HTTP/1.1\r\nHost: " + w.addr + "\r\nOrigin: null\r\n\r\n",
		"a script element":       "GET /proxy.pac HTTP/1.1\r\nHost: " + w.addr + "\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n\r\n",
		"a port next to it":      "GET /proxy.pac HTTP/1.1\r\nHost: " + w.addr + "\r\nSec-Fetch-Site: same-site\r\n\r\n",
		"a preflight":            "OPTIONS /proxy.pac HTTP/1.1\r\nHost: " + w.addr + "\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Private-Network: true\r\n\r\n",
		"a form":                 "POST /proxy.pac HTTP/1.1\r\nHost: " + w.addr + "\r\nContent-Length: 3\r\n\r\na=b",
		"a websocket":            "GET / HTTP/1.1\r\nHost: " + w.addr + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"CONNECT as a path":      "CONNECT /proxy.pac HTTP/1.1\r\nHost: " + w.addr + "\r\n\r\n",
		"a request in a body": "POST / HTTP/1.1\r\nHost: " + w.addr + "\r\nContent-Length: 60\r\n\r\n" +
			"GET http://orders.internal/ HTTP/1.1\r\nHost: orders.internal\r\n\r\n",
		"HTTP/2":              "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"the whole server":    "OPTIONS * HTTP/1.1\r\nHost: " + w.addr + "\r\n\r\n",
		"a path beside it":    "GET /proxy.pac/../ HTTP/1.1\r\nHost: " + w.addr + "\r\n\r\n",
		"in capitals":         "GET /PROXY.PAC HTTP/1.1\r\nHost: " + w.addr + "\r\n\r\n",
		"itself, as a proxy":  "GET http://" + w.addr + "/proxy.pac HTTP/1.1\r\nHost: " + w.addr + "\r\n\r\n",
		"itself, as a tunnel": "CONNECT localhost:" + portOf(w.addr) + " HTTP/1.1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn := w.dial()
			_, _ = io.WriteString(conn, request)
			if !strings.Contains(name, "itself") {
				_ = conn.SetReadDeadline(w.soon())
			} else {
				_ = conn.CloseWrite()
			}
			answer, err := io.ReadAll(conn)
			if err != nil {
				t.Errorf("the connection goes on: %v", err)
			}
			text := string(answer)
			if strings.Contains(text, "secret") || strings.Contains(text, "FindProxy") || strings.Contains(text, "Access-Control") {
				t.Errorf("got %s", text)
			}
			if !strings.HasPrefix(text, "HTTP/1.") || !strings.Contains(text[:min(len(text), 12)], " 4") || strings.Count(text, "HTTP/1.1 ") > 1 || !strings.Contains(text, "nosniff") && !strings.Contains(text, "400 Bad Request") {
				t.Errorf("got %q, want one refusal", text)
			}
		})
	}
	if asked := w.through.calls(); len(asked) != 0 {
		t.Errorf("it led to %q", asked)
	}
}
