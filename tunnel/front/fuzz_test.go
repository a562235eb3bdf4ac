package front_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"culvert/tunnel/front"
)

// Whatever a client begins with, Serve ends when it does, and nobody is connected to what must not be.
func FuzzFirstBytes(f *testing.F) {
	for _, seed := range []string{
		"", "\x05\x01\x00\x05\x01\x00\x03\x0bdb.internal\x15\x38", "\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50",
		"\x04\x01\x00\x50\x00\x00\x00\x01\x00db.internal\x00", "\x04\x01\x00\x50\x7f\x00\x00\x01\x00",
		"GET http://orders.internal/ HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT orders.internal:80 HTTP/1.1\r\n\r\nabc", "GET /proxy.pac HTTP/1.1\r\nHost: 127.0.0.1:1080\r\n\r\n",
		"CONNECT 0x7f.1:80 HTTP/1.1\r\n\r\n", "POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", "\x16\x03\x01\x02\x00", "PRI * HTTP/2.0\r\n\r\n",
		"GET http://a%zz/ HTTP/1.1\r\n\r\n", "CONNECT [::ffff:169.254.170.2]:80 HTTP/1.0\r\n\r\n", "GET http://user@[::1]/ HTTP/1.1\r\nHost: [\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		through := dialFunc(func(_ context.Context, host string, port uint16) (net.Conn, error) {
			if way, err := (front.Rules{}).Way(host, port); err != nil || way != front.Through {
				t.Errorf("asked for %q: %v", host, err)
			}
			if host != strings.ToLower(host) || strings.ContainsAny(host, " \r\n\x00[]%/@") || strings.HasSuffix(host, ".") {
				t.Errorf("asked for %q", host)
			}
			near, far := net.Pipe()
			go func() {
				_, _ = io.Copy(io.Discard, far)
				_ = far.Close()
			}()
			return near, nil
		})
		near, far := net.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		over := make(chan struct{})
		go func() {
			defer close(over)
			_ = front.New(front.Options{Through: through, Direct: through, Names: []string{"127.0.0.1:1080"}}).Serve(ctx, far)
		}()
		heard := make(chan []byte, 1)
		go func() {
			var got bytes.Buffer
			_, _ = io.Copy(&got, near)
			heard <- got.Bytes()
		}()
		_ = near.SetWriteDeadline(time.Now().Add(time.Second)) // a refusal does not wait for the rest
		_, _ = near.Write(said)
		time.Sleep(time.Millisecond)
		_ = near.Close()
		<-heard
		<-over
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Error("Serve outlives its client")
		}
	})
}

// A form is read or refused in words; what was read has one spelling, which means the same.
func FuzzParsePattern(f *testing.F) {
	for _, seed := range []string{"*.internal", ".corp.example", "10.0.0.0/8", "db?.example:5432", "[fd00::/8]:443", "::1", "bücher.example", "a..b", "[::1", "10.1", "*:25", "fe80::1%eth0", "::ffff:10.0.0.0/104"} {
		f.Add(seed, "orders.internal")
	}
	f.Fuzz(func(t *testing.T, form, host string) {
		p, err := front.ParsePattern(form)
		if err != nil {
			if bad, ok := errors.AsType[*front.PatternError](err); !ok || strings.ContainsAny(bad.Error(), "\r\n\x1b\x00") || len(bad.Error()) > 10000 {
				t.Errorf("%q: the error is %T %q", form, err, err)
			}
			return
		}
		again, err := front.ParsePattern(p.String())
		if err != nil || again != p {
			t.Errorf("%q is written %q, which is read as %#v, %v, want %#v", form, p, again, err, p)
		}
		for _, host := range []string{host, "127.1", "localhost", "169.254.170.2", form} {
			if _, err := front.NewRules([]front.Pattern{p}, nil).Way(host, 80); err == nil && strings.ContainsAny(host, "\r\n\x00 /") {
				t.Errorf("%q goes through", host)
			}
		}
		if _, err := front.NewRules([]front.Pattern{p}, nil).Way("127.1", 80); front.CauseOf(err) != front.CauseLocal {
			t.Errorf("--via %q lets 127.1 through: %v", form, err)
		}
	})
}
