package aws

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// hostile is a server, or a proxy, of which each connection does its worst.
type hostile struct {
	address  string
	accepted atomic.Int64
	written  atomic.Int64
}

// newHostile hands every connection to attack, with the bytes it writes counted. The connections are closed with the test.
func newHostile(t *testing.T, attack func(net.Conn)) *hostile {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{address: listener.Addr().String()}
	var mu sync.Mutex
	var open []net.Conn
	var over bool
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			h.accepted.Add(1)
			mu.Lock()
			open = append(open, conn)
			if over {
				_ = conn.Close()
			}
			mu.Unlock()
			serving.Go(func() { attack(&countingConn{conn, &h.written}) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		over = true
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return h
}

type countingConn struct {
	net.Conn

	written *atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err //nolint:wrapcheck // it adds nothing
}

// silent reads and never says a word.
func silent(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// asked reads a request.
func asked(conn net.Conn) {
	if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

// endless answers with head, and then with text for ever.
func endless(head, text string, pause time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		asked(conn)
		_, err := io.WriteString(conn, head)
		for err == nil {
			_, err = io.WriteString(conn, text)
			if pause > 0 {
				time.Sleep(pause)
			}
		}
	}
}

const jsonHead = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n\r\n"

// bomb answers with a few megabytes that unpack to gigabytes.
func bomb(conn net.Conn) {
	asked(conn)
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Encoding: gzip\r\n\r\n")
	w := gzip.NewWriter(conn)
	zeros := make([]byte, 1<<20)
	for range 8 << 10 {
		if _, err := w.Write(zeros); err != nil {
			return
		}
	}
}

// moment is what impatient clients give a call.
const moment = 400 * time.Millisecond

// attacked is a client of an endpoint, as a user's environment makes it. Without a proxy there is none.
func attacked(t *testing.T, endpoint, proxy string, patience time.Duration) *Client {
	t.Helper()
	isolate(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "example")
	t.Setenv("AWS_REGION", "eu-west-1")
	if proxy != "" {
		t.Setenv("HTTP_PROXY", proxy)
		t.Setenv("HTTPS_PROXY", proxy)
	}
	c, err := Connect(t.Context(), Options{Endpoint: endpoint, silence: patience})
	if err != nil {
		t.Fatal(text(err))
	}
	return c
}

// An answer has an end, whatever it is made of: 16 MiB, unpacked, and a million values.
func TestEndlessAnswersAreRefused(t *testing.T) {
	for name, row := range map[string]struct {
		attack func(net.Conn)
		says   string
		most   int64
	}{
		"JSON":   {endless(jsonHead, `{"clusterArns":["`+strings.Repeat("a", 64<<10), 0), "more than 16 MiB", 64 << 20},
		"error":  {endless(strings.Replace(jsonHead, "200 OK", "400 Bad", 1), strings.Repeat("a", 64<<10), 0), "more than 16 MiB", 64 << 20},
		"gzip":   {bomb, "more than 16 MiB", 8 << 20},
		"items":  {valuable, "more than 1048576 values", 16 << 20},
		"header": {endless("HTTP/1.1 200 OK\r\nX: ", strings.Repeat("a", 64<<10), 0), "headers exceeded", 16 << 20},
		"fields": {endless("HTTP/1.1 200 OK\r\n", "X: "+strings.Repeat("a", 1<<10)+"\r\n", 0), "headers exceeded", 16 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHostile(t, row.attack)
			_, err := attacked(t, "http://"+h.address, "", 0).Discover(t.Context())
			mustSay(t, err, row.says, h.address)
			if tries := h.accepted.Load(); tries != 1 {
				t.Errorf("tried %d times, want once", tries)
			}
			if sent := h.written.Load() / h.accepted.Load(); sent > row.most {
				t.Errorf("%d bytes were taken from it, want at most %d", sent, row.most)
			}
		})
	}
}

// valuable answers with an honest length and the most memory that JSON can cost.
func valuable(conn net.Conn) {
	asked(conn)
	body := `{"x":[` + strings.Repeat("{},", 2<<20) + `{}]}`
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// The hints' own client of IAM and EC2, STS, GitHub's token service and a container's credentials answer to the same bounds.
func TestEveryClientIsBounded(t *testing.T) {
	long := endless("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("a", 64<<10), 0)
	for name, ask := range map[string]func(t *testing.T, h *hostile, patience time.Duration) error{
		"query": func(t *testing.T, h *hostile, patience time.Duration) error {
			t.Helper()
			_, err := attacked(t, "http://"+h.address, "", patience).SimulateRole(t.Context(), "arn:aws:iam::111122223333:role/x")
			return err
		},
		"sts": func(t *testing.T, h *hostile, patience time.Duration) error {
			t.Helper()
			_, err := attacked(t, "http://"+h.address, "", patience).Identity(t.Context())
			return err
		},
		"container": func(t *testing.T, h *hostile, patience time.Duration) error {
			t.Helper()
			isolate(t)
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://"+h.address+"/credentials")
			_, err := Connect(t.Context(), Options{Region: "eu-west-1", silence: patience})
			return err
		},
		"role of a profile": func(t *testing.T, h *hostile, patience time.Duration) error {
			t.Helper()
			home := isolate(t)
			write(t, filepath.Join(home, "config"), "[profile p]\nregion = eu-west-1\nrole_arn = arn:aws:iam::111122223333:role/x\ncredential_source = Environment\n")
			t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "example")
			t.Setenv("AWS_ENDPOINT_URL_STS", "http://"+h.address)
			_, err := Connect(t.Context(), Options{Profile: "p", silence: patience})
			return err
		},
		"GitHub's token": func(t *testing.T, h *hostile, patience time.Duration) error {
			t.Helper()
			isolate(t)
			t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "http://"+h.address+"/token")
			t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")
			_, err := Connect(t.Context(), Options{Region: "eu-west-1", RoleARN: "arn:aws:iam::111122223333:role/x", silence: patience})
			return err
		},
	} {
		t.Run(name+", endless", func(t *testing.T) {
			h := newHostile(t, long)
			mustSay(t, ask(t, h, 0), "more than 16 MiB")
			if sent := h.written.Load() / h.accepted.Load(); sent > 64<<20 {
				t.Errorf("%d bytes were taken from it", sent)
			}
		})
		t.Run(name+", silent", func(t *testing.T) {
			h := newHostile(t, silent)
			started := time.Now()
			mustSay(t, ask(t, h, moment), h.address, "no answer came within")
			if took := time.Since(started); took > 5*time.Second {
				t.Errorf("took %s, want about the 400 ms that it was given", took)
			}
			if h.accepted.Load() != 1 {
				t.Errorf("tried %d times, want once", h.accepted.Load())
			}
		})
	}
}

// A list that never ends, or turns in a circle, is an error after a thousand pages at most.
func TestEndlessPagesAreRefused(t *testing.T) {
	for name, row := range map[string]struct {
		token func(n int) string
		calls int
		says  string
	}{
		"new tokens": {func(n int) string { return fmt.Sprint("t", n) }, 1000, "do not end"},
		"the same":   {func(int) string { return "t" }, 2, "same page token"},
		"a circle":   {func(n int) string { return fmt.Sprint("t", n%7) }, 8, "same page token"},
	} {
		for _, action := range []string{"ListClusters", "ListServices", "ListTasks"} {
			t.Run(name+" of "+action, func(t *testing.T) {
				isolate(t)
				n := 0
				answers := map[string]answer{
					"ListClusters": func(map[string]any) any {
						return map[string]any{"clusterArns": []string{"arn:aws:ecs:eu-west-1:111122223333:cluster/a"}}
					},
					"DescribeClusters": func(map[string]any) any { return map[string]any{} },
					"ListServices":     func(map[string]any) any { return map[string]any{} },
					"ListTasks":        func(map[string]any) any { return map[string]any{} },
				}
				answers[action] = func(map[string]any) any { n++; return map[string]any{"nextToken": row.token(n)} }
				f := newFake(t, answers)
				catalog, err := f.connect(t).Discover(t.Context())
				if err == nil {
					err = errors.Join(catalog.Gaps...)
				}
				_ = mustBe[*AnswerError](t, err)
				mustSay(t, err, row.says, "ecs:"+action)
				if calls := len(f.calls(action)); calls != row.calls {
					t.Errorf("%d pages were asked for, want %d", calls, row.calls)
				}
			})
		}
	}
}

// A list's names are AWS's: no longer, and not millions of them.
func TestListsOfNonsenseAreRefused(t *testing.T) {
	for says, page := range map[string][]string{
		"more than 100000 names": slices.Repeat([]string{"a"}, 200_000),
		"more than 2048 bytes":   {strings.Repeat("a", 5000)},
	} {
		isolate(t)
		f := newFake(t, map[string]answer{"ListClusters": func(map[string]any) any { return map[string]any{"clusterArns": page} }})
		_, err := f.connect(t).Discover(t.Context())
		_ = mustBe[*AnswerError](t, err)
		mustSay(t, err, says)
	}
}

// Whatever a request waits for, it waits no longer than a call may, says for what, and is not tried again.
func TestEveryStepEnds(t *testing.T) {
	const name = "ecs.example.invalid"
	drip := func(conn net.Conn) { endless("", "H", 50*time.Millisecond)(conn) }
	for title, row := range map[string]struct {
		attack func(net.Conn)
		scheme string
		proxy  bool
		says   string
	}{
		"a silent endpoint":                 {silent, "http", false, "no answer came within"},
		"a body that dribbles":              {endless(jsonHead, " ", 50*time.Millisecond), "http", false, "has not ended within"},
		"a header that dribbles":            {endless("HTTP/1.1 200 OK\r\n", "X: y\r\n", 50*time.Millisecond), "http", false, "no answer came within"},
		"silence in the TLS handshake":      {silent, "https", false, "TLS handshake has not ended within"},
		"a silent proxy":                    {silent, "https", true, "the proxy takes the connection, but has not answered CONNECT within"},
		"a proxy that dribbles":             {drip, "https", true, "the proxy takes the connection, but has not answered CONNECT within"},
		"a proxy that is silent in plain":   {silent, "http", true, "no answer came within"},
		"TLS that is silent behind a proxy": {connects(silent), "https", true, "TLS handshake has not ended within"},
	} {
		t.Run(title, func(t *testing.T) {
			h := newHostile(t, row.attack)
			address := h.address
			if row.proxy {
				address = name + map[string]string{"http": ":80", "https": ":443"}[row.scheme]
			}
			proxy := ""
			if row.proxy {
				proxy = "http://" + h.address
			}
			started := time.Now()
			_, err := attacked(t, row.scheme+"://"+address, proxy, moment).Discover(t.Context())
			mustSay(t, err, "reach "+address, row.says)
			if row.proxy {
				mustSay(t, err, "through the proxy "+h.address, "check HTTPS_PROXY")
			}
			if took := time.Since(started); took > 5*time.Second {
				t.Errorf("took %s, want about the 400 ms that a call has", took)
			}
			if h.accepted.Load() != 1 {
				t.Errorf("tried %d times, want once", h.accepted.Load())
			}
		})
	}
}

// connects is a proxy that lets everybody through, to then.
func connects(then func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		asked(conn)
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err == nil {
			then(conn)
		}
	}
}

// answering sends one answer to whatever comes.
func answering(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		asked(conn)
		_, _ = io.WriteString(conn, answer)
		_ = conn.Close()
	}
}

// plain is answering for those who come with TLS.
func plain(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, answer)
		_ = conn.Close()
	}
}

// What does not change by itself is tried once, and its remedy fits it.
func TestWhatCannotChangeIsNotTriedAgain(t *testing.T) {
	const endpoint = "https://ecs.example.invalid"
	for title, row := range map[string]struct {
		attack          func(net.Conn)
		endpoint, proxy string // %s is the attacker's address
		says            []string
	}{
		"407":                        {answering("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"), endpoint, "http://%s", []string{"407 Proxy Authentication Required", "USER:PASSWORD@"}},
		"407 in plain":               {answering("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"), "http://ecs.example.invalid", "http://%s", []string{"407 Proxy Authentication Required", "USER:PASSWORD@"}},
		"403 of the proxy":           {answering("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), endpoint, "http://%s", []string{"403 Forbidden", "let the proxy"}},
		"https to plain":             {plain("HTTP/1.1 400 Bad Request\r\n\r\n"), "https://%s", "", []string{"speaks plain HTTP|HTTP response to HTTPS", "http://"}},
		"https to a plain proxy":     {plain("HTTP/1.1 400 Bad Request\r\n\r\n"), endpoint, "https://%s", []string{"HTTPS_PROXY as http://"}},
		"http to TLS, Go":            {answering("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"), "http://%s", "", []string{"wants TLS", "https://"}},
		"http to TLS, an alert":      {answering("\x15\x03\x01\x00\x02\x02\x16"), "http://%s", "", []string{"https://"}},
		"CONNECT header without end": {endless("HTTP/1.1 200 OK\r\nX: ", strings.Repeat("a", 64<<10), 0), endpoint, "http://%s", []string{"through the proxy"}},
	} {
		t.Run(title, func(t *testing.T) {
			h := newHostile(t, row.attack)
			filled := func(s string) string { return strings.ReplaceAll(s, "%s", h.address) }
			boundless, patience := strings.Contains(title, "without end"), time.Duration(0)
			if boundless {
				patience = moment // net/http has no word of its own for it
			}
			_, err := attacked(t, filled(row.endpoint), filled(row.proxy), patience).Identity(t.Context())
			_ = mustBe[*UnreachableError](t, err)
			for _, part := range row.says {
				one, other, _ := strings.Cut(part, "|")
				if other == "" || !strings.Contains(text(err), other) {
					mustSay(t, err, one)
				}
			}
			if boundless {
				if sent := h.written.Load() / h.accepted.Load(); sent > 16<<20 {
					t.Errorf("%d bytes were taken from it", sent)
				}
				return
			}
			if h.accepted.Load() != 1 {
				t.Errorf("tried %d times, want once", h.accepted.Load())
			}
		})
	}
	t.Run("an unknown certificate", func(t *testing.T) {
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		var tries atomic.Int64
		server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				tries.Add(1)
			}
		}
		server.StartTLS()
		defer server.Close()
		_, err := attacked(t, server.URL, "", 0).Identity(t.Context())
		mustSay(t, err, "certificate", "AWS_CA_BUNDLE")
		if tries.Load() != 1 {
			t.Errorf("tried %d times, want once", tries.Load())
		}
	})
	t.Run("nobody at the proxy's port", func(t *testing.T) {
		started := time.Now()
		_, err := attacked(t, endpoint, "http://127.0.0.1:1", 0).Identity(t.Context())
		mustSay(t, err, "through the proxy 127.0.0.1:1", "check HTTPS_PROXY")
		if tries := attemptsOf(err); tries > 1 || time.Since(started) > 2*time.Second {
			t.Errorf("%d tries in %s, want one", tries, time.Since(started))
		}
	})
}

// What fails when the time of a call is nearly over is not tried again, though it might have succeeded.
func TestNoTryBeginsInTheLastMoment(t *testing.T) {
	h := newHostile(t, func(conn net.Conn) { asked(conn); _ = conn.Close() })
	_, err := attacked(t, "http://"+h.address, "", lastMoment-time.Second).Discover(t.Context())
	mustSay(t, err, "reach "+h.address)
	if tries := h.accepted.Load(); tries != 1 {
		t.Errorf("tried %d times, want once", tries)
	}
}

// Where the caller's deadline ends a call, what was in the way is the error, and it is still known to be a deadline.
func TestDeadlineNamesWhatWasInTheWay(t *testing.T) {
	for title, row := range map[string]struct {
		attack func(net.Conn)
		role   bool // the credentials have to be fetched
		says   []string
	}{
		"silence":                    {silent, false, []string{"no answer came within", "network, VPN"}},
		"silence of the credentials": {silent, true, []string{"find credentials", "no answer came within", "network, VPN"}},
		"refusals between two tries": {answering("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), false, []string{"503"}},
		"cut between two tries":      {func(conn net.Conn) { asked(conn); _ = conn.Close() }, false, []string{"reach", "network, VPN"}},
	} {
		t.Run(title, func(t *testing.T) {
			h := newHostile(t, row.attack)
			c := attacked(t, "http://"+h.address, "", 0)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			var err error
			if row.role {
				_, err = Connect(ctx, Options{Endpoint: "http://" + h.address, RoleARN: "arn:aws:iam::111122223333:role/x", silence: 2 * time.Second})
			} else {
				_, err = c.Discover(ctx)
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want it to be the caller's deadline", err)
			}
			mustSay(t, err, append(row.says, h.address)...)
			if strings.Contains(text(err), "deadline exceeded") {
				t.Errorf("got %s, want the cause instead", text(err))
			}
		})
	}
}
