package control_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"culvert/ui/control"
)

// few makes a process of this test one that may open few files.
const few = "CULVERT_TEST_FEW_FILES"

// A holder that was out of file descriptors for a moment can still be asked and ended.
func TestAHolderAnswersAgainOnceItHasDescriptors(t *testing.T) {
	if os.Getenv(few) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v") //nolint:gosec // ourselves
		cmd.Env = append(os.Environ(), few+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 32, Max: 32}); err != nil {
		t.Fatal(err)
	}
	d := dirs(t)
	server, err := control.Serve(t.Context(), d.Socket("dev"), control.Holder{Status: func() control.Set { return control.Set{Name: "dev"} }})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var taken []int
	for {
		fd, err := unix.Dup(0)
		if errors.Is(err, unix.EMFILE) {
			break
		}
		taken = append(taken, fd)
	}
	if err := unix.Connect(client, &unix.SockaddrUnix{Name: d.Socket("dev")}); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(client, []byte(`{"do":"status"}`+"\n")); err != nil {
		t.Fatal(err)
	}
	// It has tried in vain when the time for an answer is over.
	timeout := unix.NsecToTimeval(int64(200 * 1e6))
	if err := unix.SetsockoptTimeval(client, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(client, make([]byte, 1)); n > 0 || !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("without a descriptor: %d bytes, %v", n, err)
	}
	for _, fd := range taken {
		_ = unix.Close(fd)
	}
	timeout = unix.NsecToTimeval(int64(5 * 1e9))
	if err := unix.SetsockoptTimeval(client, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 100)
	if n, err := unix.Read(client, answer); err != nil || !strings.Contains(string(answer[:max(n, 0)]), `"dev"`) {
		t.Errorf("afterwards: %q, %v", answer[:max(n, 0)], err)
	}
	_ = unix.Close(client)
}
