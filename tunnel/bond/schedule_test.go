package bond

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Whatever becomes of the strands, streams carry what was written, and neither end keeps more of it than credit was given
// for. CULVERT_SCHEDULES=N tries the one that has failed, N+1000 as many from it on (make schedules).
func TestStreamsAreWholeWhateverBecomesOfStrands(t *testing.T) {
	t.Parallel()
	first, count := rand.Uint64()>>24, 150
	if testing.Short() {
		count = 30
	}
	if some := os.Getenv("CULVERT_SCHEDULES"); some != "" {
		var err error
		if first, count, err = someSchedules(some); err != nil {
			t.Fatal(err)
		}
	}
	var next, moved, again atomic.Uint64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for !t.Failed() {
				n := next.Add(1) - 1
				if n >= uint64(count) {
					return
				}
				t.Run(strconv.FormatUint(first+n, 10), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						sent, resent := schedule(t, first+n)
						moved.Add(sent)
						again.Add(resent)
					})
				})
			}
		})
	}
	all.Wait()
	t.Logf("%d schedules, %d MB, of which %d %% were sent again", count, moved.Load()>>20, again.Load()*100/max(moved.Load(), 1))
}

// someSchedules reads which are to be tried: a number, or a number and how many from it on.
func someSchedules(s string) (first uint64, count int, err error) {
	from, many, more := strings.Cut(s, "+")
	if first, err = strconv.ParseUint(from, 10, 64); err != nil {
		return 0, 0, fmt.Errorf("CULVERT_SCHEDULES=%s: want a schedule's number, or N+1000 for as many from it on: %w", s, err)
	}
	if count = 1; more {
		if count, err = strconv.Atoi(many); err != nil || count < 1 {
			return 0, 0, fmt.Errorf("CULVERT_SCHEDULES=%s: want a number of schedules behind the plus", s)
		}
	}
	return first, count, nil
}

// schedule is one run: strands over some sessions, streams of all kinds, faults.
func schedule(t *testing.T, seed uint64) (sent, resent uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	config := Config{}
	var limits Limits
	if r.IntN(3) == 0 { // there is less memory than streams could use
		config.Limits = Limits{Stream: 64 << 10 << r.IntN(4), Credit: 512 << 10, Hold: 64 << 10 << r.IntN(3)}
		limits = Limits{Stream: 64 << 10 << r.IntN(4), Credit: 128 << 10, Hold: 64 << 10 << r.IntN(3)}
	}
	l, leave := newLab(t, config)
	defer leave()
	l.relay.Limits = limits
	hung := time.AfterFunc(10*time.Minute, func() { panic("schedule " + strconv.FormatUint(seed, 10) + " does not end") })
	defer hung.Stop()

	base, jitter := time.Duration(r.IntN(80))*time.Millisecond, time.Duration(1+r.IntN(20))*time.Millisecond
	sessions := make([]*session, 1+r.IntN(4))
	for i := range sessions {
		sessions[i] = newSession()
	}
	world := &world{lab: l, rand: r, sessions: sessions, latency: func() time.Duration {
		return base + time.Duration(rand.Int64N(int64(jitter)))
	}}
	for range 1 + r.IntN(8) {
		world.join()
	}
	var streams sync.WaitGroup
	for range 1 + r.IntN(4) {
		use, delay, own := r.IntN(6), time.Duration(r.IntN(300))*time.Millisecond, r.Uint64()
		streams.Go(func() {
			time.Sleep(delay)
			world.stream(use, own)
		})
	}
	done := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { world.faults(done) })
	others.Go(func() { world.look(done) })
	streams.Wait()
	close(done)
	others.Wait()
	for _, e := range []*end{l.far(), l.bundle.end} {
		e.mu.Lock()
		sent, resent = sent+e.sentBytes, resent+e.resentBytes
		e.mu.Unlock()
	}
	world.settle()
	return sent, resent
}

type world struct {
	*lab

	rand     *rand.Rand // of faults
	sessions []*session
	latency  func() time.Duration
	live     []*Strand // of faults
}

func (w *world) join() {
	near, far := w.sessions[w.rand.IntN(len(w.sessions))].connection(w.latency)
	w.relay.Take(far)
	s, err := w.bundle.Join(w.Context(), near)
	if err != nil {
		w.Errorf("join: %v", err)
		return
	}
	w.conns[s] = near
	w.live = append(w.live, s)
}

// faults happen until the streams are done; there is always a strand again soon.
func (w *world) faults(done <-chan struct{}) {
	r := w.rand
	for left := r.IntN(12); ; left-- {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(r.IntN(400)) * time.Millisecond):
		}
		w.prune()
		if len(w.live) == 0 || left > 0 && r.IntN(4) == 0 && len(w.live) < 12 {
			w.join()
		}
		if left <= 0 || len(w.live) == 0 {
			continue
		}
		at := r.IntN(len(w.live))
		s, span := w.live[at], time.Duration(10+r.IntN(2000))*time.Millisecond
		conn := w.conns[s]
		switch r.IntN(8) {
		case 0:
			conn.stall(span)
		case 1, 2: // lost, and resumed
			conn.stall(span)
			s.Away()
			time.AfterFunc(span, s.Back)
		case 3: // lost for good
			conn.stall(time.Hour)
			s.Away()
			time.AfterFunc(span, func() { _ = s.Close() })
		case 4: // terminated
			conn.cut(io.EOF)
		case 5:
			_ = s.Close()
		case 6:
			s.Drain()
			time.AfterFunc(span, func() { _ = s.Close() })
		case 7:
			for _, s := range w.live {
				w.conns[s].cut(errCut)
			}
			time.Sleep(span)
		}
	}
}

// prune forgets strands that have ended or take nothing.
func (w *world) prune() {
	w.bundle.end.mu.Lock()
	defer w.bundle.end.mu.Unlock()
	kept := w.live[:0]
	for _, s := range w.live {
		if !s.ended && s.state < stateDraining {
			kept = append(kept, s)
		}
	}
	w.live = kept
}

// look checks now and then that neither end keeps more than it may.
func (w *world) look(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(50 * time.Millisecond):
		}
		for _, e := range []*end{w.bundle.end, w.far()} {
			if held := w.memory(e); held > e.limits.Credit+e.limits.Hold {
				w.Errorf("an end holds %d bytes", held)
			}
		}
	}
}

// stream uses one stream in some way and checks what it carries.
func (w *world) stream(use int, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2))
	n := 1 + r.IntN(200<<10)
	if r.IntN(8) == 0 {
		n *= 8
	}
	want := make([]byte, n)
	_, _ = io.ReadFull(newNoise(seed), want)
	switch use {
	case 0, 1:
		s := w.source(n, seed)
		got, err := io.ReadAll(struct{ io.Reader }{s})
		w.check("download", got, want, err)
		_ = s.Close()
	case 2, 3:
		s, err := w.bundle.Open(w.Context(), portEcho)
		if err != nil {
			w.Errorf("open: %v", err)
			return
		}
		go func() {
			_, _ = io.Copy(struct{ io.Writer }{s}, crumbs{bytes.NewReader(want), r})
			_ = s.CloseWrite()
		}()
		got, err := io.ReadAll(s)
		w.check("echo", got, want, err)
		_ = s.Close()
	case 4:
		s, err := w.bundle.Begin(portDigest)
		if err != nil {
			w.Errorf("begin: %v", err)
			return
		}
		_, werr := s.Write(want)
		_ = s.CloseWrite()
		got, err := io.ReadAll(s)
		sum := crc64.New(table)
		_, _ = sum.Write(want)
		w.check("upload", got, sum.Sum(nil), errors.Join(err, werr))
		_ = s.Close()
	case 5: // given up in the middle
		s := w.source(8<<20, seed)
		got := make([]byte, 1+r.IntN(60<<10))
		_, err := io.ReadFull(s, got)
		want := make([]byte, len(got)+8)
		_, _ = io.ReadFull(newNoise(seed), want)
		w.check("beginning of a download", got, want[:len(got)], err)
		if r.IntN(2) == 0 {
			s.Reset()
		} else {
			_ = s.Close()
		}
		if _, err := w.bundle.Open(w.Context(), portRefused); !errors.Is(err, ErrRefused) {
			w.Errorf("got %v, want ErrRefused", err)
		}
	}
}

func (w *world) check(what string, got, want []byte, err error) {
	if err != nil || !bytes.Equal(got, want) {
		w.Errorf("%s: got %d bytes and %v, want %d", what, len(got), err, len(want))
	}
}

// settle waits until nothing is left, which takes a strand.
func (w *world) settle() {
	w.prune()
	w.join()
	time.Sleep(45 * time.Second)
	w.nothingLeft()
}

// crumbs reads in pieces of any size.
type crumbs struct {
	from io.Reader
	rand *rand.Rand
}

func (c crumbs) Read(p []byte) (int, error) {
	return c.from.Read(p[:min(len(p), 1+c.rand.IntN(9000))])
}
