package tunnel

import (
	"testing"
	"testing/synctest"
	"time"

	"culvert/aws/wire"
)

// Which streams of a session that is given up may be opened anew, by what has gone out when and what was acknowledged. The
// round trip is 100 ms; the agent dies at 10 s, which the service says 50 ms later, or nobody does.
func TestOnlyWhatCannotHaveBeenHeardIsOpenedAnew(t *testing.T) {
	const died = 10 * time.Second
	say := func(at time.Duration) func(*replayed) { return func(r *replayed) { r.say(at) } }
	for name, c := range map[string]struct {
		do         func(*replayed)
		said, only bool // opened anew where the service says so, and where only ECS does
	}{
		"it said nothing":                    {func(*replayed) {}, true, true},
		"it spoke after the pause":           {say(died + time.Second), true, true},
		"its first words met a dead agent":   {say(died - 20*time.Millisecond), true, false},
		"its first words may have arrived":   {say(died - 80*time.Millisecond), false, false},
		"they have, the answer is not there": {say(died - 200*time.Millisecond), false, false},
		"acknowledges got lost, again and again, of a message long before": {func(r *replayed) {
			r.until(died - 4*time.Second)
			_ = openStream(t, r.mux)
			written(t, r.channel())
			time.Sleep(time.Second)
			written(t, r.channel())
			r.say(died - time.Second)
			r.say(died - 900*time.Millisecond)
			r.acknowledge(3)
		}, false, false},
		"half of it has arrived": {func(r *replayed) {
			r.say(died - time.Second)
			r.acknowledge(1)
			r.say(died + time.Second)
		}, false, false},
		"it has got something": {func(r *replayed) {
			_ = r.mux.receive(push(r.stream.id, "x"))
		}, false, false},
	} {
		for _, said := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				r := &replayed{T: t, began: time.Now(), mux: newMux(testChannel(nil))}
				r.until(time.Second)
				r.stream = openStream(t, r.mux)
				written(t, r.channel())
				time.Sleep(100 * time.Millisecond)
				r.acknowledge(0)
				c.do(r)
				r.until(died + 3*time.Second)
				away := time.Duration(0)
				if said {
					away = 3*time.Second - 50*time.Millisecond
				}
				r.channel().heard.Store(r.began.Add(died - 150*time.Millisecond).UnixNano())
				want := c.only
				if said {
					want = c.said
				}
				r.mux.spare(&SilentError{deaf: r.channel().deafSince(away, time.Now())})
				if got := r.stream.spare.Load(); got != want {
					t.Errorf("%s, the service says so %t: opened anew %t", name, said, got)
				}
			})
		}
	}
}

// An agent that has said nothing for long may just be slow: where the service tells when it went away, that counts.
func TestWhatASilentAgentMayHaveTakenIsNotSentAnew(t *testing.T) {
	const died = 10 * time.Second
	for _, said := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := &replayed{T: t, began: time.Now(), mux: newMux(testChannel(nil))}
			r.until(time.Second)
			r.stream = openStream(t, r.mux)
			written(t, r.channel())
			time.Sleep(100 * time.Millisecond)
			r.acknowledge(0)
			r.channel().heard.Store(r.began.Add(died - 2*time.Second).UnixNano())
			r.say(died - time.Second)
			r.until(died + 3*time.Second)
			away := time.Duration(0)
			if said {
				away = 3*time.Second - 50*time.Millisecond
			}
			r.mux.spare(&SilentError{deaf: r.channel().deafSince(away, time.Now())})
			if got := r.stream.spare.Load(); got == said {
				t.Errorf("the service says so %t: opened anew %t", said, got)
			}
		})
	}
}

// Of a local side that sends more than is kept nothing is kept any more, nor of one of which the agent has something.
func TestNoMoreIsKeptThanMayBeSentAnew(t *testing.T) {
	m := newMux(testChannel(nil))
	fresh, taken := openStream(t, m), openStream(t, m)
	var k kept
	for range maxKept / copyBuffer {
		k.add(fresh, make([]byte, copyBuffer))
	}
	if k.gone || len(k.bytes) != maxKept {
		t.Errorf("%d bytes are kept, want %d", len(k.bytes), maxKept)
	}
	if k.add(fresh, []byte("x")); !k.gone || k.bytes != nil {
		t.Errorf("%d bytes are kept of more than there may be", len(k.bytes))
	}
	if err := taken.write(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	k = kept{}
	k.add(taken, []byte("x"))
	if k.gone {
		t.Error("nothing is kept although the agent has nothing")
	}
	for _, message := range written(t, m.channel) {
		mustReceive(t, m.channel, ackFor(t, message))
	}
	if k.add(taken, []byte("x")); !k.gone {
		t.Error("something is kept although the agent has the beginning")
	}
}

type replayed struct {
	*testing.T
	began  time.Time
	mux    *mux
	stream *stream
}

func (r *replayed) channel() *channel { return r.mux.channel }

func (r *replayed) until(at time.Duration) { time.Sleep(at - time.Since(r.began)) }

// say sends something of the stream at a moment, and nothing of it again: the agent is not to be given a second chance.
func (r *replayed) say(at time.Duration) {
	r.until(at)
	if err := r.stream.write(r.Context(), []byte("x")); err != nil {
		r.Fatal(err)
	}
	written(r.T, r.channel())
}

func (r *replayed) acknowledge(sequence int64) {
	mustReceive(r.T, r.channel(), ackFor(r.T, wire.Message{Type: wire.InputStream, Sequence: sequence}))
}
