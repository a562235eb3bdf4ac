package emulator

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/google/uuid"

	"culvert/aws/wire"
	"culvert/internal/need"
)

// flood writes until the other side is gone.
func flood(c *net.TCPConn) {
	block := make([]byte, 64<<10)
	for {
		if _, err := c.Write(block); err != nil {
			return
		}
	}
}

// What an agent sends while its client is away is lost, one message a millisecond, unless it hears that the client is away; and
// then it repairs exactly one in 100 ms, however many there are (protocol.md 9, A1).
func TestAgentLosesAMessageInAMillisecondAndRepairsOneInAHundred(t *testing.T) {
	const away, repairs = 150 * time.Millisecond, 12
	for name, told := range map[string]bool{"agent that hears nothing": false, "agent that is told to pause": true} {
		t.Run(name, func(t *testing.T) {
			e := oneContainer(t, map[uint16]string{8080: need.Server(t, flood)})
			e.Fault(func(f *Faults) { f.PauseAgent = told })
			n := dialNaive(t, e, "portNumber", "8080")
			n.ready()
			n.send(wire.Output, wire.MuxFrame{Command: wire.MuxOpen, Stream: 3}.Append(nil))
			n.send(wire.Output, append(wire.MuxFrame{Command: wire.MuxPush, Length: 1, Stream: 3}.Append(nil), 'x'))
			last := n.want("a hundred messages", func(m wire.Message) bool { return isStream(m) && m.Sequence >= 100 }).Sequence
			e.CutClientLeg()
			time.Sleep(away)
			n.resume()
			first := n.want("one after the gap", func(m wire.Message) bool { return isStream(m) && m.Sequence > last+1 }).Sequence
			lost := int(first - last)
			const few = int(away/time.Millisecond) / 3
			for attempt := 1; (lost > few) == told; attempt++ { // a busy machine tells the agent late, or keeps it from being so quick
				if attempt == 10 {
					t.Fatalf("%d messages are lost in %s; an agent that hears nothing loses about one a millisecond, one that waits few", lost, away)
				}
				last = n.want("more messages", func(m wire.Message) bool { return isStream(m) && m.Sequence > first+50 }).Sequence
				e.CutClientLeg()
				time.Sleep(away)
				n.resume()
				first = n.want("one after the gap", func(m wire.Message) bool { return isStream(m) && m.Sequence > last+1 }).Sequence
				lost = int(first - last)
			}
			if told {
				return
			}
			var came []time.Time
			n.want("repairs", func(m wire.Message) bool {
				if isStream(m) && m.Sequence < first {
					came = append(came, time.Now())
				}
				return len(came) == repairs
			})
			if took, want := came[repairs-1].Sub(came[0]), (repairs-1)*100*time.Millisecond; took < want*3/4 || took > 2*want { // the first one may have been read late
				t.Errorf("%d repairs took %s, want %s", repairs-1, took, want)
			}
		})
	}
}

// A10 of docs/faults.md: applied, not acknowledged, not counted, applied again.
func TestAgentTakesAMessageTwiceWhenItsSocketIsCutMeanwhile(t *testing.T) {
	var c channel
	taken, acknowledged := 0, 0
	c.start(func([]byte) { acknowledged++ }, func(wire.Message) bool {
		if taken++; taken == 1 {
			c.cuts.Add(1)
		}
		return true
	})
	message := wire.Message{Type: wire.InputStream, Schema: 1, Created: 1, ID: wire.ID(uuid.New()), Payload: wire.Output, Body: []byte("x")}
	frame, err := message.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.receive(frame)
	if taken != 1 || acknowledged != 0 {
		t.Errorf("taken %d times, acknowledged %d times, want once and not", taken, acknowledged)
	}
	for range 2 {
		c.receive(frame)
	}
	if taken != 2 || acknowledged != 2 {
		t.Errorf("after two more: taken %d times, acknowledged %d times, want twice each", taken, acknowledged)
	}
}

// What goes to an agent whose socket is away is lost, and its client is told of it.
func TestClientIsToldThatTheAgentIsAway(t *testing.T) {
	e := oneContainer(t, map[uint16]string{8080: need.Server(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })})
	n := dialNaive(t, e, "portNumber", "8080")
	n.ready()
	for _, lose := range []func(...string) int{e.CloseAgentLeg, e.CutAgentLeg} {
		lose(n.id)
		for _, kind := range []wire.Type{wire.PausePublication, wire.StartPublication} {
			n.want(string(kind), func(m wire.Message) bool { return m.Type == kind })
		}
	}
	e.Fault(func(f *Faults) { f.PauseClient = false })
	e.CutAgentLeg(n.id)
	n.wantNone("word of the agent", 100*time.Millisecond, func(m wire.Message) bool { return m.Type.Control() })
}
