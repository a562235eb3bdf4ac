package doctor_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// says is a server that speaks first.
func says(words string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		_, _ = io.WriteString(c, words)
		_, _ = io.Copy(io.Discard, c)
	}
}

// answers is a server that says its words to a client that begins with these.
func answers(beginning, words string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		if got, err := bufio.NewReader(c).Peek(len(beginning)); err == nil && string(got) == beginning {
			_, _ = io.WriteString(c, words)
			_, _ = io.Copy(io.Discard, c)
		}
	}
}

// Where the real server cannot be run here, what it says is from its protocol's description.
func servers(t *testing.T) map[string]string {
	t.Helper()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = nil
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	mongo := "\x2e\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\xdd\x07\x00\x00" + strings.Repeat("\x00", 30)
	return map[string]string{
		"http":    web.Listener.Addr().String(),
		"tls":     secure.Listener.Addr().String(),
		"mysql":   need.Server(t, says("\x4a\x00\x00\x00\x0a8.0.36\x00"+strings.Repeat("x", 60))),
		"smtp":    need.Server(t, says("220 mail.internal ESMTP\r\n")),
		"mssql":   need.Server(t, answers("\x12\x01\x00\x13", "\x04\x01\x00\x13\x00\x00\x01\x00\x00\x00\x06\x00\x06\xff\x10\x00\x10\x29\x00")),
		"mongodb": need.Server(t, answers("\x34\x00\x00\x00\x01", mongo)),
		"amqp":    need.Server(t, answers("AMQP\x00\x00\x09\x01", "\x01\x00\x00\x00\x00\x01\xf9\x00\x0a\x00\x0a\x00\x09")), //nolint:dupword // bytes
	}
}

func dialTo(address string) doctor.Dial {
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }
}

func TestEachProtocolIsProvedAndNoOtherTakenForIt(t *testing.T) {
	all := servers(t)
	var asking sync.WaitGroup
	defer asking.Wait()
	for server, address := range all {
		for name := range all {
			if name == "http" { // is asked for by the face; what speaks TLS may answer in both
				continue
			}
			want, ok := doctor.ByName(name)
			if !ok {
				t.Fatalf("no protocol %s", name)
			}
			asking.Go(func() {
				err := doctor.Speak(t.Context(), dialTo(address), want, tunnel.Endpoint{Host: "db.internal", Port: 1}, time.Second)
				if server == name {
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					return
				}
				other, isOther := errors.AsType[*doctor.OtherProtocolError](err)
				_, isMuted := errors.AsType[*doctor.MutedError](err)
				if !isOther && !isMuted {
					t.Errorf("%s is taken for %s: %v", server, name, err)
				}
				// What speaks first, or answers everybody, is known by its name.
				if got, _ := doctor.ByName(server); (server == "http" || server == "mysql" || server == "smtp") && (!isOther || other.Got != got) {
					t.Errorf("%s asked in %s: got %v, want its name", server, name, err)
				}
			})
		}
	}
}

func TestASilentServerIsMutedAndOneThatHangsUpToo(t *testing.T) {
	silent := need.Server(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
	shut := need.Server(t, func(*net.TCPConn) {})
	for address, words := range map[string]string{silent: "says nothing in PostgreSQL", shut: "hangs up on a client of PostgreSQL"} {
		err := doctor.Speak(t.Context(), dialTo(address), doctor.Postgres, tunnel.Endpoint{Host: "db.internal", Port: 5432}, 300*time.Millisecond)
		if _, ok := errors.AsType[*doctor.MutedError](err); !ok || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), "db.internal:5432") {
			t.Errorf("got %v, want %q", err, words)
		}
	}
}

func TestEveryProtocolHasItsName(t *testing.T) {
	for _, name := range doctor.ProtocolNames() {
		if p, ok := doctor.ByName(name); !ok || p.Name() != name || p == doctor.Unknown {
			t.Errorf("%q: got %s, %t", name, p.Name(), ok)
		}
	}
	if p, ok := doctor.ByName(""); ok {
		t.Errorf("no name is that of %s", p)
	}
}
