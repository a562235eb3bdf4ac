package front_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"culvert/internal/need"
	"culvert/tunnel/front"
)

// zone is a resolver that answers every name of it with addresses.
func zone(t *testing.T, names map[string][]string) *net.Resolver {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p := make([]byte, 1500)
		for {
			n, from, err := l.ReadFrom(p)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(p[:n]) != nil {
				continue
			}
			m.Response, m.Additionals = true, nil
			q := m.Questions[0]
			addresses, known := names[strings.TrimSuffix(q.Name.String(), ".")]
			if !known {
				m.RCode = dnsmessage.RCodeNameError
			}
			for _, a := range addresses {
				ip := net.ParseIP(a)
				header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type}
				switch {
				case ip.To4() != nil && q.Type == dnsmessage.TypeA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: [4]byte(ip.To4())}})
				case ip.To4() == nil && q.Type == dnsmessage.TypeAAAA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: [16]byte(ip)}})
				}
			}
			if packed, err := m.Pack(); err == nil {
				_, _ = l.WriteTo(packed, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", l.LocalAddr().String())
	}}
}

// A name that leads to what is loopback or link-local gets nobody there, not even where the connection is not culvert's to make
// through a task.
func TestDirectConnectionsReachNothingLocal(t *testing.T) {
	taken := make(chan struct{}, 100)
	addr := need.Server(t, func(*net.TCPConn) { taken <- struct{}{} })
	direct := front.Direct{Resolver: zone(t, map[string][]string{
		"rebound.example": {"127.0.0.1"}, "six.example": {"::1"}, "both.example": {"127.0.0.1", "::1"}, "mapped.example": {"::ffff:127.0.0.1"},
		"metadata.example": {"169.254.169.254"}, "metadata6.example": {"fd00:ec2::254"}, "link.example": {"fe80::1"}, "none.example": {"0.0.0.0"}, "none6.example": {"::"},
	})}
	w := open(t, func(o *front.Options) {
		o.Direct = direct
		o.Rules = front.NewRules(patterns(t, "*.internal"), nil)
	})
	for _, name := range []string{"rebound", "six", "both", "mapped", "metadata", "metadata6", "link", "none", "none6"} {
		_, err := direct.Dial(t.Context(), name+".example", portNumber(t, addr))
		if refused, ok := errors.AsType[*front.RefusalError](err); !ok || refused.Why != front.CauseLocal || refused.Remedy() == "" {
			t.Errorf("%s: got %v", name, err)
		}
		answer, body := w.ask("CONNECT " + name + ".example:" + portOf(addr) + " HTTP/1.1\r\n\r\n")
		if answer.StatusCode != http.StatusForbidden || !strings.Contains(answer.Header.Get("Proxy-Status"), "error=destination_ip_prohibited") {
			t.Errorf("%s: got %s %v %s", name, answer.Status, answer.Header, body)
		}
	}
	if len(taken) > 0 {
		t.Errorf("%d connections were made", len(taken))
	}
	_, err := direct.Dial(t.Context(), "unknown.example", 80)
	if front.CauseOf(err) != front.CauseUnresolved || err.Error() != "directly from this machine to unknown.example:80: the name leads nowhere" {
		t.Errorf("unknown: got %v", err)
	}
}

func portNumber(t *testing.T, addr string) uint16 {
	t.Helper()
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return tcp.AddrPort().Port()
}

// What a direct connection fails for has its cause, and ends with whoever wanted it.
func TestDirectConnectionsTellWhyTheyFail(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (front.Direct{}).Dial(ctx, "192.0.2.1", 80); front.CauseOf(err) != front.CauseClosing {
		t.Errorf("canceled: got %v", err)
	}
	// An own address that is not loopback: it refuses at once.
	own := ownAddress(t)
	l, err := net.Listen("tcp", net.JoinHostPort(own, "0"))
	if err != nil {
		t.Skipf("no address of its own but loopback: %v", err)
	}
	port := portNumber(t, l.Addr().String())
	conn, err := (front.Direct{}).Dial(t.Context(), own, port)
	if err != nil {
		t.Fatalf("it listens: %v", err)
	}
	_ = conn.Close()
	_ = l.Close()
	if _, err := (front.Direct{}).Dial(t.Context(), own, port); front.CauseOf(err) != front.CauseRefused || !strings.HasSuffix(err.Error(), ": it refuses the connection") {
		t.Errorf("refused: got %v", err)
	}
}

func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	t.Skip("no address of its own but loopback")
	return ""
}
