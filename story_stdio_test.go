package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"culvert/aws/emulator"
	"culvert/internal/need"
)

// TestSFTPThroughAProxyCommand takes a file there and back with the real sftp, whose ProxyCommand culvert is, and a real sshd
// behind the task.
func TestSFTPThroughAProxyCommand(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	sftp := need.Command(t, "sftp")
	culvert, err := exec.LookPath("culvert")
	if err != nil {
		t.Fatalf("the tests' own culvert: %v", err)
	}
	account, err := emulator.Start(emulator.Options{Fleet: emulator.Unbonded()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	dir := t.TempDir()
	address := startSSHD(t, dir)
	for _, id := range account.Tasks("automation", "squid") {
		if err := account.MapPort(id, 3128, address); err != nil {
			t.Fatal(err)
		}
	}
	sent := make([]byte, 3<<20)
	_, _ = rand.Read(sent) // never fails
	if err := os.WriteFile(filepath.Join(dir, "sent"), sent, 0o600); err != nil {
		t.Fatal(err)
	}
	user, err := exec.CommandContext(t.Context(), need.Command(t, "id"), "-un").Output()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), sftp, "-F", os.DevNull, "-b", "-", "-P", "3128", "-i", filepath.Join(dir, "user"),
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile="+filepath.Join(dir, "known"), "-o", "IdentitiesOnly=yes",
		"-o", "ProxyCommand="+culvert+" -c automation -s squid -W %h:%p", string(bytes.TrimSpace(user))+"@localhost")
	cmd.Stdin = bytes.NewBufferString(fmt.Sprintf("put %s %s\nget %s %s\n",
		filepath.Join(dir, "sent"), filepath.Join(dir, "there"), filepath.Join(dir, "there"), filepath.Join(dir, "back")))
	key, secret := account.Credentials()
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_STATE_HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_RUNTIME_DIR=" + dir,
		"AWS_ENDPOINT_URL=" + account.URL(), "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=" + key, "AWS_SECRET_ACCESS_KEY=" + secret,
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"there", "back"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%s has %d bytes that are not those that were sent (%v)", name, len(got), err)
		}
	}
	need.Eventually(t, "the end of the sessions", func() bool { return len(account.Sessions()) == 0 })
}

// startSSHD serves connections with a real sshd each, for whoever has the key "user" of a directory, and returns its address.
func startSSHD(t *testing.T, dir string) string {
	t.Helper()
	server, keygen := need.Command(t, "sshd"), need.Command(t, "ssh-keygen")
	for _, name := range []string{"host", "user"} {
		if out, err := exec.CommandContext(t.Context(), keygen, "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if os.Getuid() == 0 { // where it separates its privileges
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // as Debian's own start has it
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				cmd := exec.CommandContext(t.Context(), server, "-i", "-e", "-f", os.DevNull, "-h", filepath.Join(dir, "host"),
					"-o", "AuthorizedKeysFile="+filepath.Join(dir, "user.pub"), "-o", "StrictModes=no", "-o", "UsePAM=no",
					"-o", "PermitRootLogin=prohibit-password", "-o", "Subsystem=sftp internal-sftp")
				cmd.Stdin, cmd.Stdout, cmd.Stderr = conn, conn, io.Discard
				_ = cmd.Run() // the client tells
			}()
		}
	}()
	return listener.Addr().String()
}
