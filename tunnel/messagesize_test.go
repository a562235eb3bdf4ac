package tunnel_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"culvert/aws/emulator"
	"culvert/internal/need"
	"culvert/tunnel"
)

// digests answers each upload, four bytes of length and so many more, with its SHA-256.
func digests(c *net.TCPConn) {
	for {
		var length [4]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		digest := sha256.New()
		if _, err := io.CopyN(digest, c, int64(binary.BigEndian.Uint32(length[:]))); err != nil {
			return
		}
		if _, err := c.Write(digest.Sum(nil)); err != nil {
			return
		}
	}
}

// send uploads so many bytes and sees to it that exactly these arrive.
func send(t *testing.T, conn net.Conn, size int, seed uint64) {
	t.Helper()
	body := random(size, seed)
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(size)), body...)); err != nil {
		t.Fatal(err)
	}
	var got [sha256.Size]byte
	if _, err := io.ReadFull(conn, got[:]); err != nil {
		t.Fatalf("upload of %d bytes: %v", size, err)
	}
	if got != sha256.Sum256(body) {
		t.Fatalf("upload of %d bytes: others have arrived", size)
	}
}

// sends uploads until it is so that something holds: on a busy machine acknowledges come late, and what they seem to have been
// lost for keeps a session at its size for a while.
func sends(t *testing.T, conn net.Conn, what string, holds func() bool) {
	t.Helper()
	for range 64 {
		if holds() {
			return
		}
		send(t, conn, 1<<20, 2)
	}
	t.Fatalf("not after an upload of 64 MiB: %s", what)
}

// sizesWorld is an account whose service takes messages of so many bytes at the most, or of any size.
func sizesWorld(t *testing.T, path string, faults func(*emulator.Faults)) *world {
	t.Helper()
	o := tunnel.Options{Lanes: 1, MessageSize: tunnel.AutoMessageSize}
	if path != "" {
		o.Sizes = tunnel.OpenSizes(path, slog.New(slog.NewTextHandler(t.Output(), nil)))
	}
	return newWorld(t, need.Server(t, digests), o, func(f *emulator.Faults) {
		f.TakesTwice = false
		if faults != nil {
			faults(f)
		}
	})
}

// only returns the one session that there is.
func (w *world) only() emulator.Session {
	w.Helper()
	all := w.account.Sessions()
	if len(all) != 1 {
		w.Fatalf("there are %d sessions, want 1: %+v", len(all), all)
	}
	return all[0]
}

// perMessage sends so many bytes and returns how many of those went up in a message on the average.
func (w *world) perMessage(conn net.Conn, bytes int) int {
	w.Helper()
	before := w.only()
	send(w.T, conn, bytes, 3)
	after := w.only()
	return int((after.Up - before.Up) / (after.Messages - before.Messages))
}

func TestMessagesGrowWhereTheServiceTakesThem(t *testing.T) {
	for name, faults := range map[string]func(*emulator.Faults){
		"plain": nil, "encrypted": func(f *emulator.Faults) { f.KMS = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			messagesGrow(t, faults)
		})
	}
}

func messagesGrow(t *testing.T, faults func(*emulator.Faults)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state", "sizes.json")
	w := sizesWorld(t, path, faults)
	tn := w.open(tunnel.Spec{})
	conn := w.dial(tn)
	send(t, conn, 100, 1)
	if size := tn.Stats().MessageSize; size != 1024 {
		t.Errorf("a quiet tunnel has messages of %d bytes, want 1024", size)
	}
	sends(t, conn, "messages of 16384 bytes", func() bool { return tn.Stats().MessageSize == 16<<10 })
	if got := w.perMessage(conn, 4<<20); got < 8<<10 {
		t.Errorf("messages carry %d bytes, want at least eight times the usual", got)
	}
	if err := tn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file: %v, %v; want mode 600", info, err)
	}
}

func TestMessagesStayAsTheyAreByDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, need.Server(t, digests), tunnel.Options{Lanes: 1}, nil)
	tn := w.open(tunnel.Spec{})
	conn := w.dial(tn)
	send(t, conn, 1<<20, 1)
	if got := w.perMessage(conn, 4<<20); got > 1024 || tn.Stats().MessageSize != 1024 {
		t.Errorf("messages carry %d bytes, the tunnel says %d; want 1024", got, tn.Stats().MessageSize)
	}
}

// Both ways to refuse a size: nothing of anybody's is in what is refused, the session goes on with what got through, and the next
// one does not try again.
func TestARefusedSizeCostsNothingAndIsRemembered(t *testing.T) {
	for name, c := range map[string]struct {
		largest int
		silent  bool
		size    int // that is settled on
		refused int // messages at the most
	}{
		"closed, nothing larger": {largest: 1024, size: 1024, refused: 1},
		"closed":                 {largest: 5000, size: 4096, refused: 1},
		"dropped":                {largest: 5000, silent: true, size: 4096, refused: 2},
		"dropped, nothing":       {largest: 1024, silent: true, size: 1024, refused: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "sizes.json")
			w := sizesWorld(t, path, func(f *emulator.Faults) { f.Largest, f.DropLarger = c.largest, c.silent })
			tn := w.open(tunnel.Spec{})
			conn := w.dial(tn)
			sends(t, conn, "a size that is refused for good", func() bool { return w.only().TooLarge >= c.refused })
			send(t, conn, 4<<20, 2)
			if size := tn.Stats().MessageSize; size != c.size {
				t.Errorf("messages have %d bytes, want %d", size, c.size)
			}
			if first := w.only(); first.TooLarge != c.refused {
				t.Errorf("%d messages were refused, want %d", first.TooLarge, c.refused)
			}
			if err := tn.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if most := w.account.MostSessions(); most != 1 {
				t.Errorf("it took %d sessions, want 1", most)
			}

			// Another process.
			w.options.Sizes = tunnel.OpenSizes(path, slog.New(slog.NewTextHandler(t.Output(), nil)))
			w.use(w.client)
			tn = w.open(tunnel.Spec{})
			conn = w.dial(tn)
			send(t, conn, 100, 1)
			send(t, conn, 128<<10, 1) // no time to prove one size after the other
			if size := tn.Stats().MessageSize; size != c.size {
				t.Errorf("the next session has messages of %d bytes, want %d at once", size, c.size)
			}
			send(t, conn, 8<<20, 2)
			if next := w.only(); next.TooLarge != 0 || tn.Stats().MessageSize != c.size {
				t.Errorf("the next session had %d messages refused and has %d bytes a message, want none and %d", next.TooLarge, tn.Stats().MessageSize, c.size)
			}
		})
	}
}

// A size that has got through does so no longer, in the midst of an upload. What is under way can neither be shortened nor sent:
// the connection is reset, with what arrived whole and in order, and another session serves with smaller messages.
func TestASizeThatIsTakenNoLongerEndsTheSession(t *testing.T) {
	for name, silent := range map[string]bool{"closed": false, "dropped": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(chan []byte, 8)
			server := need.Server(t, func(c *net.TCPConn) {
				var head [1]byte
				if _, err := io.ReadFull(c, head[:]); err != nil {
					return
				}
				if head[0] == 'e' {
					digests(c)
					return
				}
				all, _ := io.ReadAll(c)
				got <- all
			})
			w := newWorld(t, server, tunnel.Options{Lanes: 1, MessageSize: tunnel.AutoMessageSize}, func(f *emulator.Faults) { f.TakesTwice = false })
			tn := w.open(tunnel.Spec{})
			echo := w.dial(tn)
			_, _ = echo.Write([]byte("e"))
			sends(t, echo, "messages of 16384 bytes", func() bool { return tn.Stats().MessageSize == 16<<10 })
			conn := w.dial(tn)
			session := tn.Link().Session
			if _, err := conn.Write([]byte("u")); err != nil {
				t.Fatal(err)
			}
			written := make(chan error, 1)
			go func() {
				_, err := io.Copy(conn, countingStream())
				written <- err
			}()
			for refused := false; !refused; {
				// Messages that seem to be lost on a busy machine keep the session at small ones for a minute.
				end := time.Now().Add(3 * patience)
				_ = conn.SetDeadline(end)
				before := tn.Stats().Sent
				for s := tn.Stats(); s.Sent < before+4<<20 || s.MessageSize < 16<<10; s = tn.Stats() {
					if time.Now().After(end) {
						t.Fatalf("no upload in large messages: %d bytes, %d a message", s.Sent-before, s.MessageSize)
					}
					time.Sleep(time.Millisecond)
				}
				w.account.Fault(func(f *emulator.Faults) { f.Largest, f.DropLarger = 3000, silent })
				select {
				case err := <-written:
					if refused = true; err == nil {
						t.Error("the client sees no error")
					}
				case <-time.After(10 * time.Second): // something else was lost just before, and messages became small
					w.account.Fault(func(f *emulator.Faults) { f.Largest = 0 })
				}
			}
			for i := 0; ; i++ {
				ended := w.events.ended(t)
				if e, ok := errors.AsType[*tunnel.OversizeError](ended.Err); ok && e.Remedy() != "" {
					break
				}
				if i == 1 {
					t.Fatalf("a connection has ended with %v, want an OversizeError", ended.Err)
				}
			}
			for i, all := 0, <-got; i+8 <= len(all); i += 8 {
				if n := binary.BigEndian.Uint64(all[i:]); n != uint64(i/8) {
					t.Fatalf("byte %d of %d is %d, want %d", i, len(all), n, i/8)
				}
			}
			need.Eventually(t, "another session", func() bool { s := tn.Link().Session; return s != session && s != "" })
			again := w.dial(tn)
			_, _ = again.Write([]byte("e"))
			most := 1 // 4096, once
			if silent {
				most = 2
			}
			sends(t, again, "a size that is refused for good", func() bool { return w.only().TooLarge >= most })
			sends(t, again, "messages of 2048 bytes", func() bool { return tn.Stats().MessageSize == 2048 })
			if next := w.only(); next.TooLarge != most {
				t.Errorf("the next session has tried %d messages that are too large, want %d", next.TooLarge, most)
			}
		})
	}
}

// counting is a stream of numbers.
type counting struct{ n uint64 }

func countingStream() io.Reader { return &counting{} }

func (c *counting) Read(p []byte) (int, error) {
	n := 0
	for ; n+8 <= len(p); n += 8 {
		binary.BigEndian.PutUint64(p[n:], c.n)
		c.n++
	}
	return n, nil
}

// Loss, cuts and closes while sizes are tried leave every byte right.
func TestSizesAreTriedOnABadPath(t *testing.T) {
	t.Parallel()
	w := sizesWorld(t, "", func(f *emulator.Faults) {
		f.Up.Data = emulator.Loss{Drop: 0.01, Duplicate: 0.01, Reorder: 0.01}
		f.Up.Acks, f.Down.Acks = emulator.Loss{Drop: 0.01}, emulator.Loss{Drop: 0.01}
		f.Largest, f.DropLarger = 9000, true
	})
	conn := w.dial(w.open(tunnel.Spec{}))
	for i := range 6 {
		send(t, conn, 2<<20, uint64(i))
		w.account.CutClientLeg()
	}
}
