package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/aws/session-manager-plugin/src/config"
	"github.com/aws/session-manager-plugin/src/message"
)

// The payloads of the messages, as AWS defines them.
type (
	// Ack is the payload of an acknowledge.
	Ack = message.AcknowledgeContent
	// Closed is the payload of a channel_closed: Output is the text for the user.
	Closed = message.ChannelClosed
	// HandshakeRequest is the agent's first message of the handshake.
	HandshakeRequest = message.HandshakeRequestPayload
	// HandshakeResponse is the client's answer to a HandshakeRequest.
	HandshakeResponse = message.HandshakeResponsePayload
	// HandshakeComplete is the agent's last message of the handshake; stream data may follow it.
	HandshakeComplete = message.HandshakeCompletePayload
	// RequestedAction is one thing the agent asks for in a HandshakeRequest.
	RequestedAction = message.RequestedClientAction
	// ProcessedAction is the answer to one RequestedAction.
	ProcessedAction = message.ProcessedClientAction
	// SessionTypeAction are the parameters of an ActionSessionType.
	SessionTypeAction = message.SessionTypeRequest
	// KMSRequest are the parameters of an ActionKMSEncryption.
	KMSRequest = message.KMSEncryptionRequest
	// KMSResponse is the result of an ActionKMSEncryption.
	KMSResponse = message.KMSEncryptionResponse
	// ChallengeRequest has bytes that the agent has encrypted, and that the client is to send back encrypted by itself.
	ChallengeRequest = message.EncryptionChallengeRequest
	// ChallengeResponse is the client's answer to a ChallengeRequest.
	ChallengeResponse = message.EncryptionChallengeResponse
	// ActionType names a RequestedAction.
	ActionType = message.ActionType
	// ActionStatus says how a ProcessedAction went.
	ActionStatus = message.ActionStatus
	// TerminalSize is the payload of a Size message.
	TerminalSize = message.SizeData
	// Flag is the value of a flag message.
	Flag = message.PayloadTypeFlag
)

// The actions an agent asks for in the handshake, and what a client answers.
const (
	ActionSessionType   = message.SessionType
	ActionKMSEncryption = message.KMSEncryption

	StatusSuccess     = message.Success
	StatusFailed      = message.Failed
	StatusUnsupported = message.Unsupported
)

// The values of a flag message.
const (
	FlagDisconnectToPort   = message.DisconnectToPort   // client to agent, basic mode only
	FlagTerminateSession   = message.TerminateSession   // client to agent
	FlagConnectToPortError = message.ConnectToPortError // agent to client: a dial to the destination failed
)

// PortProperties are the parameters of a port session, as the agent repeats them in its handshake request.
type PortProperties struct {
	PortNumber      string `json:"portNumber"`
	LocalPortNumber string `json:"localPortNumber"`
	Type            string `json:"type"`
	Host            string `json:"host,omitempty"`
}

// The types of sessions that are a terminal; AWS's own client treats all three alike.
const (
	ShellSession          = config.ShellPluginName
	InteractiveSession    = config.InteractiveCommandsPluginName // what ECS Exec opens
	NonInteractiveSession = config.NonInteractiveCommandsPluginName
)

// exitPrefix is what the agent writes before the number in an ExitCode message (amazon-ssm-agent, shell.go, sendExitCode).
const exitPrefix = "EXIT_CODE: "

// ParseExitCode decodes the payload of an ExitCode message.
func ParseExitCode(body []byte) (int, error) {
	digits, ok := bytes.CutPrefix(body, []byte(exitPrefix))
	if !ok || len(digits) > 12 {
		return 0, fmt.Errorf("%w: exit code of %d bytes", ErrInvalid, len(body))
	}
	code, err := strconv.Atoi(string(bytes.TrimSpace(digits)))
	if err != nil {
		return 0, fmt.Errorf("%w: exit code: %w", ErrInvalid, err)
	}
	return code, nil
}

// ExitCodeBody encodes the payload of an ExitCode message.
func ExitCodeBody(code int) []byte { return strconv.AppendInt([]byte(exitPrefix), int64(code), 10) }

// OpenDataChannel is the only text frame of a data channel, and the first one.
type OpenDataChannel struct {
	MessageSchemaVersion string `json:"MessageSchemaVersion"` // "1.0"
	RequestID            string `json:"RequestId"`            // a UUID
	TokenValue           string `json:"TokenValue"`
	ClientID             string `json:"ClientId"` // a UUID, the same for the life of a session
	ClientVersion        string `json:"ClientVersion"`
}

// maxJSON bounds a JSON payload; the longest known one (a handshake request) has under 2 KiB.
const maxJSON = 64 << 10

// ParseJSON decodes a JSON payload into v. The error names what was being decoded.
func ParseJSON(body []byte, v any) error {
	if len(body) > maxJSON {
		return fmt.Errorf("%w: %T of %d bytes", ErrLong, v, len(body))
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}

// ParseFlag decodes the payload of a flag message.
func ParseFlag(body []byte) (Flag, error) {
	if len(body) < 4 {
		return 0, fmt.Errorf("%w: flag of %d bytes", ErrShort, len(body))
	}
	return Flag(binary.BigEndian.Uint32(body)), nil
}

// FlagBody encodes the payload of a flag message.
func FlagBody(f Flag) []byte { return binary.BigEndian.AppendUint32(nil, uint32(f)) }

// AppendAckBody encodes the acknowledge of a message behind dst, byte for byte as encoding/json would encode an Ack.
func AppendAckBody(dst []byte, of Type, id ID, sequence int64) []byte {
	dst = append(dst, `{"AcknowledgedMessageType":"`...)
	dst = append(dst, of...)
	dst = append(dst, `","AcknowledgedMessageId":"`...)
	dst = id.appendText(dst)
	dst = append(dst, `","AcknowledgedMessageSequenceNumber":`...)
	dst = strconv.AppendInt(dst, sequence, 10)
	return append(dst, `,"IsSequentialMessage":true}`...)
}

// ParseAckSequence returns the sequence number of the message that an acknowledge is for. That is in the payload; the header's
// own sequence number is 0.
func ParseAckSequence(body []byte) (int64, error) {
	if sequence, ok := usualAckSequence(body); ok {
		return sequence, nil
	}
	var a struct {
		Sequence *int64 `json:"AcknowledgedMessageSequenceNumber"`
	}
	if err := ParseJSON(body, &a); err != nil {
		return 0, err
	}
	if a.Sequence == nil || *a.Sequence < 0 {
		return 0, fmt.Errorf("%w: acknowledge without a sequence number", ErrInvalid)
	}
	return *a.Sequence, nil
}

// usualAckSequence reads an acknowledge in the form in which AWS's encoders write it. That spares the cost of a JSON decoder,
// as every message that is sent gets an acknowledge.
func usualAckSequence(body []byte) (int64, bool) {
	rest, ok := bytes.CutPrefix(body, []byte(`{"AcknowledgedMessageType":"`))
	if !ok {
		return 0, false
	}
	rest = bytes.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz_")
	if rest, ok = bytes.CutPrefix(rest, []byte(`","AcknowledgedMessageId":"`)); !ok {
		return 0, false
	}
	rest = bytes.TrimLeft(rest, "0123456789abcdef-")
	if rest, ok = bytes.CutPrefix(rest, []byte(`","AcknowledgedMessageSequenceNumber":`)); !ok {
		return 0, false
	}
	number := rest[:len(rest)-len(bytes.TrimLeft(rest, "0123456789"))]
	if len(number) == 0 || len(number) > 18 || number[0] == '0' && len(number) > 1 {
		return 0, false // not a number in JSON, or one that may be too large
	}
	switch string(rest[len(number):]) {
	case `,"IsSequentialMessage":true}`, `,"IsSequentialMessage":false}`:
	default:
		return 0, false
	}
	var sequence int64
	for _, digit := range number {
		sequence = sequence*10 + int64(digit-'0')
	}
	return sequence, true
}

// KMSActionResult decodes the ActionResult of a processed KMSEncryption action, which JSON leaves as a generic map.
func KMSActionResult(result any) (KMSResponse, error) {
	raw, err := json.Marshal(result)
	if err != nil {
		return KMSResponse{}, fmt.Errorf("encode action result: %w", err)
	}
	var r KMSResponse
	if err := ParseJSON(raw, &r); err != nil {
		return KMSResponse{}, err
	}
	if len(r.KMSCipherTextKey) == 0 {
		return KMSResponse{}, fmt.Errorf("%w: no ciphertext key in %s", ErrInvalid, base64.StdEncoding.EncodeToString(raw))
	}
	return r, nil
}
