package doctor_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/internal/need"
	"culvert/tunnel"
)

// startPostgres starts a server without TLS, and startMariaDB, startRedis and startSSH theirs; they return where it listens.
func startPostgres(t *testing.T) string {
	t.Helper()
	server, initdb := need.Command(t, "postgres"), need.Command(t, "initdb")
	dir := need.ServerDir(t)
	data := filepath.Join(dir, "data")
	cmd := exec.CommandContext(t.Context(), initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions")
	cmd.Dir, cmd.SysProcAttr = dir, need.AsNobody()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	address := need.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	log := need.StartServer(t, dir, server, "-D", data, "-p", port, "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")
	need.Eventually(t, "PostgreSQL", func() bool { return strings.Contains(log.String(), "ready to accept connections") })
	return address
}

func startMariaDB(t *testing.T) string {
	t.Helper()
	server := need.Command(t, "mariadbd")
	dir, address := need.ServerDir(t), need.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	// Without grant tables it needs no database of its own: no installation, and everybody is let in.
	log := need.StartServer(t, dir, server, "--no-defaults", "--datadir="+dir, "--socket="+filepath.Join(dir, "s"), "--bind-address=127.0.0.1", "--port="+port,
		"--skip-grant-tables", "--skip-networking=0", "--innodb=OFF", "--default-storage-engine=Aria", "--gdb") // which lets SIGINT end it
	need.Eventually(t, "MariaDB", func() bool { return strings.Contains(log.String(), "ready for connections") })
	return address
}

func startRedis(t *testing.T) string {
	t.Helper()
	server := need.Command(t, "redis-server")
	dir, address := need.ServerDir(t), need.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	log := need.StartServer(t, dir, server, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir)
	need.Eventually(t, "Redis", func() bool { return strings.Contains(log.String(), "Ready to accept connections") })
	return address
}

func startSSH(t *testing.T) string {
	t.Helper()
	server, keygen := need.Command(t, "sshd"), need.Command(t, "ssh-keygen")
	dir, address := need.ServerDir(t), need.FreeAddress(t)
	key := filepath.Join(dir, "key")
	cmd := exec.CommandContext(t.Context(), keygen, "-q", "-t", "ed25519", "-N", "", "-f", key)
	cmd.SysProcAttr = need.AsNobody()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	host, port, _ := net.SplitHostPort(address)
	log := need.StartServer(t, dir, server, "-D", "-e", "-f", "/dev/null", "-h", key, "-p", port, "-o", "ListenAddress="+host, "-o", "PidFile=none")
	need.Eventually(t, "sshd", func() bool { return strings.Contains(log.String(), "listening on") })
	return address
}

// repository is a git repository as a plain web server has it, with a page beside it.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git := need.Command(t, "git")
	for _, args := range [][]string{
		{"init", "-q", "work"}, {"-C", "work", "-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "--allow-empty", "-m", "one"},
		{"clone", "-q", "--bare", "work", "shop.git"}, {"-C", "shop.git", "update-server-info"},
	} {
		cmd := exec.CommandContext(t.Context(), git, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "page"), []byte("Orders"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

const javaPage = `import java.net.URI; import java.net.http.*;
class Page { public static void main(String[] a) throws Exception {
System.out.println(HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build().send(HttpRequest.newBuilder(URI.create(a[0])).build(), HttpResponse.BodyHandlers.ofString()).body()); } }`

// The clients that people have get their answers through a tunnel as they are, and the tunnel says what they speak.
func TestDebiansClientsPassThrough(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers and clients of others: make test")
	}
	fleet := healthy()
	fleet.Clusters[0].Services[0].Task.Containers[0].Ports = map[uint16]string{
		5432: startPostgres(t), 6379: startRedis(t), 22: startSSH(t), 80: repository(t), 3306: startMariaDB(t),
	}
	c := newClinic(t, fleet)
	client, err := c.options.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	engine := tunnel.New(tunnel.Options{Client: client})
	t.Cleanup(func() { _ = engine.Close(context.WithoutCancel(t.Context())) })
	source := filepath.Join(t.TempDir(), "Page.java")
	if err := os.WriteFile(source, []byte(javaPage), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		port     uint16
		protocol tunnel.Protocol
		want     string
		command  string // HOST, PORT and URL stand for the tunnel's
	}{
		{5432, tunnel.ProtocolPostgres, "42", "psql -h HOST -p PORT -U postgres -Atc 'select(6*7)'"},
		{3306, tunnel.ProtocolMySQL, "42", "mariadb --no-defaults -h HOST -P PORT -u root -Ne 'select(6*7)'"},
		{6379, tunnel.ProtocolRedis, "PONG", "redis-cli -h HOST -p PORT ping"},
		{22, tunnel.ProtocolSSH, "Permission denied", "ssh -F none -p PORT -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null somebody@HOST"},
		{80, tunnel.ProtocolHTTP, "one", "git clone URL/shop.git DIR && git -C DIR log"},
		{80, tunnel.ProtocolHTTP, "Orders", "wget -qO- URL/page"},
		{80, tunnel.ProtocolHTTP, "Orders", "python3 -c 'import sys,urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())' URL/page"},
		{80, tunnel.ProtocolHTTP, "Orders", "node -e 'require(\"http\").get(process.argv[1], r => r.pipe(process.stdout))' URL/page"},
		{80, tunnel.ProtocolHTTP, "Orders", "java " + source + " URL/page"},
	} {
		name, _, _ := strings.Cut(test.command, " ")
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(name); name == "java" && err != nil {
				t.Skip("no java here")
			}
			need.Command(t, name)
			tn, err := engine.Open(tunnel.Spec{Target: aws.Target{Cluster: "c", Service: "s"}, Remote: tunnel.Endpoint{Port: test.port}, AnyPort: true})
			if err != nil {
				t.Fatal(err)
			}
			host, port, _ := net.SplitHostPort(tn.Addr().String())
			line := strings.NewReplacer("HOST", host, "PORT", port, "URL", "http://"+tn.Addr().String(), "DIR", filepath.Join(t.TempDir(), "clone")).Replace(test.command)
			cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
			cmd.Env = append(os.Environ(), "NO_PROXY=*", "no_proxy=*")
			out, err := cmd.CombinedOutput()
			if !strings.Contains(string(out), test.want) || err != nil && name != "ssh" {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
			need.Eventually(t, "the protocol", func() bool {
				all := tn.Connections()
				return len(all) > 0 && all[0].Protocol == test.protocol
			})
			if err := tn.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
