package tunnel_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// far is what real curl reaches through culvert, the embedded account and real Squid: an HTTP and a TLS server under
// names that only Squid resolves.
type far struct {
	*world
	squid               *need.Proxy
	tunnel              *tunnel.Tunnel
	curl, ca            string
	httpPort, httpsPort string
	upload              func() [32]byte // digest of the last body that was posted
}

const bigSize = 30 << 20 // three times as many messages as any client of AWS keeps (docs/faults.md, P6)

func newFar(t *testing.T, faults func(*emulator.Faults)) *far {
	t.Helper()
	f := &far{curl: need.Command(t, "curl")}
	f.squid = need.Squid(t, need.SquidConfig{
		Hosts: map[string]netip.Addr{"orders.internal": netip.MustParseAddr("127.0.0.1")},
		Rules: []string{"acl blocked dstdomain blocked.internal", "http_access deny blocked"},
	})
	var mu sync.Mutex
	var last [32]byte
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello from the far side\n") })
	mux.HandleFunc("GET /big", func(w http.ResponseWriter, r *http.Request) {
		size := bigSize
		if s := r.URL.Query().Get("size"); s != "" {
			_, _ = fmt.Sscan(s, &size)
		}
		_, _ = w.Write(random(size, 42))
	})
	mux.HandleFunc("POST /big", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, _ := io.Copy(h, r.Body)
		mu.Lock()
		last = [32]byte(h.Sum(nil))
		mu.Unlock()
		_, _ = fmt.Fprintf(w, "%d bytes\n", n)
	})
	f.upload = func() [32]byte {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
	plain, secure := httptest.NewServer(mux), httptest.NewUnstartedServer(mux)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	f.httpPort, f.httpsPort = portOf(t, plain.URL), portOf(t, secure.URL)
	f.ca = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(f.ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	f.world = newWorld(t, f.squid.Addr.String(), tunnel.Options{}, faults)
	f.tunnel = f.open(tunnel.Spec{})
	return f
}

func portOf(t *testing.T, rawURL string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// get runs curl through the tunnel; --noproxy is emptied so that no environment interferes.
func (f *far) get(ctx context.Context, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := f.getTo(ctx, &out, args...)
	return out.Bytes(), err
}

// getTo does so with what curl receives going to w, which has to take it as it comes: a tunnel resets a connection whose
// local side does not.
func (f *far) getTo(ctx context.Context, w io.Writer, args ...string) error {
	all := append([]string{"-sS", "--fail", "--max-time", "120", "--noproxy", "", "-x", "http://" + f.tunnel.Addr().String(), "--cacert", f.ca}, args...)
	cmd := exec.CommandContext(ctx, f.curl, all...)
	var complaint strings.Builder
	cmd.Stdout, cmd.Stderr = w, &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("curl %s: %w: %s; the tunnel's connections: %+v", strings.Join(args, " "), err, complaint.String(), f.tunnel.Connections())
	}
	return nil
}

func (f *far) mustGet(args ...string) []byte {
	f.Helper()
	out, err := f.get(f.Context(), args...)
	if err != nil {
		f.Fatal(err)
	}
	return out
}

func (f *far) plain(path string) string { return "http://orders.internal:" + f.httpPort + path }

// secure names the TLS server by the name in httptest's certificate, which Squid resolves like any other.
func (f *far) secure(path string) string { return "https://example.com:" + f.httpsPort + path }

func TestCurlThroughRealSquid(t *testing.T) {
	f := newFar(t, nil)
	if got := f.mustGet(f.plain("/hello")); string(got) != "hello from the far side\n" {
		t.Errorf("GET: got %q", got)
	}
	// CONNECT to the TLS server: its certificate is for example.com, which only Squid's hosts file may resolve.
	tls := []string{"--connect-to", "example.com:" + f.httpsPort + ":orders.internal:" + f.httpsPort, f.secure("/hello")}
	if got := f.mustGet(tls...); string(got) != "hello from the far side\n" {
		t.Errorf("CONNECT: got %q", got)
	}
	if _, err := f.get(t.Context(), "http://blocked.internal/"); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a refused host: got %v, want 403", err)
	}
	need.Eventually(t, "three connections in the tunnel's list", func() bool { return len(f.tunnel.Connections()) == 3 })
	hosts := map[tunnel.Protocol]string{}
	for _, c := range f.tunnel.Connections() {
		hosts[c.Protocol] = c.Host
	}
	if hosts[tunnel.ProtocolHTTPConnect] != "orders.internal:"+f.httpsPort {
		t.Errorf("connections are known as %v", hosts)
	}
}

func TestThirtyMegabytesEachWay(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	f := newFar(t, nil)
	want := sha256.Sum256(random(bigSize, 42))
	got := sha256.New()
	if err := f.getTo(t.Context(), got, f.plain("/big")); err != nil {
		t.Fatal(err)
	}
	if [sha256.Size]byte(got.Sum(nil)) != want {
		t.Error("the download differs")
	}
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, random(bigSize, 42), 0o600); err != nil {
		t.Fatal(err)
	}
	said := f.mustGet("-T", body, "-X", "POST", f.plain("/big"))
	if string(said) != fmt.Sprintf("%d bytes\n", bigSize) || f.upload() != want {
		t.Errorf("the upload differs: the server says %q", said)
	}
}

func TestTwoHundredCurlsAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	f := newFar(t, nil)
	// One curl with 200 parallel transfers, each on a connection of its own.
	args := []string{"--parallel", "--parallel-immediate", "--parallel-max", "200", "--http1.1", "-H", "Connection: close"}
	dir := t.TempDir()
	for i := range 200 {
		args = append(args, "-o", filepath.Join(dir, fmt.Sprint(i)), f.plain("/big?size=20000"))
	}
	f.mustGet(args...)
	want := sha256.Sum256(random(20_000, 42))
	for i := range 200 {
		got, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		if sha256.Sum256(got) != want {
			t.Errorf("transfer %d differs", i)
		}
	}
	need.Eventually(t, "the end of all connections", func() bool { return f.tunnel.Stats().Connections == 0 })
	if n := f.tunnel.Stats().Accepted; n < 200 {
		t.Errorf("%d connections, want 200", n)
	}
}

func TestDownloadSurvivesTheHourlyClose(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	f := newFar(t, func(f *emulator.Faults) { f.Pacing = time.Millisecond })
	const size = 3 << 20
	done := make(chan error, 1)
	var got []byte
	go func() {
		var err error
		got, err = f.get(t.Context(), f.plain(fmt.Sprint("/big?size=", size)))
		done <- err
	}()
	need.Eventually(t, "a megabyte", func() bool { return f.tunnel.Stats().Received > 1<<20 })
	f.account.CloseClientLeg(1000)
	f.events.await(t, f.tunnel, tunnel.Resuming)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(got) != sha256.Sum256(random(size, 42)) {
		t.Error("the download differs")
	}
}
