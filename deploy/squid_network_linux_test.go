package deploy_test

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"culvert/internal/need"
)

// The network that the task sees. All of it are addresses of the loopback device in a namespace of the test's own.
const (
	resolver  = "10.77.0.2"       // the VPC's DNS
	orders    = "10.77.2.20"      // what the allowed names resolve to
	byAddress = "10.77.1.10"      // in allowed_cidrs
	disguised = "10.77.3.3"       // an address whose owner calls it orders.internal
	taskMeta  = "169.254.170.2"   // the task's credentials
	hostMeta  = "169.254.169.254" // an instance's
	hostMeta6 = "fd00:ec2::254"
)

// network is the task's surroundings: servers that count who comes, and a DNS that remembers who is asked for.
type network struct {
	ca string // file with the certificate of the TLS server

	mu    sync.Mutex
	came  map[string]int
	names []string
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{came: map[string]int{}}
	ip := need.Command(t, "ip")
	run := func(args ...string) {
		if out, err := exec.CommandContext(t.Context(), ip, args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("link", "set", "lo", "up")
	for _, address := range []string{resolver, orders, byAddress, disguised, taskMeta, hostMeta, hostMeta6} {
		if strings.Contains(address, ":") {
			run("addr", "add", address+"/128", "dev", "lo", "nodad")
			continue
		}
		run("addr", "add", address+"/32", "dev", "lo")
	}
	mounts(t)
	n.dns(t)
	for _, address := range []string{orders, byAddress, disguised, taskMeta, hostMeta, hostMeta6, "127.0.0.1"} {
		n.serve(t, address, 80)
	}
	n.serve(t, orders, 8080)
	n.serve(t, orders, 8081)
	secure := n.serve(t, orders, 443)
	n.ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(n.ca, secure, 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}

// mounts hides the machine's /tmp, resolver and hosts.
func mounts(t *testing.T) {
	t.Helper()
	must := func(what string, err error) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	must("keep mounts to ourselves", syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	must("mount /tmp", syscall.Mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"))
	for path, text := range map[string]string{"/etc/resolv.conf": "nameserver " + resolver + "\n", "/etc/hosts": "127.0.0.1 localhost\n"} {
		own := filepath.Join("/tmp", filepath.Base(path))
		must("write "+own, os.WriteFile(own, []byte(text), 0o644))
		must("mount "+path, syscall.Mount(own, path, "", syscall.MS_BIND, ""))
	}
}

// serve answers HTTP, on port 443 over TLS, and returns the certificate.
func (n *network) serve(t *testing.T, address string, port uint16) (certificate []byte) {
	t.Helper()
	listener, err := net.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddr(address), port).String())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			_, _ = io.CopyN(w, zeros{}, 100<<20)
			return
		}
		_, _ = io.WriteString(w, "hello\n")
	}))
	_ = server.Listener.Close()
	server.Listener = counted{Listener: listener, count: func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.came[address]++
	}}
	if port == 443 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	if server.TLS == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// zeros reads as zeros without end.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// counted is a listener that counts its connections.
type counted struct {
	net.Listener

	count func()
}

// Accept implements net.Listener.
func (c counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.count()
	}
	return conn, err
}

func (n *network) hits(address string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.came[address]
}

func (n *network) asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.names)
}
