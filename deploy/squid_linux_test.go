package deploy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"culvert/aws"
	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
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

const proxyVariables = `
  vpc_id          = "vpc-0abc"
  subnet_ids      = ["subnet-0a"]
  allowed_domains = ["orders.internal", "nowhere.internal", ".corp.example"]
  allowed_cidrs   = ["10.77.1.0/24", "169.254.0.0/16", "127.0.0.0/8"]
  allowed_ports   = [80, 443, 8080]
`

// zone is what the VPC's DNS says.
func zone() map[string][]string {
	return map[string][]string{
		"orders.internal.":        {orders},
		"corp.example.":           {orders},
		"a.b.corp.example.":       {orders},
		"meta.corp.example.":      {taskMeta},
		"host.corp.example.":      {hostMeta},
		"meta6.corp.example.":     {hostMeta6},
		"both.corp.example.":      {orders, taskMeta},
		"mapped.corp.example.":    {"::ffff:" + taskMeta},
		"self.corp.example.":      {"127.0.0.1"},
		"self6.corp.example.":     {"::1"},
		"zero.corp.example.":      {"0.0.0.0"},
		"evil.example.":           {orders},
		"notcorp.example.":        {orders},
		"orders.internal.evil.":   {orders},
		"3.3.77.10.in-addr.arpa.": {"orders.internal."},
	}
}

// The proxy as the module's task definition starts it, in real Squid, behind culvert and the embedded account: it lets
// through what is allowed and nothing else, and its health check tells up from down.
func TestTheProxyInTheTask(t *testing.T) {
	if testing.Short() {
		t.Skip("needs OpenTofu, which takes minutes to build once: make test")
	}
	handed := os.Getenv("CULVERT_TASK_DEFINITION")
	if handed == "" {
		_, resources := rendered(t, proxyVariables)
		text, _ := resources["aws_ecs_task_definition.this"].Values["container_definitions"].(string)
		t.Setenv("CULVERT_TASK_DEFINITION", text)
	}
	if !need.Namespace(t) {
		return
	}
	var definitions []container
	if err := json.Unmarshal([]byte(handed), &definitions); err != nil || len(definitions) != 1 {
		t.Fatalf("got %d container definitions, %v", len(definitions), err)
	}
	n := newNetwork(t)
	squid := &task{T: t, container: definitions[0]}

	if code := squid.health(); code == 0 {
		t.Error("the health check says up before there is a Squid")
	}
	squid.start()
	squid.parses()
	if code := squid.health(); code != 0 {
		t.Errorf("the health check ends with %d while Squid runs", code)
	}
	through := tunnelTo(t, "127.0.0.1:3128")
	t.Run("allowed", func(t *testing.T) { allowed(t, through, n) })
	t.Run("refused", func(t *testing.T) { refused(t, through, n) })
	t.Run("unresolved", func(t *testing.T) { unresolved(t, through) })
	t.Run("curl", func(t *testing.T) { curls(t, through, n) })
	t.Run("load", func(t *testing.T) { load(t, squid.squid.Process.Pid) })

	squid.stop()
	if code := squid.health(); code == 0 {
		t.Error("the health check says up when Squid is gone")
	}
	for _, want := range []string{"TCP_DENIED/403", "TCP_TUNNEL/200", "orders.internal"} {
		if !strings.Contains(squid.output(), want) {
			t.Errorf("the log that CloudWatch gets has no %s:\n%s", want, squid.output())
		}
	}
	if said := squid.output(); strings.Contains(said, "WARNING") || strings.Contains(said, "ERROR") {
		t.Errorf("Squid complains:\n%s", said)
	}
}

// allowed asks for what the proxy is there for, by both methods and both schemes.
func allowed(t *testing.T, proxy netip.AddrPort, n *network) {
	t.Helper()
	for _, host := range []string{
		"orders.internal:80", "orders.internal:443", "orders.internal:8080", "ORDERS.internal:80",
		"corp.example:80", "a.b.corp.example:8080", byAddress + ":80",
	} {
		if !strings.HasSuffix(host, ":443") {
			if got := get(t, proxy, host); got != http.StatusOK {
				t.Errorf("GET http://%s/: got %d, want 200", host, got)
			}
		}
		if got := connect(t, proxy, host); got != http.StatusOK {
			t.Errorf("CONNECT %s: got %d, want 200", host, got)
		}
	}
	if n.hits(orders) == 0 || n.hits(byAddress) == 0 {
		t.Error("no request arrived")
	}
}

// refused asks for what must not be reached, and looks whether it was, and whether anybody was asked for the name.
func refused(t *testing.T, proxy netip.AddrPort, n *network) {
	t.Helper()
	for _, host := range []string{
		"evil.example:80", "notcorp.example:80", "orders.internal.evil:80", // not on the list
		"orders.internal:8081", "orders.internal:22", // not the port
		orders + ":80", disguised + ":80", "[" + hostMeta6 + "]:80", // addresses that are in no range
		taskMeta + ":80", hostMeta + ":80", "127.0.0.1:80", // in a range, and refused all the same
		"[::ffff:" + taskMeta + "]:80", "[::ffff:127.0.0.1]:80", "[::1]:80", "0.0.0.0:80", "localhost:80", "2852039166:80", "0xa9fea9fe:80",
		"meta.corp.example:80", "host.corp.example:80", "meta6.corp.example:80", "mapped.corp.example:80", // allowed names of it
		"both.corp.example:80", "self.corp.example:80", "self6.corp.example:80", "zero.corp.example:80",
		"127.0.0.1:3128", // itself
	} {
		if got := get(t, proxy, host); got != http.StatusForbidden {
			t.Errorf("GET http://%s/: got %d, want 403", host, got)
		}
		if got := connect(t, proxy, host); got != http.StatusForbidden {
			t.Errorf("CONNECT %s: got %d, want 403", host, got)
		}
	}
	for _, forbidden := range []string{taskMeta, hostMeta, hostMeta6, "127.0.0.1", disguised} {
		if hits := n.hits(forbidden); hits > 0 {
			t.Errorf("%d requests arrived at %s", hits, forbidden)
		}
	}
	for _, name := range n.asked() {
		if strings.HasSuffix(name, "evil.example.") || strings.HasSuffix(name, ".evil.") || strings.HasSuffix(name, ".arpa.") {
			t.Errorf("DNS was asked for %s, which is not on the list", name)
		}
	}
	for _, page := range []string{"cache_object://127.0.0.1/info", "http://culvert.invalid:3128/squid-internal-mgr/info"} {
		if got := request(t, proxy, "GET "+page+" HTTP/1.1\r\nHost: x\r\n\r\n"); got == http.StatusOK {
			t.Errorf("the cache manager answers %s", page)
		}
	}
}

// unresolved asks for an allowed name that DNS does not know: the answer must not be that of a refusal.
func unresolved(t *testing.T, proxy netip.AddrPort) {
	t.Helper()
	if got := connect(t, proxy, "nowhere.internal:443"); got < 500 {
		t.Errorf("got %d for a name that does not resolve, want one of 5xx", got)
	}
}

// curls judges with a client that nobody here wrote.
func curls(t *testing.T, proxy netip.AddrPort, n *network) {
	t.Helper()
	curl := func(args ...string) (string, error) {
		args = append([]string{"-sS", "--fail", "--noproxy", "", "--max-time", "20", "-x", "http://" + proxy.String(), "--cacert", n.ca}, args...)
		out, err := exec.CommandContext(t.Context(), need.Command(t, "curl"), args...).CombinedOutput()
		return string(out), err
	}
	for _, args := range [][]string{
		{"http://orders.internal/"},
		{"--proxytunnel", "http://orders.internal/"}, // as Node's fetch and Playwright's requests do it
		{"--connect-to", "example.com:443:orders.internal:443", "https://example.com/"},
	} {
		if said, err := curl(args...); err != nil || said != "hello\n" {
			t.Errorf("curl %s: got %q, %v", strings.Join(args, " "), said, err)
		}
	}
	if said, err := curl("https://evil.example/"); err == nil || !strings.Contains(said, "403") {
		t.Errorf("curl of what is not allowed: got %q, %v", said, err)
	}
}

// load holds many connections at once and carries much over one, and logs what that costs Squid.
func load(t *testing.T, pid int) {
	t.Helper()
	const connections, size = 500, 100 << 20
	proxy := netip.MustParseAddrPort("127.0.0.1:3128")
	before := memory(t, pid)
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}()
	for i := range connections {
		conn, status := ask(t, proxy, "CONNECT orders.internal:8080 HTTP/1.1\r\nHost: x\r\n\r\n")
		open = append(open, conn)
		if status != http.StatusOK {
			t.Fatalf("connection %d of %d: got %d, want 200", i+1, connections, status)
		}
	}
	after, busy := memory(t, pid), processor(t, pid)
	conn := open[0]
	if _, err := io.WriteString(conn, "GET /big HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := io.Copy(io.Discard, conn)
	if err != nil || got < size {
		t.Errorf("got %d bytes, %v, want %d", got, err, size)
	}
	t.Logf("Squid: %d MB at rest, %d kB for each of %d tunnels, %s of CPU for 100 MB through one",
		before>>20, (after-before)/connections>>10, connections, processor(t, pid)-busy)
}

// memory is the resident memory of a process.
func memory(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize()
}

// processor is the CPU time that a process has used.
func processor(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the program's name before it may hold spaces
	ticks := 0
	for _, field := range fields[11:13] { // utime and stime, see proc(5)
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100
}

// get asks the proxy for http://HOST/ and returns the status of the answer.
func get(t *testing.T, proxy netip.AddrPort, host string) int {
	t.Helper()
	return request(t, proxy, "GET http://"+host+"/ HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
}

func connect(t *testing.T, proxy netip.AddrPort, host string) int {
	t.Helper()
	return request(t, proxy, "CONNECT "+host+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
}

func request(t *testing.T, proxy netip.AddrPort, text string) int {
	t.Helper()
	conn, status := ask(t, proxy, text)
	_ = conn.Close()
	return status
}

// ask sends a request to the proxy and returns the status of the answer, 0 if there is none.
func ask(t *testing.T, proxy netip.AddrPort, text string) (net.Conn, int) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", proxy.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Errorf("%q: %v", strings.SplitN(text, "\r\n", 2)[0], err)
		return conn, 0
	}
	_ = answer.Body.Close() // reads on only until the end of what there is: after a CONNECT nothing
	return conn, answer.StatusCode
}

// tunnelTo opens a tunnel to an embedded account whose task has something on port 3128.
func tunnelTo(t *testing.T, server string) netip.AddrPort {
	t.Helper()
	account, err := emulator.Start(emulator.Options{Fleet: emulator.Fleet{Clusters: []emulator.Cluster{{
		Name: "automation", Services: []emulator.Service{{Name: "squid", Count: 1, Task: emulator.Task{
			Containers: []emulator.Container{{Name: "squid", Ports: map[uint16]string{3128: server}}},
		}}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	key, secret := account.Credentials()
	client, err := aws.Connect(t.Context(), aws.Options{Region: "eu-west-1", Endpoint: account.URL(), Keys: aws.Keys{ID: key, Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	engine := tunnel.New(tunnel.Options{Client: client})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // the test's own is over
		defer cancel()
		if err := engine.Close(ctx); err != nil {
			t.Errorf("close the engine: %v", err)
		}
	})
	opened, err := engine.Open(tunnel.Spec{
		Target: aws.Target{Cluster: "automation", Service: "squid"},
		Remote: tunnel.Endpoint{Port: 3128}, Local: netip.MustParseAddrPort("127.0.0.1:13128"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return opened.Addr()
}

// container is what ECS reads of a container definition, as far as it matters here.
type container struct {
	User        string        `json:"user"`
	EntryPoint  []string      `json:"entryPoint"`
	Command     []string      `json:"command"`
	Environment []environment `json:"environment"`
	HealthCheck struct {
		Command []string `json:"command"`
	} `json:"healthCheck"`
}

type environment struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// task runs a container's processes as ECS does: its user, its environment, its standard streams.
type task struct {
	*testing.T
	container

	squid *exec.Cmd
	read  sync.WaitGroup
	mu    sync.Mutex
	said  strings.Builder
}

func (k *task) command(args ...string) *exec.Cmd {
	k.Helper()
	u, err := user.Lookup(k.User)
	if err != nil {
		k.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		k.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		k.Fatal(err)
	}
	cmd := exec.CommandContext(k.Context(), args[0], args[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, e := range k.Environment {
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start starts the container and waits until Squid answers.
func (k *task) start() {
	k.Helper()
	need.Command(k, "squid")
	k.squid = k.command(append(slices.Clone(k.EntryPoint), k.Command...)...)
	r, w, err := os.Pipe()
	if err != nil {
		k.Fatal(err)
	}
	// A container runtime gives the streams to the container's user.
	if err := w.Chown(int(k.squid.SysProcAttr.Credential.Uid), int(k.squid.SysProcAttr.Credential.Gid)); err != nil {
		k.Fatal(err)
	}
	k.squid.Stdout, k.squid.Stderr = w, w
	if err := k.squid.Start(); err != nil {
		k.Fatal(err)
	}
	_ = w.Close()
	k.read.Go(func() {
		defer r.Close()
		_, _ = io.Copy(k, r)
	})
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := new(net.Dialer).DialContext(k.Context(), "tcp", "127.0.0.1:3128")
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			k.Fatalf("Squid does not listen: %v\n%s", err, k.output())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stop ends the container as ECS does, and wants it to go well before it would be killed.
func (k *task) stop() {
	k.Helper()
	if err := k.squid.Process.Signal(syscall.SIGTERM); err != nil {
		k.Fatal(err)
	}
	late := time.AfterFunc(20*time.Second, func() { _ = k.squid.Process.Kill() })
	defer late.Stop()
	if err := k.squid.Wait(); err != nil {
		k.Errorf("Squid ends with %v", err)
	}
	k.read.Wait()
}

// health runs the health check in the container.
func (k *task) health() int {
	k.Helper()
	if k.HealthCheck.Command[0] != "CMD-SHELL" {
		k.Fatalf("health check %v", k.HealthCheck.Command)
	}
	cmd := k.command("/bin/sh", "-c", k.HealthCheck.Command[1])
	if err := cmd.Run(); err != nil {
		if ended, ok := errors.AsType[*exec.ExitError](err); ok {
			return ended.ExitCode()
		}
		k.Fatal(err)
	}
	return 0
}

// parses wants Squid's own parser to be content with the configuration.
func (k *task) parses() {
	k.Helper()
	out, err := k.command("squid", "-k", "parse", "-f", "/tmp/culvert-squid/squid.conf").CombinedOutput()
	if err != nil || strings.Contains(string(out), "WARNING") || strings.Contains(string(out), "ERROR") {
		k.Errorf("squid -k parse: %v\n%s", err, out)
	}
}

// Write takes what the container prints.
func (k *task) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.said.Write(b)
}

func (k *task) output() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.said.String()
}

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

// dns answers for the zone, and NXDOMAIN for the rest.
func (n *network) dns(t *testing.T) {
	t.Helper()
	socket, err := net.ListenPacket("udp", resolver+":53")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { _ = socket.Close() })
	serving.Go(func() {
		query := make([]byte, 1500)
		for {
			size, from, err := socket.ReadFrom(query)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(query[:size]); err != nil || len(m.Questions) != 1 {
				continue
			}
			answer, err := n.answer(m)
			if err == nil {
				_, _ = socket.WriteTo(answer, from)
			}
		}
	})
}

func (n *network) answer(m dnsmessage.Message) ([]byte, error) {
	question := m.Questions[0]
	name := strings.ToLower(question.Name.String())
	n.mu.Lock()
	n.names = append(n.names, name)
	n.mu.Unlock()
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	texts, known := zone()[name]
	if !known {
		m.RCode = dnsmessage.RCodeNameError
		return m.Pack()
	}
	head := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 60}
	for _, text := range texts {
		addr, err := netip.ParseAddr(text)
		switch {
		case err != nil && question.Type == dnsmessage.TypePTR:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(text)}})
		case err != nil:
			return nil, fmt.Errorf("no address: %w", err)
		case addr.Is4() && question.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: addr.As4()}})
		case addr.Is6() && question.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	return m.Pack()
}
