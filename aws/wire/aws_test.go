package wire_test

import (
	"reflect"
	"testing"

	"github.com/aws/session-manager-plugin/src/config"
	"github.com/aws/session-manager-plugin/src/message"

	"culvert/aws/wire"
)

func TestNamesAndNumbersAreAWSs(t *testing.T) {
	for _, c := range []struct{ ours, theirs any }{
		{string(wire.InputStream), message.InputStreamMessage},
		{string(wire.OutputStream), message.OutputStreamMessage},
		{string(wire.Acknowledge), message.AcknowledgeMessage},
		{string(wire.ChannelClosed), message.ChannelClosedMessage},
		{string(wire.StartPublication), message.StartPublicationMessage},
		{string(wire.PausePublication), message.PausePublicationMessage},
		{uint32(wire.Output), uint32(message.Output)},
		{uint32(wire.Size), uint32(message.Size)},
		{uint32(wire.StdErr), uint32(message.StdErr)},
		{uint32(wire.ExitCode), uint32(message.ExitCode)},
		{uint32(wire.HandshakeRequestType), uint32(message.HandshakeRequestPayloadType)},
		{uint32(wire.HandshakeResponseType), uint32(message.HandshakeResponsePayloadType)},
		{uint32(wire.HandshakeCompleteType), uint32(message.HandshakeCompletePayloadType)},
		{uint32(wire.EncryptionRequestType), uint32(message.EncChallengeRequest)},
		{uint32(wire.EncryptionResponseType), uint32(message.EncChallengeResponse)},
		{uint32(wire.FlagType), uint32(message.Flag)},
		{uint32(wire.FlagDisconnectToPort), uint32(message.DisconnectToPort)},
		{uint32(wire.FlagTerminateSession), uint32(message.TerminateSession)},
		{uint32(wire.FlagConnectToPortError), uint32(message.ConnectToPortError)},
		{string(wire.ActionSessionType), string(message.SessionType)},
		{string(wire.ActionKMSEncryption), string(message.KMSEncryption)},
		{int(wire.StatusSuccess), int(message.Success)},
		{int(wire.StatusFailed), int(message.Failed)},
		{int(wire.StatusUnsupported), int(message.Unsupported)},
		{wire.ShellSession, config.ShellPluginName},
		{wire.InteractiveSession, config.InteractiveCommandsPluginName},
		{wire.NonInteractiveSession, config.NonInteractiveCommandsPluginName},
		{wire.ServiceName, config.ServiceName},
		{wire.Overhead, message.ClientMessage_PayloadOffset},
	} {
		if c.ours != c.theirs {
			t.Errorf("got %v, AWS has %v", c.ours, c.theirs)
		}
	}
}

func TestPayloadsAreAWSs(t *testing.T) {
	for _, c := range []struct{ ours, theirs any }{
		{wire.Ack{}, message.AcknowledgeContent{}},
		{wire.Closed{}, message.ChannelClosed{}},
		{wire.HandshakeRequest{}, message.HandshakeRequestPayload{}},
		{wire.HandshakeResponse{}, message.HandshakeResponsePayload{}},
		{wire.HandshakeComplete{}, message.HandshakeCompletePayload{}},
		{wire.RequestedAction{}, message.RequestedClientAction{}},
		{wire.ProcessedAction{}, message.ProcessedClientAction{}},
		{wire.SessionTypeAction{}, message.SessionTypeRequest{}},
		{wire.KMSRequest{}, message.KMSEncryptionRequest{}},
		{wire.KMSResponse{}, message.KMSEncryptionResponse{}},
		{wire.ChallengeRequest{}, message.EncryptionChallengeRequest{}},
		{wire.ChallengeResponse{}, message.EncryptionChallengeResponse{}},
		{wire.TerminalSize{}, message.SizeData{}},
	} {
		compareStructs(t, reflect.TypeOf(c.ours), reflect.TypeOf(c.theirs))
	}
}

// compareStructs compares what JSON makes of two structs: the names in it and the kinds of their values, in their order.
func compareStructs(t *testing.T, ours, theirs reflect.Type) {
	t.Helper()
	if ours.NumField() != theirs.NumField() {
		t.Errorf("%s has %d fields, AWS's %d", ours, ours.NumField(), theirs.NumField())
		return
	}
	for i := range ours.NumField() {
		a, b := ours.Field(i), theirs.Field(i)
		if a.Tag != b.Tag || a.Type.Kind() != b.Type.Kind() {
			t.Errorf("%s: got %s %s %s, AWS has %s %s %s", ours, a.Name, a.Type, a.Tag, b.Name, b.Type, b.Tag)
		}
	}
}

func TestAgentsAreToldApartByAWSsVersions(t *testing.T) {
	parse := func(text string) wire.Version {
		v, err := wire.ParseVersion(text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	above := func(v wire.Version) wire.Version {
		v[3]++
		return v
	}
	mux, quiet := parse(config.TCPMultiplexingSupportedAfterThisAgentVersion), parse(config.TCPMultiplexingWithSmuxKeepAliveDisabledAfterThisAgentVersion)
	flag := parse(config.TerminateSessionFlagSupportedAfterThisAgentVersion)
	for name, c := range map[string]struct{ got, want bool }{
		"mux at":           {mux.Mux(), false},
		"mux above":        {above(mux).Mux(), true},
		"keepalive at":     {quiet.KeepAlive(), true},
		"keepalive above":  {above(quiet).KeepAlive(), false},
		"terminate at":     {flag.TerminateFlag(), false},
		"terminate above":  {above(flag).TerminateFlag(), true},
		"keepalive at mux": {mux.KeepAlive(), false},
	} {
		if c.got != c.want {
			t.Errorf("%s the version that AWS names: got %v, want %v", name, c.got, c.want)
		}
	}
}
