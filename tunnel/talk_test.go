package tunnel

import (
	"fmt"
	"strings"
	"testing"
)

// said is what one side of a connection says.
type said struct {
	up   bool
	text string
}

func up(text string) said   { return said{true, text} }
func down(text string) said { return said{false, text} }

// TestWhatBecameOfAConnection plays connections as a whole, in pieces and byte by byte: nothing depends on how they are cut.
func TestWhatBecameOfAConnection(t *testing.T) {
	const ok, denied = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nContent-Length: 3\r\n\r\nno!"
	get := func(host string) string { return "GET http://" + host + "/ HTTP/1.1\r\nHost: " + host + "\r\n\r\n" }
	share := func(host string, requests, failed int, sent, received string) string {
		return fmt.Sprintf("%s %d/%d %d/%d", host, requests, failed, len(sent), len(received))
	}
	post := "POST http://b/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nGET /\r\n0\r\nTrailer: x\r\n\r\n"
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n11\r\nHTTP/1.1 500 no\r\n\r\n0\r\n\r\n"
	tlsAlertRecord, noise := "\x15\x03\x03\x00\x02\x02\x30", "\x00\x01\x02HTTP/1.1 500 x\r\n\r\nGET http://z/ HTTP/1.1\r\n\r\n"
	hello := clientHello(t, "a.internal")
	big := strings.Repeat("x", 100_000)
	upload := "PUT http://a/ HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + big
	for name, tt := range map[string]struct {
		talk   []said
		status int
		err    string
		shares []string
	}{
		"hosts in turn": {
			[]said{up(get("a")), down(ok), up(get("b")), down(ok + "\r\n"), up(get("a")), down(ok)}, 200, "",
			[]string{share("a", 2, 0, get("a")+get("a"), ok+ok), share("b", 1, 0, get("b"), ok+"\r\n")},
		},
		"asked before answered": {
			[]said{up(get("a") + get("b") + post + get("c")), down(ok + chunked + ok + denied)}, 403, "403 ERR_ACCESS_DENIED",
			[]string{share("a", 1, 0, get("a"), ok), share("b", 2, 0, get("b")+post, chunked+ok), share("c", 1, 1, get("c"), denied)},
		},
		"refused, and then not": {
			[]said{up(get("a")), down(denied), up(get("a")), down(ok)}, 403, "403 ERR_ACCESS_DENIED",
			[]string{share("a", 2, 1, get("a")+get("a"), denied+ok)},
		},
		"the server's own error": {
			[]said{up(get("a")), down("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")}, 404, "",
			[]string{share("a", 1, 0, get("a"), strings.Repeat(" ", 45))},
		},
		"an upload that is told to go on": {
			[]said{up(upload[:60]), down("HTTP/1.1 100 Continue\r\n\r\n"), up(upload[60:]), down(ok), up(get("b")), down(ok)}, 200, "",
			[]string{share("a", 1, 0, upload, "HTTP/1.1 100 Continue\r\n\r\n"+ok), share("b", 1, 0, get("b"), ok)},
		},
		"answers without a body": {
			[]said{up("HEAD http://a/ HTTP/1.1\r\n\r\n"), down("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"), up(get("b")), down("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), up(get("c")), down("HTTP/1.1 503 x\r\n\r\n")},
			503, "",
			[]string{"a 1/0 27/40", "b 1/0 35/48", "c 1/0 35/18"},
		},
		"a tunnel": {
			[]said{up("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), down("HTTP/1.1 200 Connection established\r\n\r\n" + noise), up(get("z")), down(noise), up(noise)}, 200, "",
			[]string{fmt.Sprintf("a:443 1/0 %d/%d", 39+len(get("z"))+len(noise), 39+2*len(noise))},
		},
		"an alert behind a proxy": {
			[]said{up("CONNECT a:443 HTTP/1.1\r\n\r\n"), down("HTTP/1.1 200 x\r\n\r\n"), up(hello), down(tlsAlertRecord)}, 200, "alert 48 of the server: unknown certificate authority",
			[]string{fmt.Sprintf("a:443 1/1 %d/25", 26+len(hello))},
		},
		"an alert behind a proxy, of the client": {
			[]said{up(get("b")), down(ok), up("CONNECT a:443 HTTP/1.1\r\n\r\n"), down("HTTP/1.1 200 x\r\n\r\n\x16\x03\x03\x00\x03abc"), up(hello), up(tlsAlertRecord)}, 200, "alert 48 of the client: unknown certificate authority",
			[]string{share("b", 1, 0, get("b"), ok), fmt.Sprintf("a:443 1/1 %d/26", 26+len(hello)+7)},
		},
		"an alert behind a proxy, under encryption": {
			[]said{up("CONNECT a:443 HTTP/1.1\r\n\r\n"), down("HTTP/1.1 200 x\r\n\r\n"), up(hello), down("\x16\x03\x03\x00\x03abc\x14\x03\x03\x00\x01\x01" + tlsAlertRecord)}, 200, "",
			[]string{fmt.Sprintf("a:443 1/0 %d/39", 26+len(hello))},
		},
		"a tunnel that is refused, then asked for with a password": {
			[]said{
				up("CONNECT a:443 HTTP/1.1\r\n\r\n"), down("HTTP/1.1 407 x\r\nX-Squid-Error: ERR_CACHE_ACCESS_DENIED 0\r\nContent-Length: 4\r\n\r\nlong"),
				up("CONNECT a:443 HTTP/1.1\r\n\r\n"), down("HTTP/1.1 200 x\r\n\r\n"), up(get("z")),
			},
			407, "407 ERR_CACHE_ACCESS_DENIED",
			[]string{fmt.Sprintf("a:443 2/1 %d/%d", 26+26+len(get("z")), 83+18)},
		},
		"a tunnel whose client does not wait": {
			[]said{up("CONNECT a:443 HTTP/1.1\r\n\r\n" + get("z")), down("HTTP/1.1 502 x\r\n\r\n")}, 502, "502 Bad Gateway",
			[]string{fmt.Sprintf("a:443 1/1 %d/18", 26+len(get("z")))},
		},
		"a tunnel that is led astray": {
			[]said{up("CONNECT a:443 HTTP/1.1\r\n\r\n"), down("HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\n")}, 302, "302 Found", []string{"a:443 1/1 26/37"},
		},
		"an upgrade": {
			[]said{up("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"), down("HTTP/1.1 101 x\r\n\r\n" + noise), up(get("z"))}, 101, "",
			[]string{fmt.Sprintf("a 1/0 %d/%d", 47+len(get("z")), 18+len(noise))},
		},
		"a line that is too long": {
			[]said{up(get("a")), down(ok), up("GET http://b/" + big + " HTTP/1.1\r\n\r\n" + get("c")), down(ok)}, 200, "",
			[]string{fmt.Sprintf("a 1/0 %d/%d", 2*len(get("a"))+len(big)+26, 2*len(ok))},
		},
		"an alert of the server": {[]said{up(hello), down(tlsAlertRecord)}, 0, "alert 48 of the server: unknown certificate authority", []string{fmt.Sprintf("a.internal 0/1 %d/7", len(hello))}},
		"an alert of the client": {
			[]said{up(hello), down("\x16\x03\x03\x00\x03abc\x16\x03\x03\x00\x01x"), up(tlsAlertRecord)}, 0, "alert 48 of the client: unknown certificate authority",
			[]string{fmt.Sprintf("a.internal 0/1 %d/14", len(hello)+7)},
		},
		"an alert under encryption": {
			[]said{up(hello), down("\x16\x03\x03\x00\x03abc\x14\x03\x03\x00\x01\x01" + tlsAlertRecord)}, 0, "", []string{fmt.Sprintf("a.internal 0/0 %d/21", len(hello))},
		},
		"a login to PostgreSQL": {
			[]said{up("\x00\x00\x00\x08\x04\xd2\x16\x2f"), down("N"), up("\x00\x00\x00\x14\x00\x03\x00\x00user\x00me\x00\x00"), down("R\x00\x00\x00\x08\x00\x00\x00\x03E\x00\x00\x00\x15SFATAL\x00C28P01\x00M!\x00\x00")},
			0, "postgres refused the login: error 28P01", []string{" 0/1 25/33"},
		},
		"a login to PostgreSQL that succeeds": {
			[]said{up("\x00\x00\x00\x14\x00\x03\x00\x00user\x00me\x00\x00"), down("R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I"), down("E\x00\x00\x00\x0cC42P01\x00\x00")},
			0, "", []string{" 0/0 17/28"},
		},
		"a login to MySQL": {
			[]said{down("\x0a\x00\x00\x00\x0a8.0.36\x00!!"), up("x"), down("\x04\x00\x00\x02\xff\x15\x04#")}, 0, "mysql refused the login: error 1045", []string{" 0/1 1/22"},
		},
		"a client that MySQL does not let in": {[]said{down("\x05\x00\x00\x00\xff\x69\x04Ho")}, 0, "mysql refused the login: error 1129", []string{" 0/1 0/9"}},
		"an error of MySQL after the login": {
			[]said{down("\x0a\x00\x00\x00\x0a8.0.36\x00!!"), up("x"), down("\x03\x00\x00\x02\x00\x00\x00\x04\x00\x00\x01\xff\x15\x04#")}, 0, "", []string{" 0/0 1/29"},
		},
	} {
		for _, step := range []int{1 << 20, 7, 1} {
			var c connection
			for _, s := range tt.talk {
				for rest := s.text; len(rest) > 0; {
					n := min(step, len(rest))
					piece := []byte(rest[:n])
					rest = rest[n:]
					if s.up {
						c.sniff.up(piece)
						c.sent.Add(uint64(n))
					} else {
						_, _ = c.hand(piece, func(p []byte) (int, error) { return len(p), nil })
					}
					clear(piece) // whoever keeps what is not his sees nothing
				}
			}
			got := c.record()
			var shares []string
			for _, s := range got.Split() {
				shares = append(shares, fmt.Sprintf("%s %d/%d %d/%d", s.Host, s.Requests, s.Failed, s.Sent, s.Received))
			}
			problem := ""
			if e := c.sniff.refusedBy(); e != nil {
				problem = e.Error()
			}
			if got.Status != tt.status || problem != tt.err || fmt.Sprintf("%q", shares) != fmt.Sprintf("%q", tt.shares) {
				t.Errorf("%s in steps of %d:\n got %d %q %q\nwant %d %q %q", name, step, got.Status, problem, shares, tt.status, tt.err, tt.shares)
			}
		}
	}
}

// However many hosts and requests a connection has, what is kept of it is bounded, and nothing is left uncounted.
func TestHostsOfAConnectionAreBounded(t *testing.T) {
	var c connection
	const n = 3 * maxOutstanding
	for i := range n {
		request := fmt.Sprintf("GET http://h%d/ HTTP/1.1\r\n\r\n", i)
		c.sniff.up([]byte(request))
		c.sent.Add(uint64(len(request)))
		if i%2 == 0 { // half of them get their answer
			_, _ = c.hand([]byte("HTTP/1.1 204 x\r\n\r\n"), func(p []byte) (int, error) { return len(p), nil })
		}
	}
	got := c.record()
	var sent, received uint64
	for _, s := range got.Hosts {
		sent, received = sent+s.Sent, received+s.Received
	}
	if len(got.Hosts) != maxShares+1 || got.Hosts[maxShares].Host != OtherHosts || sent != got.Sent || received != got.Received {
		t.Errorf("%d hosts with %d and %d bytes, want %d with %d and %d", len(got.Hosts), sent, received, maxShares+1, got.Sent, got.Received)
	}
	if len(c.sniff.talk.outstanding) > maxOutstanding {
		t.Errorf("%d requests wait for answers", len(c.sniff.talk.outstanding))
	}
}

func BenchmarkSniffer(b *testing.B) {
	message := make([]byte, 16<<10)
	for name, first := range map[string]string{
		"decided": "SSH-2.0-x\r\n",
		"body":    "PUT http://a/ HTTP/1.1\r\nContent-Length: 4000000000000\r\n\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			var s sniffer
			s.up([]byte(first))
			b.ReportAllocs()
			for b.Loop() {
				s.up(message)
			}
		})
	}
}
