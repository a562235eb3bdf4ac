package need

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// SquidConfig is what a test wants of its proxy; the zero value forwards and tunnels to any host and port.
type SquidConfig struct {
	// At is where on loopback it listens; zero: on a port that is free.
	At netip.AddrPort
	// Hosts are names that this proxy alone resolves.
	Hosts map[string]netip.Addr
	// Rules are lines of squid.conf; they stand before "http_access allow all", so a deny in them counts.
	Rules []string
	// Users are the only ones who are let in, with their passwords, by basic authentication; empty is everybody.
	Users map[string]string
}

// Proxy is a running Squid.
type Proxy struct {
	Addr netip.AddrPort // 127.0.0.1 and a free port

	dir string // of its configuration and logs
	cmd *exec.Cmd
}

// Stop kills the proxy, reaps it and removes its files.
func (p *Proxy) Stop() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // "signal: killed"
	}
	_ = os.RemoveAll(p.dir)
}

// name is what the proxy calls itself.
func (p *Proxy) name() string { return filepath.Base(p.dir) }

// AccessLog returns what Squid wrote about the requests so far, one line each. A line is there only after its
// connection ended.
func (p *Proxy) AccessLog(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "access.log"))
	if err != nil {
		t.Fatalf("read squid's access log: %v", err)
	}
	return string(b)
}

const (
	squidStart = 20 * time.Second // how long a Squid may take to answer on a busy machine
	squidTries = 3                // ports, as another process may take one between our look and Squid's bind
)

// Squid starts a Debian Squid on loopback and returns when it answers. It is killed and reaped when the test ends.
func Squid(t testing.TB, cfg SquidConfig) *Proxy {
	t.Helper()
	p, err := StartSquid(Command(t, "squid"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// StartSquid is Squid for what is no test: the caller names the program and stops it.
func StartSquid(program string, cfg SquidConfig) (*Proxy, error) {
	var err error
	for range squidTries {
		var p *Proxy
		if p, err = trySquid(program, cfg); err == nil {
			return p, nil
		}
	}
	return nil, fmt.Errorf("start squid: %w", err)
}

func trySquid(program string, cfg SquidConfig) (p *Proxy, err error) {
	// Not t.TempDir: a Squid started by root drops to the user proxy, who cannot enter a directory below a 0700 one.
	dir, err := os.MkdirTemp("", "culvert-squid-")
	if err != nil {
		return nil, err
	}
	p = &Proxy{dir: dir}
	defer func(made *Proxy) { // as p is nil where there is an error
		if err != nil {
			made.Stop()
		}
	}(p)
	if p.Addr = cfg.At; !p.Addr.IsValid() {
		if p.Addr, err = FreeAddrPort(); err != nil {
			return nil, err
		}
	}
	if err := p.writeFiles(cfg); err != nil {
		return nil, err
	}

	cmd := exec.CommandContext(context.Background(), program, "-N", "-f", filepath.Join(dir, "squid.conf"))
	said, err := os.Create(filepath.Clean(filepath.Join(dir, "said.txt")))
	if err != nil {
		return nil, err
	}
	defer func() { _ = said.Close() }()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.cmd = cmd

	deadline := time.NewTimer(squidStart)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		if p.answers() {
			return p, nil
		}
		if log := p.complaints(); strings.Contains(log, "FATAL") {
			return nil, fmt.Errorf("squid gave up:\n%s", log)
		}
		select {
		case <-look.C:
		case <-deadline.C:
			return nil, fmt.Errorf("no answer within %s:\n%s", squidStart, p.complaints())
		}
	}
}

func (p *Proxy) writeFiles(cfg SquidConfig) error {
	owner := "proxy" // Debian's; it counts only when root starts Squid
	in := func(name string) string { return filepath.Join(p.dir, name) }
	lines := []string{
		"http_port " + p.Addr.String(),
		"visible_hostname " + p.name(),
		"cache_effective_user " + owner,
		"pid_filename none",
		"cache deny all",
		"cache_mem 8 MB",
		"cache_log " + in("cache.log"),
		"access_log stdio:" + in("access.log"),
		"coredump_dir " + p.dir,
		"hosts_file " + in("hosts"),
		"dns_timeout 2 seconds",
		"connect_timeout 10 seconds",
		"shutdown_lifetime 0 seconds",
		"max_filedescriptors 4096",
		"pinger_enable off",
	}
	lines = append(lines, cfg.Rules...)
	users, err := passwords(cfg.Users)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		lines = append(lines, "auth_param basic program /usr/lib/squid/basic_ncsa_auth "+in("users"), "acl known proxy_auth REQUIRED", "http_access deny !known")
	}
	lines = append(lines, "http_access allow all")
	var hosts []string
	for name, addr := range cfg.Hosts {
		hosts = append(hosts, addr.String()+" "+name)
	}
	slices.Sort(hosts)
	for name, content := range map[string][]string{"squid.conf": lines, "hosts": hosts, "users": users, "access.log": nil, "cache.log": nil} {
		text := strings.Join(content, "\n") + "\n"
		if content == nil {
			text = ""
		}
		if err := os.WriteFile(in(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return handOver(owner, p.dir, in("squid.conf"), in("hosts"), in("users"), in("access.log"), in("cache.log"))
}

// passwords are lines of Apache's htpasswd.
func passwords(users map[string]string) (lines []string, err error) {
	for user, password := range users {
		hash, err := output("", "openssl", "passwd", "-apr1", password)
		if err != nil {
			return nil, err
		}
		lines = append(lines, user+":"+hash)
	}
	return lines, nil
}

// handOver gives files to the user that a Squid started by root becomes.
func handOver(owner string, paths ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(owner)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// answers asks for a page without a host: any Squid refuses it at once and says its name. Another name, or no Squid, is
// somebody who took the port before ours did.
func (p *Proxy) answers() bool {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(context.Background(), "tcp", p.Addr.String())
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return false
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 64<<10))
	return err == nil && bytes.Contains(answer, []byte(p.name()))
}

// complaints returns all that Squid said since its start.
func (p *Proxy) complaints() string {
	var all strings.Builder
	for _, name := range []string{"said.txt", "cache.log"} {
		b, err := os.ReadFile(filepath.Clean(filepath.Join(p.dir, name)))
		if err == nil {
			all.Write(b)
		}
	}
	return all.String()
}
