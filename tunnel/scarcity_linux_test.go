package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// A process that may open as few files as culvert does in fewFiles is this test again.
const (
	withFewFiles = "CULVERT_TEST_FEW_FILES"
	fewFiles     = 64
)

// What a connection needs to be given up must be at hand when nothing can be opened any more; and new ones are left in the
// queue before it comes to that.
func TestWhoIsGoneIsKnownWithoutAFreeDescriptor(t *testing.T) {
	if os.Getenv(withFewFiles) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v") //nolint:gosec // ourselves
		cmd.Env = append(os.Environ(), withFewFiles+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: fewFiles, Max: fewFiles}); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	var tn Tunnel
	pair := func() (client, conn net.Conn) {
		t.Helper()
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if conn, err = tn.next(listener); err != nil {
			t.Fatal(err)
		}
		return client, conn
	}
	stays, open := pair()
	leaves, left := pair()
	defer func() { _ = errors.Join(stays.Close(), open.Close(), left.Close()) }()
	k := &kernel{}
	k.open()
	defer k.close()

	var taken []int
	defer func() {
		for _, fd := range taken {
			_ = unix.Close(fd)
		}
	}()
	for !crowded(listener) {
		fd, err := unix.Dup(0)
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, fd)
	}
	untilCrowded := len(taken)
	if untilCrowded == 0 {
		t.Error("it is crowded from the start")
	}
	last, first := pair() // the only one of a tunnel is taken in all the same
	defer func() { _ = errors.Join(last.Close(), first.Close()) }()
	tn.connections.add(first, fromListener)
	if _, err := tn.next(listener); !errors.Is(err, errCrowded) {
		t.Errorf("accepting for the last descriptors: %v, want errCrowded", err)
	}
	for {
		fd, err := unix.Dup(0)
		if err != nil {
			break
		}
		taken = append(taken, fd)
	}
	if spare := len(taken) - untilCrowded + 2; spare < spareDescriptors-1 || spare > spareDescriptors+1 {
		t.Errorf("%d descriptors were left, want about %d", spare, spareDescriptors)
	}
	if _, err := tn.next(listener); !errors.Is(err, errCrowded) {
		t.Errorf("accepting without a descriptor: %v, want errCrowded", err)
	}
	if gone, known := k.gone(open); gone || !known {
		t.Errorf("a client that is there: gone %t, known %t", gone, known)
	}
	if gone, known := new(kernel).gone(open); gone || known {
		t.Errorf("who cannot ask says: gone %t, known %t", gone, known)
	}
	_ = leaves.Close()
	for late := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		gone, known := k.gone(left)
		if gone && known {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("a client that has closed: gone %t, known %t", gone, known)
		}
	}
}

// Where it cannot be known whether a client is gone, it is not waited for as long while others wait for its descriptor.
func TestScarcityShortensTheWaitForTheUnknown(t *testing.T) {
	for name, want := range map[string]time.Duration{"plenty": halfClosedSilence, "scarce": scarceSilence} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := New(Options{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if name == "scarce" {
					go func() {
						for ctx.Err() == nil {
							e.scarcity.note(slog.New(slog.DiscardHandler), errCrowded)
							select {
							case <-time.After(time.Second):
							case <-ctx.Done():
							}
						}
					}()
				}
				near, far := net.Pipe()
				defer func() { _ = errors.Join(near.Close(), far.Close()) }()
				began := time.Now()
				err := (&connection{local: near}).linger(ctx, &stream{}, e.scarcity.now, func() (gone, known bool) { return e.kernel.gone(near) })
				if took := time.Since(began); !errors.Is(err, io.EOF) || took < want || took > want+2*time.Second {
					t.Errorf("got %v after %s, want the end after %s", err, took, want)
				}
			})
		})
	}
}

// A client that has finished sending and is there still waits for an answer; one that is gone, or had its answer, does not.
func TestHalfCloseWithoutAnswerIsAnError(t *testing.T) {
	for name, tt := range map[string]struct {
		gone, known, answered bool
		want                  error
	}{
		"waits":           {known: true, want: &HalfCloseError{After: halfClosedSilence}},
		"got its answer":  {known: true, answered: true, want: io.EOF},
		"gone":            {known: true, gone: true, want: io.EOF},
		"cannot be known": {want: io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c connection
				if tt.answered {
					time.AfterFunc(time.Second, func() { _, _ = c.hand([]byte("x"), func([]byte) (int, error) { return 1, nil }) })
				}
				err := c.linger(t.Context(), &stream{}, func() bool { return false }, func() (gone, known bool) { return tt.gone, tt.known })
				if fmt.Sprint(err) != fmt.Sprint(tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestScarcityIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		log := slog.New(slog.NewTextHandler(&out, nil))
		var s scarcity
		for range 300 {
			s.note(log, errCrowded)
			time.Sleep(time.Second)
		}
		if !s.now() || strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), "ulimit -n") {
			t.Errorf("five minutes of it: now %t, logged\n%s", s.now(), out.String())
		}
		time.Sleep(2 * scarceAgain)
		if s.now() {
			t.Error("two minutes later it is still so")
		}
		if s.note(log, errCrowded); strings.Count(out.String(), "\n") != 2 {
			t.Errorf("when it comes again: logged\n%s", out.String())
		}
	})
}
