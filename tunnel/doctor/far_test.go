package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

// portOf is the port of an address.
func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// page is a web server that answers with a status.
func page(t *testing.T, status int) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// secure is a TLS server with a certificate for names until a time, by an authority of its own.
func secure(t *testing.T, until time.Time, names ...string) (address string, authority *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Acme internal CA"}, DNSNames: names,
		NotBefore: until.Add(-24 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}
	server.Config.ErrorLog = quietLog()
	server.StartTLS()
	t.Cleanup(server.Close)
	authority = x509.NewCertPool()
	authority.AddCert(leaf)
	return server.Listener.Addr().String(), authority
}

// free is an address for a server that cannot be told to take any port: below those that the system hands out, so that
// nothing else here gets it meanwhile.
func free(t *testing.T) string {
	t.Helper()
	for range 100 {
		n, err := rand.Int(rand.Reader, big.NewInt(10_000))
		if err != nil {
			t.Fatal(err)
		}
		address := fmt.Sprintf("127.0.0.1:%d", 20_000+n.Int64())
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("no free port from 20000 to 29999")
	return ""
}

// run starts a real server in the foreground and waits until it takes connections. It is killed at the end.
func run(t *testing.T, address string, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), program, args...)
	said := &logWriter{t}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "signal: killed"
	})
	need.Eventually(t, program+" takes connections", func() bool {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

type logWriter struct{ t *testing.T }

func (w *logWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

func TestF1SilenceWhereTheProxyShouldBe(t *testing.T) {
	t.Parallel()
	address := need.Server(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
	c := newClinic(t, behind(address))
	c.options.Patience = time.Second
	c.finds("answer", "F1", "did not answer an HTTP request within 1s", "no HTTP proxy")
}

func TestF2NginxListensThere(t *testing.T) {
	t.Parallel()
	program := need.Command(t, "nginx")
	dir, address := t.TempDir(), free(t)
	config := fmt.Sprintf("daemon off; master_process off; pid %[1]s/pid; error_log stderr;\nevents {}\nhttp { access_log off; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s; server { listen %[2]s; } }\n", dir, address)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, address, program, "-c", path, "-p", dir)
	c := newClinic(t, behind(address), "https://billing.internal/")
	c.finds("answer", "F2", "nginx", "not as an HTTP proxy", "--probe tcp")
}

func TestF2OpenSSHListensThere(t *testing.T) {
	t.Parallel()
	program := need.Command(t, "sshd")
	keygen := need.Command(t, "ssh-keygen")
	dir, address := t.TempDir(), free(t)
	key := filepath.Join(dir, "key")
	if out, err := exec.CommandContext(t.Context(), keygen, "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("make a host key: %v\n%s", err, out)
	}
	if os.Geteuid() == 0 { // where a root's sshd puts the processes that it trusts least
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	host, port, _ := net.SplitHostPort(address)
	run(t, address, program, "-D", "-e", "-f", "/dev/null", "-h", key, "-p", port, "-o", "ListenAddress="+host, "-o", "PidFile=none")
	c := newClinic(t, behind(address))
	c.finds("answer", "F2", "SSH", "OpenSSH")
}

func TestF2MailServerListensThere(t *testing.T) {
	t.Parallel()
	address := need.Server(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "220 mail.internal ESMTP\x1b[2J\r\n")
		_, _ = io.Copy(io.Discard, c)
	})
	c := newClinic(t, behind(address))
	report := c.finds("answer", "F2", "SMTP or FTP")
	if text := report.First().Finding.Err.Error(); containsControl(text) {
		t.Errorf("the server's greeting reaches the terminal as it is: %q", text)
	}
}

func containsControl(text string) bool {
	for _, r := range text {
		if r < ' ' {
			return true
		}
	}
	return false
}

// A port that is no proxy's may hold anything.
func TestOtherPortsMaySpeakWhatTheyLike(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(*net.TCPConn){
		"waits for its client": func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) },
		"hangs up on HTTP":     func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 1)) },
		"greets":               func(c *net.TCPConn) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n"); _, _ = io.Copy(io.Discard, c) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fleet := behind(need.Server(t, handle))
			ports := fleet.Clusters[0].Services[0].Task.Containers[0].Ports
			ports[7000] = ports[3128]
			c := newClinic(t, fleet)
			c.options.Patience = time.Second
			c.options.Query.Port = 7000
			c.options.Spec.Remote = tunnel.Endpoint{Port: 7000}
			report := c.examine()
			if first := report.First(); first != nil {
				t.Errorf("%s fails: %v", first.Check, first.Finding.Err)
			}
			if got := resultOf(t, report, "answer").Finding.Verdict; got != doctor.Pass {
				t.Errorf("answer: got %s", got)
			}
		})
	}
}
