package need

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Tinyproxy starts Debian's tinyproxy on loopback; lines are added to its configuration.
func Tinyproxy(t testing.TB, lines ...string) netip.AddrPort {
	t.Helper()
	return serve(t, "tinyproxy", func(at netip.AddrPort, dir string) []string {
		config := append([]string{fmt.Sprintf("Port %d", at.Port()), "Listen 127.0.0.1", "Timeout 30", "LogLevel Critical"}, lines...)
		return []string{"-d", "-c", configFile(t, dir, config)}
	})
}

// HAProxy starts Debian's HAProxy on loopback, which passes what it gets in HTTP on to the servers; without any it has none
// to pass it on to.
func HAProxy(t testing.TB, servers ...netip.AddrPort) netip.AddrPort {
	t.Helper()
	return serve(t, "haproxy", func(at netip.AddrPort, dir string) []string {
		config := []string{
			"defaults", " mode http", " timeout connect 5s", " timeout client 30s", " timeout server 30s",
			"frontend in", " bind " + at.String(), " default_backend out",
			"backend out",
		}
		for i, server := range servers {
			config = append(config, fmt.Sprintf(" server s%d %s", i, server))
		}
		return []string{"-db", "-f", configFile(t, dir, config)}
	})
}

// Microsocks starts Debian's microsocks, a SOCKS5 server, on loopback; with a user it lets nobody else in.
func Microsocks(t testing.TB, user, password string) netip.AddrPort {
	t.Helper()
	return serve(t, "microsocks", func(at netip.AddrPort, _ string) []string {
		args := []string{"-i", "127.0.0.1", "-p", fmt.Sprint(at.Port())}
		if user != "" {
			args = append(args, "-u", user, "-P", password)
		}
		return args
	})
}

func configFile(t testing.TB, dir string, lines []string) string {
	t.Helper()
	path := filepath.Join(dir, "config")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve starts a server on a free port of loopback and returns when it takes connections. It is killed and reaped when the
// test ends.
func serve(t testing.TB, program string, arguments func(at netip.AddrPort, dir string) []string) netip.AddrPort {
	t.Helper()
	path := Command(t, program)
	for try := range squidTries {
		at, err := FreeAddrPort()
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		cmd := exec.CommandContext(context.Background(), path, arguments(at, t.TempDir())...)
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatalf("start %s: %v", program, err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait()
		}()
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			<-ended
		})
		if listens(at, ended) {
			return at
		}
		_ = cmd.Process.Kill()
		<-ended
		if try == squidTries-1 {
			t.Fatalf("%s does not listen:\n%s", program, said.String())
		}
	}
	return netip.AddrPort{}
}

// listens waits until something takes connections at an address, unless its process ends before.
func listens(at netip.AddrPort, ended <-chan struct{}) bool {
	deadline := time.After(squidStart)
	for {
		conn, err := net.DialTimeout("tcp", at.String(), time.Second)
		if err == nil {
			_ = conn.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-deadline:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}
