package need

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// nobodyID is as whom servers run that refuse to be root.
const nobodyID = 65534

func own(t testing.TB, path string) {
	t.Helper()
	if os.Getuid() == 0 {
		if err := os.Chown(path, nobodyID, nobodyID); err != nil {
			t.Fatal(err)
		}
	}
}

// ServerDir is a directory of a server's own.
func ServerDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "need-") //nolint:usetesting // others must be able to enter what is above it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	own(t, dir)
	return dir
}

// AsNobody has a program that refuses to be root run as nobody, and any other as whoever runs the tests.
func AsNobody() *syscall.SysProcAttr {
	if os.Getuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobodyID, Gid: nobodyID}}
}

// finish runs a program to its end.
func finish(t testing.TB, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.SysProcAttr = dir, AsNobody()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(program), err, out)
	}
}

// runServer is StartServer, and waits for the word that it is ready.
func runServer(t testing.TB, dir, ready, program string, args ...string) {
	t.Helper()
	log := StartServer(t, dir, program, args...)
	Eventually(t, filepath.Base(program)+" is ready", func() bool { return strings.Contains(log.String(), ready) })
}

// StartServer runs a server in a directory of ServerDir until the test is over.
func StartServer(t testing.TB, dir, program string, args ...string) *Said {
	t.Helper()
	log := &Said{}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = dir, log, log, AsNobody()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
	})
	return log
}

// Said is what a server has printed. It is safe for concurrent use.
type Said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *Said) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(text)
}

// String is all of it so far.
func (s *Said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
