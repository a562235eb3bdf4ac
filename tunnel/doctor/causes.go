package doctor

import (
	"errors"
	"strings"

	"culvert/aws"
	"culvert/tunnel"
	"culvert/tunnel/front"
)

// CauseOf is the id of the documented cause that an error stands for; empty when the error stands for none.
func CauseOf(err error) string {
	if e, ok := errors.AsType[*AdviceError](err); ok {
		return e.ID
	}
	for _, look := range []func(error) string{relayCause, destinationCause, pathCause, sessionCause, ecsCause, accountCause} {
		if id := look(err); id != "" {
			return id
		}
	}
	return ""
}

// accountCause knows the causes in the configuration, the credentials and the network of this machine.
func accountCause(err error) string {
	switch {
	case isConfiguration(err):
		return "A1"
	case is[*aws.NoCredentialsError](err), is[*aws.CredentialError](err), is[*aws.MFAError](err):
		return "A2"
	case is[*aws.ExpiredError](err), is[*aws.RejectedKeyError](err):
		return "A3"
	case is[*aws.ClockError](err):
		return "A4"
	case is[*aws.NoIDTokenError](err), is[*aws.TokenError](err), is[*aws.TokenVariableError](err):
		return "A5"
	case is[*aws.TrustError](err):
		return "A6"
	case is[*aws.ProviderError](err):
		return "A7"
	case is[*aws.ElsewhereError](err):
		return "A8"
	case is[*aws.UnreachableError](err), is[*aws.AnswerError](err):
		return "A9"
	case is[*tunnel.PortTakenError](err), is[*tunnel.PrivilegedPortError](err):
		return "A10"
	case is[*aws.ThrottledError](err), is[*aws.FaultError](err):
		return "A11"
	}
	return ""
}

// ecsCause knows the causes in what ECS says.
func ecsCause(err error) string {
	if e, ok := errors.AsType[*aws.DeniedError](err); ok && strings.HasPrefix(e.Action, "ecs:") {
		return "B1"
	}
	if e, ok := errors.AsType[*aws.NotFoundError](err); ok {
		switch e.Kind {
		case "cluster":
			return "B2"
		case "service", "family":
			return "B3"
		}
		return "B5"
	}
	if is[*aws.TaskGoneError](err) {
		return "B5"
	}
	if is[*aws.ServedError](err) {
		return "B3"
	}
	e, ok := errors.AsType[*aws.NotReadyError](err)
	if !ok {
		return ""
	}
	switch e.Suspect {
	case aws.SuspectPlatform, aws.SuspectECSAgent:
		return "C2"
	case aws.SuspectNoRole:
		return "C4"
	case aws.SuspectNone, aws.SuspectReadonlyRoot, aws.SuspectKeys:
	}
	switch e.Cause {
	case aws.CauseDraining:
		return "B3"
	case aws.CauseNoTask, aws.CauseScaledToZero:
		return "B4"
	case aws.CauseTaskPending, aws.CauseTaskStopping:
		return "B5"
	case aws.CauseDisconnected:
		return "B6"
	case aws.CauseExecOff:
		return "C1"
	case aws.CauseAgentPending, aws.CauseAgentStopped, aws.CauseAgentMissing:
		return "C3"
	case aws.CauseNotStarted:
		return "C6"
	case aws.CauseContainerOver:
		return "C12"
	case aws.CauseNoNetwork:
		return "C13"
	}
	return ""
}

// sessionCause knows the causes between StartSession and an open session.
func sessionCause(err error) string {
	if e, ok := errors.AsType[*aws.DeniedError](err); ok {
		switch {
		case e.Action == "ssmmessages:OpenDataChannel":
			return "E2"
		case strings.HasPrefix(e.Action, "kms:"):
			return "E4"
		case strings.HasPrefix(e.Action, "ssm:"):
			return "D1"
		}
	}
	if e, ok := errors.AsType[*aws.UnreachableError](err); ok && e.Stream {
		return "E1"
	}
	if e, ok := errors.AsType[*aws.FaultError](err); ok && strings.HasPrefix(e.Operation, "ssm:") {
		return "D4"
	}
	if e, ok := errors.AsType[*aws.ThrottledError](err); ok && strings.HasPrefix(e.Operation, "ssm:") {
		return "D4"
	}
	if e, ok := errors.AsType[*tunnel.ClosedError](err); ok {
		switch {
		case e.Undecrypted() != nil:
			return "E4"
		case e.Forbidden():
			return "F20"
		case e.Unresolved():
			return "F6"
		case e.Refused():
			return "E6"
		}
	}
	if e, ok := errors.AsType[*tunnel.RefusedError](err); ok && e.Remote.Host != "" {
		return "F7"
	}
	if e, ok := errors.AsType[*tunnel.UnansweredError](err); ok && e.Remote.Host != "" {
		return "F8"
	}
	switch {
	case is[*aws.NotConnectedError](err):
		return "D2"
	case is[*aws.DocumentError](err):
		return "D3"
	case is[*aws.StreamURLError](err):
		return "E1"
	case is[*tunnel.UpgradeError](err), is[*tunnel.GarbageError](err):
		return "E2"
	case is[*tunnel.ClosedError](err), is[*tunnel.EndedError](err):
		return "E5"
	case is[*tunnel.HandshakeError](err), is[*tunnel.ProtocolError](err), is[*tunnel.StuckError](err):
		return "E3"
	case is[*tunnel.RefusedError](err), is[*tunnel.UnansweredError](err):
		return "E6"
	}
	return ""
}

// pathCause knows the causes behind the session.
func pathCause(err error) string {
	if e, ok := errors.AsType[*RefusalError](err); ok {
		switch e.Reason {
		case ReasonHost, ReasonRule:
			return "F3"
		case ReasonPort:
			return "F4"
		case ReasonLogin:
			return "F5"
		case ReasonUnresolved:
			return "F6"
		case ReasonRefused:
			return "F7"
		case ReasonDropped:
			return "F8"
		case ReasonNoRoute:
			return "F9"
		case ReasonMute:
			return "F10"
		case ReasonEmpty:
			return "F11"
		case ReasonOther:
			return "F18"
		}
	}
	if e, ok := errors.AsType[*ShutError](err); ok {
		if e.Asked {
			return "F2"
		}
		return "E7"
	}
	if e, ok := errors.AsType[*CertificateError](err); ok {
		switch e.Problem {
		case UnknownAuthority, OtherwiseInvalid:
			return "F14"
		case WrongName:
			return "F15"
		case OutOfDate:
			return "F16"
		}
	}
	switch {
	case is[*front.RefusalError](err):
		return "F21"
	case is[*SilentError](err):
		return "F1"
	case is[*NotProxyError](err):
		return "F2"
	case is[*LoginWantedError](err):
		return "F19"
	case is[*SchemeError](err):
		return "F12"
	case is[*MuteError](err):
		return "F10"
	case is[*CutError](err):
		return "F13"
	case is[*StatusError](err):
		return "F17"
	case is[*SlowError](err):
		return "E3"
	}
	return ""
}
