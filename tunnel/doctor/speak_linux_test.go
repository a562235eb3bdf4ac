package doctor_test

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
)

const speakPatience = 2 * time.Second

// speak proves a protocol at an address, which may still be on its way up.
func speak(t *testing.T, address string, want doctor.Protocol) error {
	t.Helper()
	dial := func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	var err error
	need.Eventually(t, "a server at "+address, func() bool {
		var conn net.Conn
		if conn, err = dial(t.Context()); err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return doctor.Speak(t.Context(), dial, want, tunnel.Endpoint{Host: "db.internal", Port: 1}, speakPatience)
}

func TestPostgresIsProvedWithoutAWordInItsLog(t *testing.T) {
	server, initdb := need.Command(t, "postgres"), need.Command(t, "initdb")
	openssl := need.Command(t, "openssl")
	for _, ssl := range []string{"off", "on"} {
		t.Run("ssl "+ssl, func(t *testing.T) {
			dir := need.ServerDir(t)
			data := filepath.Join(dir, "data")
			run := func(program string, args ...string) {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), program, args...)
				cmd.Dir, cmd.SysProcAttr = dir, need.AsNobody()
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", program, err, out)
				}
			}
			run(initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions")
			run(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=db", "-keyout", data+"/server.key", "-out", data+"/server.crt")
			address := need.FreeAddress(t)
			_, port, _ := net.SplitHostPort(address)
			log := need.StartServer(t, dir, server, "-D", data, "-p", port, "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "ssl="+ssl, "-c", "fsync=off")
			need.Eventually(t, "PostgreSQL", func() bool { return strings.Contains(log.String(), "ready to accept connections") })
			before := log.String()
			for range 3 {
				if err := speak(t, address, doctor.Postgres); err != nil {
					t.Fatal(err)
				}
			}
			if after := strings.TrimPrefix(log.String(), before); after != "" {
				t.Errorf("the proof left in the log: %s", after)
			}
			if err := speak(t, address, doctor.Redis); err == nil {
				t.Error("PostgreSQL was taken for Redis")
			}
		})
	}
}

func TestRedisIsProvedWithAndWithoutAPassword(t *testing.T) {
	server := need.Command(t, "redis-server")
	for name, args := range map[string][]string{"open": nil, "password": {"--requirepass", "secret"}} {
		t.Run(name, func(t *testing.T) {
			dir := need.ServerDir(t)
			address := need.FreeAddress(t)
			_, port, _ := net.SplitHostPort(address)
			need.StartServer(t, dir, server, append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir}, args...)...)
			if err := speak(t, address, doctor.Redis); err != nil {
				t.Error(err)
			}
			if err := speak(t, address, doctor.AMQP); err == nil {
				t.Error("Redis was taken for AMQP")
			}
		})
	}
}

func TestSSHIsLeftAsAClientLeaves(t *testing.T) {
	server, keygen := need.Command(t, "sshd"), need.Command(t, "ssh-keygen")
	dir := need.ServerDir(t)
	key := filepath.Join(dir, "key")
	cmd := exec.CommandContext(t.Context(), keygen, "-q", "-t", "ed25519", "-N", "", "-f", key)
	cmd.SysProcAttr = need.AsNobody()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address := need.FreeAddress(t)
	host, port, _ := net.SplitHostPort(address)
	log := need.StartServer(t, dir, server, "-D", "-e", "-f", "/dev/null", "-h", key, "-p", port, "-o", "ListenAddress="+host, "-o", "PidFile=none")
	if err := speak(t, address, doctor.SSH); err != nil {
		t.Error(err)
	}
	need.Eventually(t, "the word of a client that left", func() bool {
		return strings.Contains(log.String(), "disconnect") || strings.Contains(log.String(), "Disconnected")
	})
	if other, ok := errors.AsType[*doctor.OtherProtocolError](speak(t, address, doctor.Postgres)); !ok || other.Got != doctor.SSH {
		t.Errorf("got %v, want it to be SSH", other)
	}
}
