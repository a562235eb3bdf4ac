package tunnel

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"culvert/aws/wire"
)

// FuzzHandshake lets a hostile agent say whatever it likes in the handshake: a first message of any type, then a second.
// Nothing panics, every action that was asked for gets its answer in its place, and nothing but the session that was
// ordered is ever agreed to.
func FuzzHandshake(f *testing.F) {
	request, challenge := uint32(wire.HandshakeRequestType), uint32(wire.EncryptionRequestType)
	complete := uint32(wire.HandshakeCompleteType)
	ordered := `{"ActionType":"SessionType","ActionParameters":{"SessionType":"Port","Properties":{"portNumber":"7000","localPortNumber":"0","type":"LocalPortForwarding"}}}`
	kms := `{"ActionType":"KMSEncryption","ActionParameters":{"KMSKeyId":"arn:aws:kms:eu-west-1:111122223333:key/1"}}`
	whole := func(actions string) []byte {
		return []byte(`{"AgentVersion":"3.3.0.0","RequestedClientActions":[` + actions + `]}`)
	}
	f.Add(request, whole(ordered), complete, []byte(`{"HandshakeTimeToComplete":1,"CustomerMessage":""}`))
	f.Add(request, whole(ordered+","+kms), challenge, []byte(`{"Challenge":"AAAA"}`))
	f.Add(request, whole(`{"ActionType":"Shell"}`), request, whole(kms))
	f.Add(complete, []byte(`{}`), complete, []byte(`{}`))
	f.Add(challenge, []byte(`{"Challenge":""}`), request, []byte(`{"AgentVersion":"-1"}`))
	f.Fuzz(func(t *testing.T, firstKind uint32, first []byte, secondKind uint32, second []byte) {
		l := newLane(nil, testChannel(nil).log, Endpoint{Port: 7000}, laneOptions{messageSize: 1024})
		l.opening.dataKey = func(context.Context, string) (plain, sealed []byte, err error) {
			return bytes.Repeat([]byte{1}, 64), []byte("sealed"), nil
		}
		for _, m := range []struct {
			kind wire.PayloadType
			body []byte
		}{{wire.PayloadType(firstKind), first}, {wire.PayloadType(secondKind), second}} {
			if l.deliver(m.kind, m.body) != nil {
				return // the session ends here
			}
			select {
			case asked := <-l.opening.requests:
				err := l.opening.answer(t.Context(), asked.kind, asked.body)
				checkAnswers(t, l, asked.kind, asked.body, err)
				if err != nil {
					return
				}
			default:
			}
		}
		if agent, _ := l.opening.agreed(); l.carrier != nil && agent == (wire.Version{}) {
			t.Error("a carrier stands for an agent that never introduced itself")
		}
	})
}

// A3: the agent takes note that the handshake is complete only after it has said so, and until then it acknowledges and
// throws away what it gets. A naive client, which sends as soon as it hears the word, loses the beginning of its first
// connection to an agent that is close or busy. Nothing is sent here before the agent had its time, of which the way there
// and back is a part.
func TestTheAgentHasTimeToNoteThatTheHandshakeIsComplete(t *testing.T) {
	for trip, wait := range map[time.Duration]time.Duration{
		0:                     settleFor, // not measured: the acknowledge is late
		5 * time.Millisecond:  settleFor - 5*time.Millisecond,
		60 * time.Millisecond: 0,
	} {
		t.Run(trip.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLane(nil, testChannel(nil).log, Endpoint{Port: 7000}, laneOptions{messageSize: 1024})
				request := `{"AgentVersion":"3.3.0.0","RequestedClientActions":[{"ActionType":"SessionType","ActionParameters":` +
					`{"SessionType":"Port","Properties":{"portNumber":"7000","localPortNumber":"0","type":"LocalPortForwarding"}}}]}`
				if err := l.opening.answer(t.Context(), wire.HandshakeRequestType, []byte(request)); err != nil {
					t.Fatal(err)
				}
				if n := len(written(t, l.channel)); n != 1 {
					t.Fatalf("%d messages answer the request, want 1", n)
				}
				if trip > 0 {
					time.Sleep(trip)
					l.channel.acknowledged(0, time.Now())
				}
				if err := l.deliver(wire.HandshakeCompleteType, []byte(`{"HandshakeTimeToComplete":1,"CustomerMessage":""}`)); err != nil {
					t.Fatal(err)
				}
				complete := time.Now()
				if err := l.channel.send(t.Context(), []byte("early")); err != nil {
					t.Fatal(err)
				}
				for {
					frames, again, err := l.channel.collect(nil, time.Now())
					if err != nil {
						t.Fatal(err)
					}
					if len(frames) > 0 {
						break
					}
					time.Sleep(time.Until(again))
				}
				if took := time.Since(complete); took != wait {
					t.Errorf("data goes %s after the handshake, want %s", took, wait)
				}
			})
		})
	}
}

// checkAnswers holds what a lane has written after one message of the agent against what that message asked for.
func checkAnswers(t *testing.T, l *lane, kind wire.PayloadType, body []byte, refused error) {
	t.Helper()
	for _, m := range written(t, l.channel) {
		if kind != wire.HandshakeRequestType || m.Payload != wire.HandshakeResponseType {
			continue
		}
		var asked wire.HandshakeRequest
		var said wire.HandshakeResponse
		if err := json.Unmarshal(m.Body, &said); err != nil {
			t.Fatalf("the answer is no JSON: %v", err)
		}
		if err := wire.ParseJSON(body, &asked); err != nil {
			t.Fatalf("answered a request that cannot be read: %v", err)
		}
		if len(said.ProcessedClientActions) != len(asked.RequestedClientActions) {
			t.Fatalf("%d actions were asked for, %d are answered", len(asked.RequestedClientActions), len(said.ProcessedClientActions))
		}
		for i, done := range said.ProcessedClientActions {
			want := asked.RequestedClientActions[i]
			if done.ActionType != want.ActionType {
				t.Errorf("action %d is %q, answered is %q", i, want.ActionType, done.ActionType)
			}
			if done.ActionStatus != wire.StatusSuccess && refused == nil {
				t.Errorf("action %d is refused, but the session goes on", i)
			}
			if done.ActionStatus == wire.StatusSuccess && want.ActionType == wire.ActionSessionType {
				var session wire.SessionTypeAction
				if err := wire.ParseJSON(want.ActionParameters, &session); err != nil || session.SessionType != "Port" || session.Properties == nil {
					t.Errorf("agreed to %s: %v", want.ActionParameters, err)
				}
			}
		}
	}
}
