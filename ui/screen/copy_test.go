package screen

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"culvert/tunnel"
	"culvert/ui/clip"
	"culvert/ui/control"
)

// sent presses a key and returns what the terminal is sent for its clipboard.
func sent(t *testing.T, a *app, key string) string {
	t.Helper()
	_, cmd := a.Update(pressed(key))
	if cmd == nil {
		t.Fatal("nothing was copied")
	}
	_, cmd = a.Update(cmd())
	if cmd == nil {
		return ""
	}
	raw, ok := cmd().(tea.RawMsg)
	if !ok {
		t.Fatalf("got %T, want something for the terminal", cmd())
	}
	return fmt.Sprint(raw.Msg)
}

// asKnown says what answers at a row's far end.
func asKnown(a *app, by string) { a.tunnels.proofs[nil] = proof{state: proved, by: by} }

func TestCopyOffersWhatFitsByNumber(t *testing.T) {
	a := newTestApp(t, Options{}, 120, 30)
	addRow(a, somewhere("127.0.0.1:3128"))
	asKnown(a, "http-proxy")
	press(t, a, "t", "y")
	want(t, a, "1  exports", "2  curl line", "3  URL", "4  address", "curl -x http://127.0.0.1:3128 ")
	press(t, a, "9") // there is no such number
	want(t, a, "1  exports")
	if got, want := sent(t, a, "4"), ansi.SetSystemClipboard("127.0.0.1:3128"); got != want {
		t.Errorf("got %q for the terminal, want %q", got, want)
	}
	want(t, a, "sent to the terminal (OSC 52): 127.0.0.1:3128; select it if it did not arrive")
	wantNot(t, a, "copied")

	press(t, a, "y")
	if got, want := sent(t, a, "enter"), ansi.SetSystemClipboard(proxyExports("http://127.0.0.1:3128")); got != want {
		t.Errorf("got %q for the terminal, want %q", got, want)
	}
}

// Where nothing is known of the far end, the address is all there is to say, and it is copied at once.
func TestCopyOfATunnelThatNothingIsKnownOf(t *testing.T) {
	a := newTestApp(t, Options{}, 120, 30)
	addRow(a, somewhere("127.0.0.1:3128"))
	press(t, a, "t")
	if got, want := sent(t, a, "y"), ansi.SetSystemClipboard("127.0.0.1:3128"); got != want {
		t.Errorf("got %q for the terminal, want %q", got, want)
	}
}

// A text of several lines is shown whole in a box, where it can be selected: the mouse is the terminal's as long.
func TestALongTextIsShownWhole(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 24)
	addRow(a, somewhere("127.0.0.1:3128"))
	asKnown(a, "url")
	press(t, a, "t", "y", "1")
	want(t, a, "sent the exports to the terminal (OSC 52)", "select it if it did not arrive", "esc close")
	for line := range strings.Lines(proxyExports("http://127.0.0.1:3128")) {
		want(t, a, strings.TrimSuffix(line, "\n"))
	}
	if a.View().MouseMode != tea.MouseModeNone {
		t.Error("the mouse is not the terminal's: nothing can be selected")
	}
	press(t, a, "esc")
	wantNot(t, a, "sent the exports")
	if a.View().MouseMode == tea.MouseModeNone {
		t.Error("the mouse stays the terminal's")
	}
}

func TestALineThatIsWiderThanTheBoxIsBrokenAndScrolled(t *testing.T) {
	a := newTestApp(t, Options{}, 60, 15)
	text := strings.Repeat("0123456789", 90) + "end"
	settle(t, a, a.grant(copied("the line", text)))
	want(t, a, "sent the line")
	wantNot(t, a, "end\n")
	for range 40 {
		press(t, a, "j")
	}
	want(t, a, "9end")
	press(t, a, "q")
	wantNot(t, a, "sent the line")
	if a.dialog != nil {
		t.Error("q does not close the box")
	}
}

// fakes are programs in a PATH of their own that take a text.
func fakes(t *testing.T, names ...string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the programs are scripts")
	}
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nexec "+cat+" >"+filepath.Join(dir, "text")+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	return dir
}

func TestCopiedIsSaidOfAClipboardThatHasIt(t *testing.T) {
	dir := fakes(t, "xclip")
	display := func(name string) string { return map[string]string{"DISPLAY": ":0"}[name] }
	a := newTestApp(t, Options{Clipboards: clip.Find("linux", display)}, 100, 30)
	addRow(a, somewhere("127.0.0.1:3128"))
	press(t, a, "t", "y")
	want(t, a, "copied to the clipboard (xclip): 127.0.0.1:3128")
	if got, err := os.ReadFile(filepath.Join(dir, "text")); err != nil || string(got) != "127.0.0.1:3128" {
		t.Errorf("got %q, %v", got, err)
	}
	asKnown(a, "http-proxy")
	press(t, a, "y", "1")
	want(t, a, "copied the exports to the clipboard (xclip)", "export HTTP_PROXY=")
	wantNot(t, a, "select it")
}

// What kept a text from a clipboard is said where nobody knows whether it arrived, and where it went nowhere.
func TestACopyThatFailedSaysWhy(t *testing.T) {
	fakes(t)
	wayland := func(name string) string { return map[string]string{"WAYLAND_DISPLAY": "w"}[name] }
	a := newTestApp(t, Options{Clipboards: clip.Find("linux", wayland)}, 100, 30)
	addRow(a, somewhere("127.0.0.1:3128"))
	press(t, a, "t", "y")
	want(t, a, "sent the address to the terminal (OSC 52)", " 127.0.0.1:3128", "wl-copy: not found in PATH")
	press(t, a, "esc")
	settle(t, a, a.grant(copied("the line", strings.Repeat("long ", 20_000))))
	want(t, a, "could not copy the line", " long ")
	wantNot(t, a, "sent", "copied")
}

// The forward dialog, where a recipe is copied, is not taken away by that.
func TestACopyLeavesADialogOpen(t *testing.T) {
	a := dialog(t, Options{}, "enter", "G", "up", "F")
	if got := sent(t, a, "ctrl+y"); !strings.HasPrefix(decoded(t, got), "culvert --headless") {
		t.Errorf("got %q for the terminal", got)
	}
	want(t, a, "sent to the terminal (OSC 52): culvert --headless", "the same without this screen")
	if _, open := a.dialog.(*connect); !open {
		t.Errorf("the dialog is %T now", a.dialog)
	}
}

func TestAHostileTextIsCopiedAsItIsShown(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 30)
	msg := a.grant(copied("the line", "one\x1b[2J\ntwo\u202e"))()
	_, cmd := a.Update(msg)
	if got := decoded(t, fmt.Sprint(cmd().(tea.RawMsg).Msg)); got != "one\\x1b[2J\ntwo\\u202e" {
		t.Errorf("got %q for the terminal: what is pasted is another text than what is shown", got)
	}
	want(t, a, `one\x1b[2J`, `two\u202e`)
	if strings.Contains(a.View().Content, "\x1b[2J") {
		t.Error("the text acts on the terminal")
	}
}

// What is offered fits what has answered, whatever the port.
func TestCopyablesFitWhatAnswered(t *testing.T) {
	socket := func(r *reading) { r.Spec.Socket, r.Local = "/run/a b.sock", netip.AddrPort{} }
	for _, c := range []struct {
		name     string
		answered tunnel.Protocol
		change   func(*reading)
		first    string // of the texts
		names    string
	}{
		{"a proxy", tunnel.ProtocolHTTPConnect, nil, "export HTTP_PROXY=http://127.0.0.1:3128\nexport http_proxy=http://127.0.0.1:3128\n", "exports, curl line, URL, address"},
		{"a proxy that wants a user", tunnel.ProtocolHTTPConnect, func(r *reading) { r.User = "a$b;c" }, "export HTTP_PROXY='http://a$b;c:PASSWORD@127.0.0.1:3128'\n", "exports, curl line, URL, address"},
		{"a SOCKS proxy", tunnel.ProtocolSOCKS, nil, "unset HTTP_PROXY http_proxy HTTPS_PROXY https_proxy\nexport ALL_PROXY=socks5h://127.0.0.1:3128\n", "exports, curl line, URL, address"},
		{"the port of a proxy", tunnel.ProtocolUnknown, nil, "127.0.0.1:3128", "address"},
		{"a web server at the port of a proxy", tunnel.ProtocolHTTP, nil, "http://127.0.0.1:3128/", "URL, curl line, address"},
		{"TLS around something", tunnel.ProtocolTLS, nil, "127.0.0.1:3128", "address"},
		{"PostgreSQL", tunnel.ProtocolPostgres, nil, "psql -h 127.0.0.1 -p 3128 -U USER DATABASE", "psql line, URL, address"},
		{"MySQL", tunnel.ProtocolMySQL, nil, "mysql --protocol=TCP -h 127.0.0.1 -P 3128 -u USER -p", "mysql line, URL, address"},
		{"Redis", tunnel.ProtocolRedis, nil, "redis-cli -h 127.0.0.1 -p 3128", "redis-cli line, URL, address"},
		{"SSH", tunnel.ProtocolSSH, nil, "ssh -p 3128 USER@127.0.0.1", "ssh line, address"},
		{"MongoDB", tunnel.ProtocolMongoDB, nil, "mongodb://127.0.0.1:3128/?directConnection=true", "URL, address"},
		{"LDAP", tunnel.ProtocolLDAP, nil, "ldap://127.0.0.1:3128", "URL, address"},
		{"gRPC", tunnel.ProtocolGRPC, nil, "grpcurl -plaintext 127.0.0.1:3128 list", "grpcurl line, address"},
		{"AMQP", tunnel.ProtocolAMQP, nil, "amqp://127.0.0.1:3128", "URL, address"},
		{"a proxy that listens on IPv6", tunnel.ProtocolHTTPConnect, func(r *reading) { r.Local = netip.MustParseAddrPort("[::1]:9") }, "export HTTP_PROXY=http://[::1]:9\n", "exports, curl line, URL, address"},
		{"a server that listens everywhere", tunnel.ProtocolHTTP, func(r *reading) { r.Local = netip.MustParseAddrPort("0.0.0.0:9") }, "http://127.0.0.1:9/", "URL, curl line, address"},
		{"a web server at a socket", tunnel.ProtocolHTTP, socket, "curl --unix-socket '/run/a b.sock' http://localhost/", "curl line, socket"},
		{"Redis at a socket", tunnel.ProtocolRedis, socket, "redis-cli -s '/run/a b.sock'", "redis-cli line, socket"},
		{"MySQL at a socket", tunnel.ProtocolMySQL, socket, "mysql -S '/run/a b.sock' -u USER -p", "mysql line, socket"},
		{"a proxy at a socket", tunnel.ProtocolHTTPConnect, socket, "/run/a b.sock", "socket"},
	} {
		r := somewhere("127.0.0.1:3128")
		if c.change != nil {
			c.change(&r)
		}
		list := copyables(r, c.answered)
		var names []string
		for _, text := range list {
			names = append(names, text.Name)
		}
		if got := strings.Join(names, ", "); got != c.names || !strings.HasPrefix(list[0].Text, c.first) {
			t.Errorf("%s: got %s with %q, want %s with %q", c.name, got, list[0].Text, c.names, c.first)
		}
	}
	if exports := proxyExports("http://127.0.0.1:3128"); !strings.Contains(exports, "no_proxy=${no_proxy:+$no_proxy,}localhost,127.0.0.1") {
		t.Errorf("got %s", exports)
	}
}

func TestWhatAnsweredIsWhatWasSeen(t *testing.T) {
	a := newTestApp(t, Options{}, 80, 24)
	r := addRow(a, somewhere("127.0.0.1:3128"))
	for by, want := range map[string]tunnel.Protocol{
		"http-proxy": tunnel.ProtocolHTTPConnect, "url": tunnel.ProtocolHTTPConnect, "http": tunnel.ProtocolHTTP, "postgres": tunnel.ProtocolPostgres,
		"socks5": tunnel.ProtocolSOCKS, "tcp": tunnel.ProtocolUnknown, "none": tunnel.ProtocolUnknown, "tls": tunnel.ProtocolUnknown, "": tunnel.ProtocolUnknown,
	} {
		asKnown(a, by)
		if got := a.tunnels.answered(r); got != want {
			t.Errorf("proved by %q: got %q, want %q", by, got, want)
		}
	}
	refused := &tunnel.AnswerError{Status: 405}
	for _, c := range []struct {
		want tunnel.Protocol
		of   []tunnel.Connection
	}{
		{tunnel.ProtocolUnknown, nil},
		{tunnel.ProtocolUnknown, []tunnel.Connection{{Protocol: tunnel.ProtocolRedis}}}, // the client alone has spoken
		{tunnel.ProtocolUnknown, []tunnel.Connection{{Protocol: tunnel.ProtocolHTTPConnect, Received: 9, Err: refused}}},
		{tunnel.ProtocolRedis, []tunnel.Connection{{Protocol: tunnel.ProtocolRedis, Received: 9}, {Protocol: tunnel.ProtocolUnknown, Received: 9}}},
		{tunnel.ProtocolHTTPConnect, []tunnel.Connection{{Protocol: tunnel.ProtocolHTTPConnect, Received: 9}, {Protocol: tunnel.ProtocolHTTP, Received: 9}}},
	} {
		if got := spoken(c.of); got != c.want {
			t.Errorf("of %+v: got %q, want %q", c.of, got, c.want)
		}
	}
}

func TestAHolderSaysWhetherItIsAProxy(t *testing.T) {
	a := newTestApp(t, Options{}, 80, 24)
	for _, c := range []struct {
		tunnel control.Tunnel
		want   tunnel.Protocol
	}{
		{control.Tunnel{ID: 1, Local: "127.0.0.1:3128", Remote: "3128", Ready: true, ProxyURL: "http://127.0.0.1:3128"}, tunnel.ProtocolHTTPConnect},
		{control.Tunnel{ID: 1, Local: "127.0.0.1:3128", Remote: "3128", ProxyURL: "http://127.0.0.1:3128"}, tunnel.ProtocolUnknown},
		{control.Tunnel{ID: 1, Local: "127.0.0.1:3128", Remote: "3128", Ready: true}, tunnel.ProtocolUnknown},
	} {
		a.tunnels.hold([]control.Set{{Name: "dev", State: control.Ready, PID: 4711, Tunnels: []control.Tunnel{c.tunnel}}})
		if got := a.tunnels.answered(a.tunnels.rows[0]); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.tunnel, got, c.want)
		}
	}
}

// decoded is the text in a sequence for the terminal's clipboard.
func decoded(t *testing.T, sequence string) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(strings.TrimPrefix(sequence, "\x1b]52;c;"), "\x07"))
	if err != nil {
		t.Fatalf("%q: %v", sequence, err)
	}
	return string(text)
}
