package emulator

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"culvert/aws/wire"
)

// relayed sends numbered data messages through a relay with faults and returns the order in which they came out.
func relayed(t *testing.T, n int, path Path, delay time.Duration) []int64 {
	t.Helper()
	d := &dataPath{faults: Faults{Delay: delay, Up: path}, changed: make(chan struct{})}
	var got []int64
	r := newRelay(d, 1, 1, func(f *Faults) *Path { return &f.Up }, func(frame []byte) {
		if m, err := wire.Parse(frame); err == nil {
			got = append(got, m.Sequence)
		}
	})
	var running sync.WaitGroup
	running.Go(r.run)
	for i := range n {
		r.push(numbered(t, wire.InputStream, int64(i)))
	}
	r.finish(nil)
	running.Wait()
	return got
}

func numbered(t *testing.T, kind wire.Type, sequence int64) []byte {
	t.Helper()
	m := wire.Message{Type: kind, Schema: 1, Created: 1, Sequence: sequence, Payload: wire.Output, Body: make([]byte, 1024)}
	frame, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func TestRelayKeepsOrderAndLosesNothing(t *testing.T) {
	got := relayed(t, 5000, Path{}, time.Millisecond)
	if len(got) != 5000 || !slices.IsSorted(got) {
		t.Errorf("%d messages came, sorted %v; want all 5000 in order", len(got), slices.IsSorted(got))
	}
}

func TestDelayDoesNotLimitThroughput(t *testing.T) {
	began := time.Now()
	if got := relayed(t, 10_000, Path{}, 100*time.Millisecond); len(got) != 10_000 {
		t.Fatalf("%d messages came, want 10000", len(got))
	}
	if took := time.Since(began); took < 100*time.Millisecond || took > 10*time.Second {
		t.Errorf("10,000 messages through a delay of 100 ms took %v, want nothing near 1000 s", took)
	}
}

func TestTheNthMessageIsDropped(t *testing.T) {
	got := relayed(t, 6, Path{Data: Loss{DropNth: []uint64{1, 4}, DropNext: 0}}, 0)
	if want := []int64{1, 2, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got = relayed(t, 4, Path{Data: Loss{DropNext: 2}}, 0)
	if want := []int64{2, 3}; !slices.Equal(got, want) {
		t.Errorf("with the next two dropped got %v, want %v", got, want)
	}
}

func TestFaultsOfAcknowledgesLeaveDataAlone(t *testing.T) {
	if got := relayed(t, 10, Path{Acks: Loss{Drop: 1, Mangle: 1}}, 0); len(got) != 10 {
		t.Errorf("%d messages came, want all 10", len(got))
	}
}

func TestRandomFaultsAreRepeatable(t *testing.T) {
	path := Path{Data: Loss{Drop: 0.1, Duplicate: 0.2}}
	first, second := relayed(t, 500, path, 0), relayed(t, 500, path, 0)
	if !slices.Equal(first, second) {
		t.Error("the same seed made two stories")
	}
	unique := slices.Compact(slices.Clone(first))
	if lost, twice := 500-len(unique), len(first)-len(unique); lost < 25 || lost > 80 || twice < 50 || twice > 140 {
		t.Errorf("%d lost and %d twice, want about 50 and 90", lost, twice)
	}
}

func TestReorderedAndDelayedMessagesAreOvertaken(t *testing.T) {
	for name, loss := range map[string]Loss{"reorder": {Reorder: 0.3}, "delay": {Delay: 0.3, DelayBy: 10 * time.Millisecond}} {
		got := relayed(t, 300, Path{Data: loss}, 0)
		if slices.IsSorted(got) {
			t.Errorf("%s: all came in order", name)
		}
		if slices.Sort(got); len(slices.Compact(got)) != 300 {
			t.Errorf("%s: %d messages came, want 300", name, len(got))
		}
	}
}

func TestMangledFramesAreRefusedForTheRightReason(t *testing.T) {
	frame := numbered(t, wire.OutputStream, 7)
	for how, want := range map[Mangling]error{
		BadDigest: wire.ErrDigest, ShortFrame: wire.ErrShort, WrongHeader: wire.ErrHeader, Oversized: wire.ErrLong,
	} {
		if _, err := wire.Parse(mangle(frame, how)); !errors.Is(err, want) {
			t.Errorf("mangling %d: %v, want %v", how, err, want)
		}
	}
	if _, err := wire.Parse(frame); err != nil {
		t.Errorf("the original suffered: %v", err)
	}
}

func TestFullRelayHoldsBackTheWriter(t *testing.T) {
	d := &dataPath{changed: make(chan struct{})}
	release := make(chan struct{})
	r := newRelay(d, 1, 1, func(f *Faults) *Path { return &f.Up }, func([]byte) { <-release })
	var running sync.WaitGroup
	running.Go(r.run)
	filled := make(chan struct{})
	running.Go(func() {
		defer close(filled)
		for i := range int64(2 * relayLimit / 1024) {
			r.push(numbered(t, wire.InputStream, i))
		}
	})
	select {
	case <-filled:
		t.Error("a relay that delivers nothing took twice its limit")
	case <-time.After(200 * time.Millisecond):
	}
	r.abort()
	close(release)
	running.Wait()
}

func TestPipeHoldsWhatTheAgentsSocketHolds(t *testing.T) {
	a, b := newPipe()
	written := make(chan int, 1)
	go func() {
		n, _ := a.Write(make([]byte, pipeLimit+1))
		written <- n
	}()
	select {
	case n := <-written:
		t.Fatalf("%d bytes went in without a reader", n)
	case <-time.After(50 * time.Millisecond):
	}
	if _, err := b.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if n := <-written; n != pipeLimit+1 {
		t.Errorf("wrote %d bytes, want all %d after one was read", n, pipeLimit+1)
	}
	_ = b.Close()
	if _, err := a.Write([]byte("x")); err == nil {
		t.Error("a closed pipe takes bytes")
	}
}

func TestOutputLengthCountsTunnelDataOnly(t *testing.T) {
	frame := numbered(t, wire.OutputStream, 1)
	if n := outputLength(frame); n != 1024 {
		t.Errorf("tunnel data of %d bytes, want 1024", n)
	}
	binary.BigEndian.PutUint32(frame[payloadTypeAt:], uint32(wire.FlagType))
	if n := outputLength(frame) + outputLength(control(wire.StartPublication)); n != 0 {
		t.Errorf("a flag and a control message count %d bytes, want none", n)
	}
}
