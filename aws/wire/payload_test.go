package wire_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/aws/wire"
)

func TestAckBodyEqualsEncodingJSON(t *testing.T) {
	for _, kind := range []wire.Type{wire.InputStream, wire.OutputStream} {
		for _, sequence := range []int64{0, 1, 12, math.MaxInt64} {
			id := sample().ID
			want, err := json.Marshal(wire.Ack{
				MessageType: string(kind), MessageId: id.String(), SequenceNumber: sequence, IsSequentialMessage: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			got := wire.AppendAckBody([]byte("x"), kind, id, sequence)
			if string(got) != "x"+string(want) {
				t.Errorf("got %s, want x%s", got, want)
			}
			back, err := wire.ParseAckSequence(got[1:])
			if err != nil || back != sequence {
				t.Errorf("got sequence %d, %v back, want %d", back, err, sequence)
			}
		}
	}
}

func TestAnAckMustNameASequence(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":          ``,
		"no JSON":          `hello`,
		"an empty object":  `{}`,
		"a null":           `{"AcknowledgedMessageSequenceNumber":null}`,
		"a negative one":   `{"AcknowledgedMessageSequenceNumber":-1}`,
		"a fraction":       `{"AcknowledgedMessageSequenceNumber":1.5}`,
		"one out of range": `{"AcknowledgedMessageSequenceNumber":9223372036854775808}`,
		"a string":         `{"AcknowledgedMessageSequenceNumber":"1"}`,
	} {
		if got, err := wire.ParseAckSequence([]byte(body)); err == nil {
			t.Errorf("%s: got sequence %d, want an error", name, got)
		}
	}
}

func TestParseJSONReadsTheHandshakeOfPortSessions(t *testing.T) {
	body := `{"AgentVersion":"3.3.0.0","RequestedClientActions":[{"ActionType":"SessionType","ActionParameters":` +
		`{"SessionType":"Port","Properties":{"portNumber":"3128","localPortNumber":"0","type":"LocalPortForwarding"}}}]}`
	var request wire.HandshakeRequest
	if err := wire.ParseJSON([]byte(body), &request); err != nil {
		t.Fatal(err)
	}
	if request.AgentVersion != "3.3.0.0" || len(request.RequestedClientActions) != 1 {
		t.Fatalf("got %+v, want one action of agent 3.3.0.0", request)
	}
	action := request.RequestedClientActions[0]
	if action.ActionType != wire.ActionSessionType {
		t.Errorf("got action %q, want %q", action.ActionType, wire.ActionSessionType)
	}
	var session struct {
		SessionType string
		Properties  wire.PortProperties
	}
	if err := wire.ParseJSON(action.ActionParameters, &session); err != nil {
		t.Fatal(err)
	}
	want := wire.PortProperties{PortNumber: "3128", LocalPortNumber: "0", Type: "LocalPortForwarding"}
	if diff := cmp.Diff(want, session.Properties); diff != "" {
		t.Errorf("port properties (-want +got):\n%s", diff)
	}
}

func TestParseJSONNamesWhatItWasDecoding(t *testing.T) {
	var closed wire.Closed
	if err := wire.ParseJSON([]byte(`{"Output":`), &closed); err == nil || !strings.Contains(err.Error(), "message.ChannelClosed") {
		t.Errorf("got %v, want an error that names message.ChannelClosed", err)
	}
	huge := []byte(`{"Output":"` + strings.Repeat("x", 64<<10) + `"}`)
	if err := wire.ParseJSON(huge, &closed); !errors.Is(err, wire.ErrLong) {
		t.Errorf("got %v for 64 KiB of output, want ErrLong", err)
	}
}

func TestFlagsAreFourBytes(t *testing.T) {
	for _, flag := range []wire.Flag{wire.FlagDisconnectToPort, wire.FlagTerminateSession, wire.FlagConnectToPortError} {
		body := wire.FlagBody(flag)
		if len(body) != 4 {
			t.Errorf("got %d bytes for flag %d, want 4", len(body), flag)
		}
		if got, err := wire.ParseFlag(body); err != nil || got != flag {
			t.Errorf("got flag %d, %v back, want %d", got, err, flag)
		}
	}
	if _, err := wire.ParseFlag([]byte{0, 0, 3}); !errors.Is(err, wire.ErrShort) {
		t.Errorf("got %v for three bytes, want ErrShort", err)
	}
}

func TestOpenDataChannelHasTheFieldsOfAWSsClient(t *testing.T) {
	got, err := json.Marshal(wire.OpenDataChannel{
		MessageSchemaVersion: "1.0", RequestID: "r", TokenValue: "t", ClientID: "c", ClientVersion: wire.ClientVersion,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"MessageSchemaVersion":"1.0","RequestId":"r","TokenValue":"t","ClientId":"c","ClientVersion":"` + wire.ClientVersion + `"}`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestKMSActionResultComesThroughGenericJSON(t *testing.T) {
	want := wire.KMSResponse{KMSCipherTextKey: []byte("wrapped key"), KMSCipherTextHash: []byte("its hash")}
	raw, err := json.Marshal(wire.HandshakeResponse{ProcessedClientActions: []wire.ProcessedAction{
		{ActionType: wire.ActionKMSEncryption, ActionStatus: wire.StatusSuccess, ActionResult: want},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var response wire.HandshakeResponse
	if err := wire.ParseJSON(raw, &response); err != nil {
		t.Fatal(err)
	}
	got, err := wire.KMSActionResult(response.ProcessedClientActions[0].ActionResult)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("action result (-want +got):\n%s", diff)
	}
	for name, bad := range map[string]any{"nil": nil, "no key": map[string]any{"KMSCipherTextHash": "YQ=="}, "a number": 3.0, "a channel": make(chan int)} {
		if got, err := wire.KMSActionResult(bad); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func TestExitCodeIsReadAsAgentsWriteIt(t *testing.T) {
	for _, code := range []int{0, 1, 255, -1} {
		if got, err := wire.ParseExitCode(wire.ExitCodeBody(code)); err != nil || got != code {
			t.Errorf("got %d and %v, want %d", got, err, code)
		}
	}
	for _, body := range []string{"", "3", "EXIT_CODE: ", "EXIT_CODE: x", "EXIT_CODE: 1 2", "EXIT_CODE: " + strings.Repeat("9", 50)} {
		if got, err := wire.ParseExitCode([]byte(body)); !errors.Is(err, wire.ErrInvalid) {
			t.Errorf("%q: got %d and %v, want ErrInvalid", body, got, err)
		}
	}
}
