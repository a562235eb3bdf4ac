package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"culvert/tunnel/bond"
)

// lines are written and can be waited for.
type lines struct {
	*io.PipeWriter

	found chan string // what re matched
}

func waitingFor(re *regexp.Regexp) lines {
	r, w := io.Pipe()
	l := lines{w, make(chan string, 1)}
	go func() {
		var all bytes.Buffer
		buf := make([]byte, 1024)
		for told := false; ; {
			n, err := r.Read(buf)
			all.Write(buf[:n])
			if found := re.FindSubmatch(all.Bytes()); found != nil && !told {
				l.found <- string(found[1])
				told = true
			}
			if err != nil {
				return
			}
		}
	}()
	return l
}

func TestTheRelayCarriesUntilItsSignal(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	go func() {
		for {
			conn, err := target.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	log := waitingFor(regexp.MustCompile(`listens on (\S+)`))
	defer log.Close()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"relay", "--listen", "127.0.0.1:0", "--to", target.Addr().String()}, log)
	}()
	at := <-log.found
	if code := run(t.Context(), []string{"--check", "--listen", at}, io.Discard); code != done {
		t.Errorf("--check exits with %d", code)
	}
	b := bond.New(bond.Config{})
	defer b.Close()
	for range 3 {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Join(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.Open(t.Context(), uint16(target.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("culvert "), 1<<18)
	go func() {
		_, _ = s.Write(want)
		_ = s.CloseWrite()
	}()
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes and %v, want %d", len(got), err, len(want))
	}
	began := time.Now()
	cancel()
	if code := <-ended; code != done || time.Since(began) > 5*time.Second {
		t.Errorf("exit code %d after %s", code, time.Since(began))
	}
	if code := run(t.Context(), []string{"--check", "--listen", at}, io.Discard); code != failed {
		t.Errorf("--check of none exits with %d, want %d", code, failed)
	}
}

func TestOnlyLoopbackIsTaken(t *testing.T) {
	for _, args := range []string{
		"", "--to localhost:3128", "--to 10.0.0.1:80", "--to 169.254.170.2:80", "--to 127.0.0.1:0", "--to 127.0.0.1:3128 --listen 0.0.0.0:7300",
		"--to 127.0.0.1:3128 --listen :7300", "--to 127.0.0.1:7300", "--to [::1]:80 --to 127.0.0.1:80", "--to 127.0.0.1:80 more", "--what",
	} {
		var log bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), &log); code != misuse || log.Len() == 0 {
			t.Errorf("%q: exit code %d, want %d; it says %q", args, code, misuse, log.String())
		}
	}
}

// What runs in the VPC is small: the standard library and the protocol.
func TestTheRelayIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program: make test")
	}
	program := filepath.Join(t.TempDir(), "relay")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 8<<20 {
		t.Errorf("it has %d bytes, want 8 MB at the most", info.Size())
	}
	made, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Deps) > 0 {
		t.Errorf("it has modules of others: %v", made.Deps)
	}
}
