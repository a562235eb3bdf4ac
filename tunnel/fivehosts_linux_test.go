package tunnel_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// estate is five private hosts behind tasks in which no proxy runs, and a tunnel to any host. Each host has a certificate of its
// own, by an authority that nobody knows but who is told; each serves pages and a git repository at 443, PostgreSQL at 5432 and
// SSH at 22. A sixth, impostor, has the certificate of another.
type estate struct {
	*world

	addr     string // of the tunnel's listener
	dir, ca  string // a directory of the test's own, the authority's certificate
	hostKey  string // public key of the SSH servers
	resource atomic.Int64
}

var fiveHosts = []string{"orders.internal", "billing.internal", "admin.internal", "git.internal", "orders-db.internal"}

const impostor = "impostor.internal"

func openEstate(t *testing.T) *estate {
	t.Helper()
	e := &estate{dir: t.TempDir()}
	a := newAuthority(t)
	e.ca = filepath.Join(e.dir, "ca.pem")
	if err := os.WriteFile(e.ca, a.text, 0o644); err != nil {
		t.Fatal(err)
	}
	repository := e.repository(t)
	database, ssh := e.postgres(t, a), e.sshd(t)
	at := map[string]string{}
	for _, name := range append([]string{impostor}, fiveHosts...) {
		s := httptest.NewUnstartedServer(e.site(name, repository))
		certified := name
		if name == impostor {
			certified = fiveHosts[0]
		}
		s.TLS = &tls.Config{Certificates: []tls.Certificate{a.certify(t, certified)}, MinVersion: tls.VersionTLS12}
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that do not trust
		s.StartTLS()
		t.Cleanup(s.Close)
		at[name+":443"], at[name+":5432"], at[name+":22"] = s.Listener.Addr().String(), database, ssh
	}
	task := emulator.Task{Containers: []emulator.Container{{Name: "app", Ports: map[uint16]string{port: need.Server(t, need.Echo)}}}}
	e.world = newWorldIn(t, emulator.Fleet{
		Clusters: []emulator.Cluster{{Name: "c", Services: []emulator.Service{{Name: "s", Count: 3, Task: task}}}}, Hosts: at,
	}, tunnel.Options{}, nil)
	e.addr = e.dynamic(tunnel.Dynamic{}, nil).Addr().String()
	return e
}

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	text        []byte // PEM
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{certificate: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the authority of a test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, a.certificate, a.certificate, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.text = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certify makes a certificate of some hosts.
func (a *authority) certify(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		KeyUsage: x509.KeyUsageDigitalSignature, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, of, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// site is what a host serves: a page that names it, a page of a hundred resources from all of them, and a repository.
func (e *estate) site(name, repository string) http.Handler {
	mux := http.NewServeMux()
	page := func(w http.ResponseWriter, body string) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><link rel=icon href="data:,"><body><p id=at>this is %s</p>%s`, name, body)
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		page(w, "<script>document.body.dataset.loaded = 'yes'</script>")
	})
	mux.HandleFunc("GET /hundred", func(w http.ResponseWriter, _ *http.Request) { page(w, hundred()) })
	mux.HandleFunc("GET /part/{file}", func(w http.ResponseWriter, r *http.Request) {
		e.resource.Add(1)
		w.Header().Set("Access-Control-Allow-Origin", "*")
		kinds := map[string][2]string{
			".js": {"text/javascript", "window.ran = (window.ran || 0) + 1;"}, ".css": {"text/css", "p { color: green }"}, ".json": {"application/json", "{}"},
			".svg": {"image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>`},
		}
		kind := kinds[filepath.Ext(r.PathValue("file"))]
		w.Header().Set("Content-Type", kind[0])
		_, _ = io.WriteString(w, kind[1])
	})
	mux.Handle("GET /shop.git/", http.FileServer(http.Dir(repository)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != name || r.TLS.ServerName != name {
			http.Error(w, "asked for "+r.Host+" as "+r.TLS.ServerName, http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// hundred is a page's resources, twenty of each host.
func hundred() string {
	var b, fetched strings.Builder
	for i := range 100 {
		from := fmt.Sprintf("https://%s/part/%d", fiveHosts[i%len(fiveHosts)], i)
		switch i / len(fiveHosts) % 4 {
		case 0:
			_, _ = fmt.Fprintf(&b, "<script src=%q></script>\n", from+".js")
		case 1:
			_, _ = fmt.Fprintf(&b, "<link rel=stylesheet href=%q>\n", from+".css")
		case 2:
			_, _ = fmt.Fprintf(&b, "<img src=%q>\n", from+".svg")
		case 3:
			_, _ = fmt.Fprintf(&fetched, "%q,", from+".json")
		}
	}
	return b.String() + `<script>
const all = [` + fetched.String() + `].map((url) => fetch(url).then((answer) => answer.json()));
Promise.all([...all, new Promise((loaded) => addEventListener("load", loaded))]).then(() => {
  document.getElementById("at").textContent += ", " + window.ran + " scripts, " + all.length + " fetched";
  document.body.dataset.loaded = "yes";
});</script>`
}

// repository is a git repository as a plain web server has it.
func (e *estate) repository(t *testing.T) string {
	t.Helper()
	git := need.Command(t, "git")
	for _, args := range [][]string{
		{"init", "-q", "work"}, {"-C", "work", "-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "--allow-empty", "-m", "arrived"},
		{"clone", "-q", "--bare", "work", "served/shop.git"}, {"-C", "served/shop.git", "update-server-info"},
	} {
		cmd := exec.CommandContext(t.Context(), git, args...)
		cmd.Dir = e.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return filepath.Join(e.dir, "served")
}

// postgres starts a server that takes connections with TLS alone, and is certified for each of the five.
func (e *estate) postgres(t *testing.T, a *authority) string {
	t.Helper()
	server, initdb := need.Command(t, "postgres"), need.Command(t, "initdb")
	dir, err := os.MkdirTemp("", "five-") //nolint:usetesting // others must be able to enter what is above it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var nobody *syscall.SysProcAttr // root it may not be
	if os.Getuid() == 0 {
		const id = 65534
		nobody = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
		if err := os.Chown(dir, id, id); err != nil {
			t.Fatal(err)
		}
	}
	pair := a.certify(t, fiveHosts...)
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	run := func(program, input string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir, cmd.SysProcAttr, cmd.Stdin = dir, nobody, strings.NewReader(input)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
	}
	run(initdb, "", "-D", "data", "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions")
	for file, text := range map[string][]byte{
		"server.key":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"server.crt":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}),
		"pg_hba.conf": []byte("hostssl postgres all 127.0.0.1/32 trust\n"),
	} {
		run("/bin/sh", string(text), "-c", "umask 077; cat > data/"+file)
	}
	address := need.FreeAddress(t)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), server, "-D", "data", "-p", portOf(t, "http://"+address), "-k", dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "ssl=on", "-c", "fsync=off")
	cmd.Dir, cmd.SysProcAttr = dir, nobody
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // it cuts its clients off and ends
		_ = cmd.Wait()
	})
	need.Eventually(t, "PostgreSQL", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return address
}

// sshd serves connections with a real sshd each, for whoever has the key "user" of the test's directory.
func (e *estate) sshd(t *testing.T) string {
	t.Helper()
	server, keygen := need.Command(t, "sshd"), need.Command(t, "ssh-keygen")
	for _, name := range []string{"host", "user"} {
		if out, err := exec.CommandContext(t.Context(), keygen, "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(e.dir, name)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
	}
	public, err := os.ReadFile(filepath.Join(e.dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	e.hostKey = strings.Join(strings.Fields(string(public))[:2], " ")
	if os.Getuid() == 0 { // where it separates its privileges
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // as Debian's own start has it
			t.Fatal(err)
		}
	}
	return need.Server(t, func(conn *net.TCPConn) {
		cmd := exec.CommandContext(t.Context(), server, "-i", "-e", "-f", os.DevNull, "-h", filepath.Join(e.dir, "host"),
			"-o", "AuthorizedKeysFile="+filepath.Join(e.dir, "user.pub"), "-o", "StrictModes=no", "-o", "UsePAM=no", "-o", "PermitRootLogin=prohibit-password")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = conn, conn, io.Discard
		_ = cmd.Run() // the client tells
	})
}

// trusted is a home in which Chromium finds the authority.
func (e *estate) trusted(t *testing.T) string {
	t.Helper()
	certutil := need.Command(t, "certutil")
	home := t.TempDir()
	at := filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(at, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-N", "--empty-password"}, {"-A", "-t", "C,,", "-n", "test", "-i", e.ca}} {
		if out, err := exec.CommandContext(t.Context(), certutil, append([]string{"-d", "sql:" + at}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("certutil %v: %v\n%s", args, err, out)
		}
	}
	return home
}

// run runs a line of the documentation, which names a host, in a shell that knows of no other proxy. The words which stand there
// for what each machine has in its own way are the test's.
func (e *estate) run(t *testing.T, environment []string, line string, own ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", e.here(strings.NewReplacer(own...).Replace(line)))
	cmd.Dir, cmd.WaitDelay = t.TempDir(), 5*time.Second
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !strings.Contains(strings.ToLower(name), "proxy") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, environment...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// here is a text with the listener's address in the place of the documentation's.
func (e *estate) here(text string) string {
	_, own, _ := net.SplitHostPort(e.addr)
	return strings.NewReplacer("127.0.0.1:1080", e.addr, "socksport=1080", "socksport="+own).Replace(text)
}

// documented are the commands and settings that docs/dynamic.md gives for a program.
func documented(t *testing.T, program string) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/dynamic.md")
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(string(text)) {
		if !strings.HasPrefix(row, "| "+program) {
			continue
		}
		var all []string
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row, -1) {
			all = append(all, m[1])
		}
		return all
	}
	t.Fatalf("docs/dynamic.md has no row on %s", program)
	return nil
}
