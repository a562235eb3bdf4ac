package tunnel

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"time"

	"culvert/aws"
	"culvert/internal/say"
)

// FormError is a forward as a user has written it (form) that cannot be parsed.
type FormError struct {
	Form, Problem string
	Dynamic       bool // the form was given to -D
	Named         bool // the form was given to --to
}

func (e *FormError) Error() string { return fmt.Sprintf("forward %q: %s", e.Form, e.Problem) }

// Remedy says how a forward is written.
func (e *FormError) Remedy() string {
	switch {
	case e.Dynamic:
		return "write PORT, ADDRESS:PORT or /path.sock, for instance 1080; -L forwards to one host"
	case e.Named:
		return "write NAME, NAME:PORT, LOCAL:NAME, ADDRESS:LOCAL:NAME or /path.sock:NAME, for instance 15432:orders-db"
	}
	return "write PORT, LOCAL:REMOTE, ADDRESS:LOCAL:REMOTE, LOCAL:HOST:REMOTE or /path.sock:REMOTE, for instance 8080:3128"
}

// PortTakenError is a local address on which another process listens.
type PortTakenError struct {
	Address string
	Holder  string // "squid (pid 4711)"; empty where the system does not tell
}

func (e *PortTakenError) Error() string {
	if e.Holder == "" {
		return fmt.Sprintf("%s is in use by another process", e.Address)
	}
	return fmt.Sprintf("%s is in use by %s", e.Address, e.Holder)
}

// Remedy says which other ports can be chosen.
func (e *PortTakenError) Remedy() string {
	return "stop that process, or choose another local port: 0:REMOTE, --local-port 0 or -D 0 takes any free one"
}

// PrivilegedPortError is a local port that this user may not listen on.
type PrivilegedPortError struct {
	Address string
	Err     error // as the system said it
}

// below reports whether the port is one of those below 1024 that Unix reserves for root.
func (e *PrivilegedPortError) below() bool {
	at, err := netip.ParseAddrPort(e.Address)
	return err == nil && at.Port() < 1024 && runtime.GOOS != "windows"
}

func (e *PrivilegedPortError) Error() string {
	if !e.below() {
		return fmt.Sprintf("listen on %s: the system does not let this user have the port", e.Address)
	}
	return fmt.Sprintf("listen on %s: ports below 1024 are reserved for root on this system", e.Address)
}

func (e *PrivilegedPortError) Unwrap() error { return e.Err }

// Remedy names a port that works.
func (e *PrivilegedPortError) Remedy() string {
	switch {
	case e.below():
		return "choose a local port of 1024 or more; the remote port stays the same: for instance 8443:443"
	case runtime.GOOS == "windows":
		return "choose another local port, or 0:REMOTE for any free one: " +
			"netsh interface ipv4 show excludedportrange protocol=tcp lists those that Windows has set aside"
	}
	return "choose another local port, or 0:REMOTE for any free one; a security module or a sandbox forbids this one"
}

// NoAddressError is a local address that this machine does not have.
type NoAddressError struct {
	Address string
	Err     error // as the system said it
}

func (e *NoAddressError) Error() string {
	return fmt.Sprintf("listen on %s: this machine does not have that address", e.Address)
}
func (e *NoAddressError) Unwrap() error { return e.Err }

// Remedy says which addresses can be listened on.
func (e *NoAddressError) Remedy() string {
	return "leave the address out (127.0.0.1 and, where the system has it, ::1), or name one of this machine's own: 0.0.0.0 is all of them, with --bind"
}

// RefusedError says that the agent could not connect to the remote port.
type RefusedError struct {
	Target aws.Target
	Remote Endpoint
}

func (e *RefusedError) Error() string {
	if e.Remote.Host == "" {
		return fmt.Sprintf("nothing listens on port %d in %s", e.Remote.Port, e.Target)
	}
	return fmt.Sprintf("%s cannot connect to %s", e.Target, e.Remote)
}

// Remedy says what to look at.
func (e *RefusedError) Remedy() string {
	if e.Remote.Host == "" {
		return fmt.Sprintf("check that the service in the task is up and listens on localhost:%d (the agent dials localhost inside the task); see the container's log", e.Remote.Port)
	}
	return fmt.Sprintf("check that %s is up, that its security group admits the task's, and that the port is right", e.Remote)
}

// UpgradeError is an HTTP answer to the websocket upgrade other than 101.
type UpgradeError struct {
	Host   string
	Status int
	Body   string // its first line
}

func (e *UpgradeError) Error() string {
	s := fmt.Sprintf("%s refused the websocket with HTTP status %d", e.Host, e.Status)
	if e.Body != "" {
		s += ": " + e.Body
	}
	return s
}

// Remedy says what the status usually means.
func (e *UpgradeError) Remedy() string {
	switch {
	case e.Status == 407:
		return "the proxy in HTTPS_PROXY wants credentials: write them into its URL"
	case e.Status == 426 || e.Status >= 500:
		return "something between here and AWS does not pass websockets: exempt " + e.Host + " from the intercepting proxy (NO_PROXY)"
	default:
		return "run the command again with --log-level debug and look at the answer"
	}
}

// HandshakeError means that the agent of a session did not complete the handshake.
type HandshakeError struct {
	Target aws.Target
	After  time.Duration
	Cause  error // nil when it did not answer at all
}

func (e *HandshakeError) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("the agent in %s sent no handshake within %s", e.Target, e.After)
	}
	return fmt.Sprintf("handshake with the agent in %s: %v", e.Target, e.Cause)
}

func (e *HandshakeError) Unwrap() error { return e.Cause }

// Remedy names the usual causes.
func (e *HandshakeError) Remedy() string {
	if inner := say.Remedy(e.Cause); inner != "" {
		return inner
	}
	if e.Cause != nil {
		return "try another task of the service, or run culvert with --log-level debug"
	}
	return "the agent hangs or has reached its limit of sessions: end old sessions of this container, or try another task"
}

// GarbageError means that only unreadable frames arrive on a data channel.
type GarbageError struct {
	Frames int
	Last   error
}

func (e *GarbageError) Error() string {
	return fmt.Sprintf("the data channel sends garbage: %d frames in a row cannot be read, the last one: %v", e.Frames, e.Last)
}

func (e *GarbageError) Unwrap() error { return e.Last }

// Remedy points at what may stand between this machine and AWS.
func (e *GarbageError) Remedy() string {
	return "something between here and AWS changes the traffic; try without the proxy in HTTPS_PROXY"
}

// ProtocolError means that the agent does not keep to the protocol: its session is out of sync for good.
type ProtocolError struct{ Err error }

func (e *ProtocolError) Error() string { return fmt.Sprintf("the agent broke the protocol: %v", e.Err) }
func (e *ProtocolError) Unwrap() error { return e.Err }

// Remedy says that another session follows.
func (e *ProtocolError) Remedy() string {
	return "another session is opened; if it happens again, report it with the agent's version"
}

// StuckError means that the agent of a session acknowledges nothing any more although the session's socket is alive.
type StuckError struct {
	Session string
	For     time.Duration
}

func (e *StuckError) Error() string {
	return fmt.Sprintf("session %s has acknowledged nothing for %s", e.Session, e.For.Round(time.Second))
}

// Remedy says what usually causes that.
func (e *StuckError) Remedy() string {
	return "a destination behind it does not read, or its agent is gone; another session takes new connections"
}

// ClosedError means that the service has closed a session (channel_closed); Output is the text that it gave, which may be empty.
type ClosedError struct{ Session, Output string }

func (e *ClosedError) Error() string {
	if e.Output == "" {
		return fmt.Sprintf("the service closed session %s", e.Session)
	}
	return fmt.Sprintf("the service closed session %s: %s", e.Session, e.Output)
}

// Idle reports whether the text says that the account's idle timeout ended the session.
func (e *ClosedError) Idle() bool {
	text := strings.ToLower(e.Output)
	return strings.Contains(text, "inactivity") || strings.Contains(text, "idle")
}

// Refused reports whether the text says that the agent could not connect to the port: agents without mux end their session then.
func (e *ClosedError) Refused() bool {
	return strings.Contains(strings.ToLower(e.Output), "unable to connect to specified port")
}

// channelless reports whether the text says that the agent could not open its own end of the data channel.
func (e *ClosedError) channelless() bool {
	text := strings.ToLower(e.Output)
	return strings.Contains(text, "createdatachannel") || strings.Contains(text, "data channel")
}

// Unresolved reports whether the text says that the task cannot resolve the remote host.
func (e *ClosedError) Unresolved() bool {
	text := strings.ToLower(e.Output)
	return !e.channelless() && (strings.Contains(text, "resolve") || strings.Contains(text, "lookup"))
}

// Forbidden reports whether the text says that the agent refuses the remote host, as the host is on the agent's own list of
// forbidden ones (amazon-ssm-agent 3.3, appconfig/constants.go).
func (e *ClosedError) Forbidden() bool {
	return strings.Contains(strings.ToLower(e.Output), "is forbidden")
}

// Undecrypted returns the refusal of KMS in the text where the agent may not decrypt the session's data key, else nil.
func (e *ClosedError) Undecrypted() *aws.DeniedError {
	if refusal := aws.Refusal(e.Output); refusal != nil && strings.HasPrefix(refusal.Action, "kms:") {
		return refusal
	}
	return nil
}

// Remedy depends on the text that the service or the agent gave.
func (e *ClosedError) Remedy() string {
	text := strings.ToLower(e.Output)
	refusal := e.Undecrypted()
	switch {
	case refusal != nil:
		return refusal.Remedy()
	case e.Refused():
		return "nothing listens on the port: check that the service in the task is up and listens on localhost (the agent dials localhost inside the task); see the container's log"
	case e.channelless():
		return "the task role lacks ssmmessages:CreateDataChannel or ssmmessages:OpenDataChannel, its credentials expired, or the task does not reach ssmmessages"
	case e.Idle():
		return "the account's idle timeout ended it; --keep-alive 1m keeps sessions open while nothing flows"
	case e.Forbidden():
		return "forward to another host: agents forward to no instance metadata (169.254.169.254), no DNS, time and licence address of AWS, and neither to the first four addresses nor to the last one of the VPC's address blocks"
	case e.Unresolved() || strings.Contains(text, "host"):
		return "the task cannot use that remote host: check its name and that the task's VPC resolves and reaches it"
	default:
		return "nothing to do: another session is opened as long as the tunnel is wanted"
	}
}

// EndedError means that AWS does not know a session any more.
type EndedError struct{ Session string }

func (e *EndedError) Error() string { return fmt.Sprintf("session %s is over", e.Session) }

// Remedy says that no remedy is needed.
func (e *EndedError) Remedy() string {
	return "nothing to do: another session is opened as long as the tunnel is wanted"
}

// ResumeError means that AWS does not let us resume a session; another session takes its place.
type ResumeError struct {
	Session string
	Err     error
}

func (e *ResumeError) Error() string { return fmt.Sprintf("resume %s: %v", e.Session, e.Err) }
func (e *ResumeError) Unwrap() error { return e.Err }

// Remedy is the remedy of the refusal.
func (e *ResumeError) Remedy() string {
	if inner := say.Remedy(e.Err); inner != "" {
		return inner
	}
	return "allow ssm:ResumeSession on the caller's sessions; until then every lost socket costs the connections on it"
}

// AnswerError means that a connection's client was refused what it connected for: by a proxy's own answer, by a TLS alert, or by
// a database that refused its login.
type AnswerError struct {
	Protocol Protocol
	Status   int    // the HTTP status; 0 for other protocols
	Code     string // X-Squid-Error, number of the TLS alert, code of SOCKS, SQLSTATE, error number of MySQL; empty when there was none
	Host     string // the host that the proxy was asked for
	By       string // who sent the TLS alert: client or server
}

func (e *AnswerError) Error() string {
	switch {
	case e.Protocol == ProtocolTLS:
		number, _ := strconv.ParseUint(e.Code, 10, 8)
		return fmt.Sprintf("alert %s of the %s: %s", e.Code, e.By, strings.TrimPrefix(tls.AlertError(number).Error(), "tls: "))
	case e.Protocol == ProtocolSOCKS || e.Protocol == ProtocolSOCKS4:
		return fmt.Sprintf("%s: refused with code %s", e.Protocol, e.Code)
	case e.Status == 0:
		return fmt.Sprintf("%s refused the login: error %s", e.Protocol, e.Code)
	case e.Code == "":
		return strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)))
	}
	return fmt.Sprintf("%d %s", e.Status, e.Code)
}

// Remedy says where to look: at the client, the server or the proxy that refused.
func (e *AnswerError) Remedy() string {
	switch {
	case e.Protocol == ProtocolTLS && e.By == "client":
		return "look at the client: it does not accept the server's certificate or its version of TLS"
	case e.Protocol == ProtocolTLS:
		return "look at the server: it does not accept the client's certificate, the name it asked for, or its version of TLS"
	case e.Protocol == ProtocolSOCKS || e.Protocol == ProtocolSOCKS4:
	case e.Status == 0:
		return "check the user, the password, the database's name and the server's list of hosts; its log says more"
	}
	return "the proxy refuses " + e.Host + ": the doctor says why, given --probe URL"
}

// final reports whether the connection was of no use after the refusal, which is so for all protocols but HTTP.
func (e *AnswerError) final() bool { return e.Status == 0 }

// HalfCloseError means that a connection was ended because its client had finished sending and waited for an answer that never
// came.
type HalfCloseError struct{ After time.Duration }

func (e *HalfCloseError) Error() string {
	return fmt.Sprintf("the client finished sending and got no answer for %s: agents have no half-close, so the far side cannot have learnt that all was sent", e.After)
}

// Remedy says what works without half-close.
func (e *HalfCloseError) Remedy() string {
	return "let the client keep its side open until it has the answer (nc without -N), or use a protocol that says where what is sent ends"
}

// closedError is the service's channel_closed as the channel receives it, without the session's id.
type closedError struct{ output string }

func (e *closedError) Error() string { return "channel closed: " + e.output }

var (
	errStopped   = errors.New("stopped")
	errReconnect = errors.New("reconnect was asked for")
	errDrained   = errors.New("replaced by another session")
)
