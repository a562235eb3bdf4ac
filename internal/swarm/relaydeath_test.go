package swarm

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// An agent without mux does not tell that the relay has closed a connection. So what goes through a relay that has died ends when the
// one after it does not know it, or when no session to one comes about for a minute, and neither before something was sent.
func TestARelaysDeathWithAgentsWithoutMux(t *testing.T) {
	for name, c := range map[string]struct {
		mux, sends  bool
		away        time.Duration // until another relay is there
		least, most time.Duration // until the connection is reset
	}{
		"with mux":                          {mux: true, away: time.Hour, most: time.Second},
		"started anew":                      {sends: true, least: 20 * time.Second, most: 22 * time.Second},
		"started anew, and nothing is sent": {least: 33 * time.Second, most: 42 * time.Second},
		"away for a while":                  {sends: true, away: 15 * time.Second, least: 15 * time.Second, most: 46 * time.Second},
		"gone":                              {sends: true, away: time.Hour, least: time.Minute, most: 62 * time.Second},
		"gone, and nothing is sent":         {away: time.Hour, least: 73 * time.Second, most: 82 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			m := mix{seed: 1, length: 2 * time.Minute, services: []service{{tasks: 1, cpu: "1024", memory: "2048"}}, relayed: []way{{name: "w0", kind: toPort, relay: true}}}
			m.ways = m.relayed
			if !c.mux {
				m.mishaps = []mishap{{name: "m0", last: m.length, kind: "agents without mux"}}
			}
			m.besides = func(w *world) {
				time.Sleep(10 * time.Second)
				talk := func(id uint64) (*line, error) {
					l, err := w.connect(guest{name: "g", way: "w0"}, w.tunnels["w0"])
					if err != nil {
						return nil, err
					}
					_ = l.SetReadDeadline(time.Now().Add(time.Second))
					err = echo(l, id, 100)
					_ = l.SetReadDeadline(time.Time{})
					return l, err
				}
				l, err := talk(1)
				if l == nil {
					t.Error(err)
					return
				}
				defer w.forget(l)
				if err != nil || w.through(l) == nil {
					t.Errorf("the connection does not go through the relay, %v", err)
				}
				time.Sleep(time.Second)
				died := time.Now()
				r := w.relays["w0"]
				r.change(func() { r.down = c.away > 0 })
				defer time.AfterFunc(c.away, r.well).Stop()
				if c.sends {
					_ = ask(l, orderEcho, 2, 100)
					time.Sleep(2 * time.Second)
					next, err := talk(3)
					if next != nil {
						defer w.forget(next)
					}
					if err != nil || w.through(next) != nil {
						t.Errorf("the next connection waits for the relay, or goes through it: %v", err)
					}
				}
				_, err = l.Read(make([]byte, 1))
				if took := time.Since(died); err == nil || errors.Is(err, io.EOF) || took < c.least || took > c.most {
					t.Errorf("the connection ended after %s with %v, want a reset after %s at the least, %s at the most", took, err, c.least, c.most)
				} else {
					t.Log(took)
				}
			}
			if found := m.virtually(t); len(found) > 0 {
				t.Error(strings.Join(found, "\n"))
			}
		})
	}
}
