package front_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/proxy"

	"culvert/internal/need"
	"culvert/tunnel/front"
)

// What SOCKS can name is dialled by that name: nothing here looks it up.
func TestSOCKSLeavesNamesToTheDialer(t *testing.T) {
	echo := need.Server(t, need.Echo)
	for request, want := range map[string]string{
		"\x05\x01\x00\x05\x01\x00\x03\x0bDB.Internal\x15\x38":                                                  "db.internal:5432",
		"\x05\x02\x02\x00\x05\x01\x00\x03\x0cdb.internal.\x15\x38":                                             "db.internal:5432",
		"\x05\x01\x00\x05\x01\x00\x01\x0a\x00\x00\x07\x15\x38":                                                 "10.0.0.7:5432",
		"\x05\x01\x00\x05\x01\x00\x03\x0810.0.0.7\x15\x38":                                                     "10.0.0.7:5432",
		"\x05\x01\x00\x05\x01\x00\x03\x080x0a.0.7\x15\x38":                                                     "10.0.0.7:5432",
		"\x05\x01\x00\x05\x01\x00\x04\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x15\x38": "[fd00::7]:5432",
		"\x05\x01\x00\x05\x01\x00\x03\x07fd00::7\x15\x38":                                                      "[fd00::7]:5432",
		"\x05\x01\x00\x05\x01\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x07\x15\x38": "10.0.0.7:5432",
		"\x05\x01\x00\x05\x01\x00\x03\x11m\xc3\xbcnchen.internal\x15\x38":                                      "xn--mnchen-3ya.internal:5432",
		"\x04\x01\x15\x38\x0a\x00\x00\x07me\x00":                                                               "10.0.0.7:5432",
		"\x04\x01\x15\x38\x00\x00\x00\x01\x00db.internal\x00":                                                  "db.internal:5432",
		"\x04\x01\x15\x38\x00\x00\x00\xffsomebody\x00DB.internal.\x00":                                         "db.internal:5432",
	} {
		w := open(t, nil)
		w.through.at[want] = echo
		conn := w.dial()
		if _, err := io.WriteString(conn, request+"early"); err != nil { // who is sure does not wait
			t.Fatal(err)
		}
		_ = conn.CloseWrite()
		got, err := io.ReadAll(conn)
		granted := "\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00early"
		if request[0] == 4 {
			granted = "\x00\x5a\x00\x00\x00\x00\x00\x00early"
		}
		if asked := w.through.calls(); string(got) != granted || err != nil || fmt.Sprint(asked) != "["+want+"]" {
			t.Errorf("%q: got %q, %v; it asked for %q, want %s", request, got, err, asked, want)
		}
	}
}

// What SOCKS can ask for beyond that is answered with the code for it.
func TestWhatSOCKSDoesNotServeHasItsOwnAnswer(t *testing.T) {
	w := open(t, nil)
	name := "\x03\x0bdb.internal\x15\x38"
	for request, want := range map[string]string{
		"\x05\x01\x02":                                         "\x05\xff", // a login alone
		"\x05\x00":                                             "\x05\xff",
		"\x05\x03\x01\x02\x80":                                 "\x05\xff",
		"\x05\x01\x00\x05\x02\x00" + name:                      "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00", // BIND
		"\x05\x01\x00\x05\x03\x00" + name:                      "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00", // UDP ASSOCIATE
		"\x05\x01\x00\x05\xf0\x00" + name:                      "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00", // Tor's RESOLVE
		"\x05\x01\x00\x05\x01\x00\x02abcdef":                   "\x05\x00\x05\x08\x00\x01\x00\x00\x00\x00\x00\x00",
		"\x05\x01\x00\x05\x01\x00\x03\x00\x00\x50":             "\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00", // no name
		"\x05\x01\x00\x05\x01\x00\x03\x02a\x00\x00\x50":        "\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00",
		"\x05\x01\x00\x05\x01\x00\x03\x01a\x00\x00":            "\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00", // port 0
		"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50": "\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00",
		"\x05\x01\x00\x05\x01\x00\x04" + strings.Repeat("\x00", 15) + "\x01\x00\x50": "\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00",
		"\x04\x02\x00\x50\x0a\x00\x00\x07\x00":                                       "\x00\x5b\x00\x00\x00\x00\x00\x00", // BIND
		"\x04\x01\x00\x50\x7f\x00\x00\x01\x00":                                       "\x00\x5b\x00\x00\x00\x00\x00\x00",
		"\x04\x01\x00\x50\x00\x00\x00\x00\x00":                                       "\x00\x5b\x00\x00\x00\x00\x00\x00", // 0.0.0.0
		"\x04\x01\x00\x50\x00\x00\x00\x01\x00\x00":                                   "\x00\x5b\x00\x00\x00\x00\x00\x00", // an empty name
		"\x04\x01\x00\x50\x0a\x00\x00\x07" + strings.Repeat("u", 5000):               "\x00\x5b\x00\x00\x00\x00\x00\x00",
		"\x04\x01\x00\x50\x00\x00\x00\x01\x00" + strings.Repeat("n", 5000):           "\x00\x5b\x00\x00\x00\x00\x00\x00",
	} {
		conn := w.dial()
		_, _ = io.WriteString(conn, request)
		if got, err := io.ReadAll(conn); string(got) != want || err != nil {
			t.Errorf("%.40q: got %q, %v, want %q", request, got, err, want)
		}
	}
	if asked := w.through.calls(); len(asked) != 0 {
		t.Errorf("it led to %q", asked)
	}
}

// A library's client, which checks each field.
func TestALibrarysClientOfSOCKS(t *testing.T) {
	w := open(t, nil)
	w.through.at["db.internal:80"] = need.Server(t, need.Echo)
	w.through.fails["refused.internal:80"] = &unreached{cause: front.CauseRefused}
	dialer, err := proxy.SOCKS5("tcp", w.addr, &proxy.Auth{User: "me", Password: "secret"}, nil) // offers both
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dialer.Dial("tcp", "db.internal:80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "hello\n")
	if got, err := bufio.NewReader(conn).ReadString('\n'); got != "hello\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := dialer.Dial("tcp", "refused.internal:80"); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("refused: got %v", err)
	}
}

// SOCKS on a connection that knows no half-close, as a listener in memory has.
func TestSOCKSOverAPipe(t *testing.T) {
	p := &places{at: map[string]string{"db.internal:80": need.Server(t, need.Echo)}}
	near, far := net.Pipe()
	over := make(chan error, 1)
	go func() { over <- front.New(front.Options{Through: p}).Serve(t.Context(), far) }()
	_ = near.SetDeadline(time.Now().Add(20 * time.Second))
	var got bytes.Buffer
	for _, step := range []struct {
		say  string
		hear int
	}{{"\x05\x01\x00", 2}, {"\x05\x01\x00\x03\x0bdb.internal\x00\x50", 10}, {"hello", 5}} {
		if _, err := io.WriteString(near, step.say); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(&got, near, int64(step.hear)); err != nil {
			t.Fatal(err)
		}
	}
	_ = near.Close()
	if err := <-over; !strings.HasSuffix(got.String(), "hello") || err != nil {
		t.Errorf("got %q, %v", got.String(), err)
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the pipe: %v", err)
	}
}
