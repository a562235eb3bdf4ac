package tunnel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"culvert/aws/wire"
)

// handshake answers what the agent asks before stream data flows (protocol.md 5). The whole receive path, handshake included, is
// set up before the first message comes, so that no message which arrives around HandshakeComplete is lost (protocol.md 9, P8).
type handshake struct {
	channel *channel
	// session compares the session that the agent is about to open with the one that was asked for.
	session func(sessionType string, properties json.RawMessage) error
	// dataKey asks KMS for the key of an encrypted session.
	dataKey func(ctx context.Context, keyID string) (plain, sealed []byte, err error)

	answered func()        // is called after each answer to the agent; may be nil
	requests chan question // questions from receive to run: an answer may need a call to KMS, for which the socket's reader must not wait
	complete chan struct{} // closed when the agent has completed the handshake

	mu     sync.Mutex
	agent  wire.Version // the agent's version; zero until its HandshakeRequest
	sealer *sealer      // nil without encryption
}

// question is a handshake message of the agent that is to be answered.
type question struct {
	kind wire.PayloadType
	body []byte
}

// agreed returns the agent's version and the encryption, as far as the handshake has settled them.
func (h *handshake) agreed() (wire.Version, *sealer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.agent, h.sealer
}

func newHandshake(remote Endpoint) *handshake {
	return &handshake{session: forwards(remote), requests: make(chan question, 4), complete: make(chan struct{})}
}

// receive takes one handshake message from the socket's reader; it does not block.
func (h *handshake) receive(kind wire.PayloadType, body []byte) error {
	switch kind {
	case wire.HandshakeCompleteType:
		select {
		case <-h.complete:
			return errors.New("the agent completed the handshake twice")
		default:
			close(h.complete)
			return nil
		}
	default:
		select {
		case h.requests <- question{kind, bytes.Clone(body)}:
			return nil
		default:
			return errors.New("the agent asks more in its handshake than it may")
		}
	}
}

// done reports whether the agent has completed the handshake.
func (h *handshake) done() bool {
	select {
	case <-h.complete:
		return true
	default:
		return false
	}
}

// run answers the agent's questions until the handshake is complete (nil), the session is over, an answer fails or ctx ends.
func (h *handshake) run(ctx context.Context) error {
	for {
		select {
		case <-h.complete:
			return nil
		case <-h.channel.overDone:
			return h.channel.over
		case <-ctx.Done():
			return context.Cause(ctx)
		case q := <-h.requests:
			if err := h.answer(ctx, q.kind, q.body); err != nil {
				return err
			}
			if h.answered != nil {
				h.answered()
			}
		}
	}
}

func (h *handshake) answer(ctx context.Context, kind wire.PayloadType, body []byte) error {
	if kind == wire.EncryptionRequestType {
		return h.answerChallenge(body)
	}
	var request wire.HandshakeRequest
	if err := wire.ParseJSON(body, &request); err != nil {
		return err
	}
	agent, err := wire.ParseVersion(request.AgentVersion)
	if err != nil {
		return fmt.Errorf("agent version: %w", err)
	}
	h.mu.Lock()
	h.agent = agent
	h.mu.Unlock()
	response := wire.HandshakeResponse{ClientVersion: wire.ClientVersion}
	var refused error
	for _, action := range request.RequestedClientActions {
		done, err := h.process(ctx, action)
		response.ProcessedClientActions = append(response.ProcessedClientActions, done)
		if err != nil {
			response.Errors = append(response.Errors, err.Error())
			refused = errors.Join(refused, err)
		}
	}
	encoded, err := json.Marshal(response)
	if err != nil {
		return fmt.Errorf("encode handshake response: %w", err)
	}
	if err := h.channel.push(wire.HandshakeResponseType, encoded); err != nil {
		return err
	}
	return refused
}

func (h *handshake) process(ctx context.Context, action wire.RequestedAction) (wire.ProcessedAction, error) {
	done := wire.ProcessedAction{ActionType: action.ActionType, ActionStatus: wire.StatusSuccess}
	var err error
	switch action.ActionType {
	case wire.ActionSessionType:
		err = h.checkSession(action.ActionParameters)
	case wire.ActionKMSEncryption:
		var result wire.KMSResponse
		if result, err = h.encrypt(ctx, action.ActionParameters); err == nil {
			done.ActionResult = result
		}
	default:
		done.ActionStatus = wire.StatusUnsupported
		done.Error = "unsupported action"
		return done, fmt.Errorf("the agent asks for %q, which culvert does not know", action.ActionType)
	}
	if err != nil {
		done.ActionStatus, done.Error = wire.StatusFailed, err.Error()
	}
	return done, err
}

func (h *handshake) checkSession(parameters []byte) error {
	var session struct {
		SessionType string
		Properties  json.RawMessage
	}
	if err := wire.ParseJSON(parameters, &session); err != nil {
		return err
	}
	return h.session(session.SessionType, session.Properties)
}

// forwards returns a check that a session of type Port leads to the wanted remote end.
func forwards(want Endpoint) func(string, json.RawMessage) error {
	return func(sessionType string, properties json.RawMessage) error {
		if sessionType != "Port" {
			return fmt.Errorf("the agent opens a session of type %q, want \"Port\"", sessionType)
		}
		var got wire.PortProperties
		if err := wire.ParseJSON(properties, &got); err != nil {
			return err
		}
		if got.PortNumber != strconv.Itoa(int(want.Port)) || (want.Host != "" && got.Host != "" && got.Host != want.Host) {
			return fmt.Errorf("the agent forwards to %s:%s, asked was %s", got.Host, got.PortNumber, want)
		}
		return nil
	}
}

func (h *handshake) encrypt(ctx context.Context, parameters []byte) (wire.KMSResponse, error) {
	var request wire.KMSRequest
	if err := wire.ParseJSON(parameters, &request); err != nil {
		return wire.KMSResponse{}, err
	}
	plain, sealed, err := h.dataKey(ctx, request.KMSKeyID)
	if err != nil {
		return wire.KMSResponse{}, fmt.Errorf("data key for the encrypted session: %w", err)
	}
	sealer, err := newSealer(plain)
	if err != nil {
		return wire.KMSResponse{}, err
	}
	h.mu.Lock()
	h.sealer = sealer
	h.mu.Unlock()
	return wire.KMSResponse{KMSCipherTextKey: sealed, KMSCipherTextHash: sealedHash(sealed)}, nil
}

func (h *handshake) answerChallenge(body []byte) error {
	_, sealer := h.agreed()
	if sealer == nil {
		return errors.New("the agent sends an encryption challenge without asking for encryption")
	}
	var challenge wire.ChallengeRequest
	if err := wire.ParseJSON(body, &challenge); err != nil {
		return err
	}
	answer, err := sealer.answer(challenge.Challenge)
	if err != nil {
		return fmt.Errorf("encryption challenge: %w", err)
	}
	encoded, err := json.Marshal(wire.ChallengeResponse{Challenge: answer})
	if err != nil {
		return fmt.Errorf("encode challenge response: %w", err)
	}
	return h.channel.push(wire.EncryptionResponseType, encoded)
}
