package doctor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"culvert/tunnel"
)

// AdviceError is something that works, but may make trouble; or that nobody has looked at. ID is that of the cause.
type AdviceError struct{ ID, Problem, Advice string }

func (e *AdviceError) Error() string { return e.Problem }

// Remedy is the advice.
func (e *AdviceError) Remedy() string { return e.Advice }

// SlowError means that something neither succeeded nor failed within its time.
type SlowError struct {
	What   string // what was waited for
	Within time.Duration
}

func (e *SlowError) Error() string { return fmt.Sprintf("no sign of %s within %s", e.What, e.Within) }

// Remedy is to give it more time, or to look closer.
func (e *SlowError) Remedy() string {
	return "try again with --wait 2m; if it stays so, run it with --log-level debug"
}

// LateError means that a check had not ended when its time was over.
type LateError struct {
	Check string
	After time.Duration // how long the check ran; 0 when it never began
	Err   error         // the error with which the check ended then; may be nil
}

func (e *LateError) Error() string {
	if e.After == 0 {
		return "there was no time left for " + e.Check
	}
	return fmt.Sprintf("%s did not come to an end within %s", e.Check, brief(e.After))
}
func (e *LateError) Unwrap() error { return e.Err }

// Remedy is to give the check more time.
func (e *LateError) Remedy() string {
	return "allow more time with --wait 2m; if it stays so, run it with --log-level debug"
}

// ShutError means that a far end accepted a connection and closed it without having sent anything.
type ShutError struct {
	Remote tunnel.Endpoint
	Asked  bool // the far end was sent a request first
	Err    error
}

func (e *ShutError) Error() string {
	if e.Asked {
		return fmt.Sprintf("%s closes the connection when it is asked for a page: it does not speak HTTP", inWords(e.Remote))
	}
	return fmt.Sprintf("%s takes the connection and closes it at once", inWords(e.Remote))
}
func (e *ShutError) Unwrap() error { return e.Err }

// Remedy says where to look.
func (e *ShutError) Remedy() string {
	if e.Asked {
		return "forward to the proxy's port; look at the task definition for what listens on this one"
	}
	return fmt.Sprintf("check that a server listens on %s and admits this client; its log says why it hangs up", inWords(e.Remote))
}

// SilentError means that a far end accepts a connection and then sends nothing.
type SilentError struct {
	Remote tunnel.Endpoint
	After  time.Duration
}

func (e *SilentError) Error() string {
	return fmt.Sprintf("%s takes connections but did not answer an HTTP request within %s", inWords(e.Remote), e.After)
}

// Remedy says where to look.
func (e *SilentError) Remedy() string {
	return "it is no HTTP proxy, wants TLS, or hangs: check the port, and the container's log"
}

// NotProxyError means that a server other than the expected HTTP proxy answers.
type NotProxyError struct {
	Remote tunnel.Endpoint
	Answer Answer
}

func (e *NotProxyError) Error() string {
	return fmt.Sprintf("%s answers, but not as an HTTP proxy: it is %s", inWords(e.Remote), e.Answer)
}

// Remedy says what to change.
func (e *NotProxyError) Remedy() string {
	if e.Answer.Protocol == TLS {
		return "a proxy that wants TLS (https_port) cannot be used through http://: forward to its http_port"
	}
	return fmt.Sprintf("forward to the port that the proxy listens on (%s's task definition and the proxy's configuration say which), or name another --container; for a server that is no proxy use culvert with --probe tcp", orElse(e.Remote.Host, "the container"))
}

// LoginWantedError means that a proxy wants a user and password, or others than it was given.
type LoginWantedError struct {
	Remote tunnel.Endpoint
	Given  *Login // nil when it was given none
}

func (e *LoginWantedError) Error() string {
	if e.Given != nil {
		return fmt.Sprintf("the proxy on %s does not take the user %s with this password", inWords(e.Remote), quoted(e.Given.User))
	}
	return fmt.Sprintf("the proxy on %s wants a user and password", inWords(e.Remote))
}

// Remedy names the flags.
func (e *LoginWantedError) Remedy() string {
	if e.Given != nil {
		return "correct --proxy-user, and CULVERT_PROXY_PASSWORD or the file of --proxy-password-file"
	}
	return "pass --proxy-user USER, with the password in CULVERT_PROXY_PASSWORD or in the file of --proxy-password-file"
}

// CertificateError means that a server has a certificate that clients will refuse.
type CertificateError struct {
	Host    string
	Problem CertificateProblem
	Subject string
	Issuer  string
	Names   []string  // the names for which the certificate is valid
	Expired time.Time // the end of its validity
	Err     error
}

// CertificateProblem is why a certificate is refused.
type CertificateProblem int

// The problems.
const (
	UnknownAuthority CertificateProblem = iota
	WrongName
	OutOfDate
	OtherwiseInvalid
)

func (e *CertificateError) Error() string {
	text := fmt.Sprintf("%s is reached, but its certificate (%s, issued by %s) ", e.Host, quoted(e.Subject), quoted(e.Issuer))
	switch e.Problem {
	case UnknownAuthority:
		return text + "comes from an authority that is not trusted here"
	case WrongName:
		return text + "is for " + orElse(strings.Join(e.Names, ", "), "no name at all")
	case OutOfDate:
		return text + "is not valid at this time: it ends " + e.Expired.UTC().Format(time.RFC3339)
	case OtherwiseInvalid:
	}
	return text + "is not valid: " + e.Err.Error()
}
func (e *CertificateError) Unwrap() error { return e.Err }

// Remedy says what a client needs.
func (e *CertificateError) Remedy() string {
	switch e.Problem {
	case UnknownAuthority:
		return "trust its authority in the client (SSL_CERT_FILE for culvert, curl --cacert, NODE_EXTRA_CA_CERTS, Playwright ignoreHTTPSErrors); the proxy does not touch TLS"
	case WrongName:
		return "use one of these names in the URL, or give the server a certificate for " + e.Host
	case OutOfDate:
		return "renew the server's certificate (or set this machine's clock)"
	case OtherwiseInvalid:
	}
	return "correct the server's certificate"
}

// SchemeError means that http:// was used for a port that wants TLS, or https:// for one without TLS.
type SchemeError struct {
	Host string // host:port
	TLS  bool   // the port wants TLS
}

func (e *SchemeError) Error() string {
	if e.TLS {
		return e.Host + " is reached, but it wants TLS and was asked in plain HTTP"
	}
	return e.Host + " is reached, but it speaks plain HTTP and was asked with TLS"
}

// Remedy is the other scheme.
func (e *SchemeError) Remedy() string {
	if e.TLS {
		return "use https://" + e.Host
	}
	return "use http://" + e.Host
}

// CutError means that a connection ended before the answer was complete; Problem says at what point, as the end of a sentence.
type CutError struct {
	Host, Problem string
	Err           error
}

func (e *CutError) Error() string {
	return fmt.Sprintf("%s is reached, but %s: %v", e.Host, e.Problem, e.Err)
}
func (e *CutError) Unwrap() error { return e.Err }

// Remedy says who cuts connections.
func (e *CutError) Remedy() string {
	return "the destination, or a firewall that looks at the name in the TLS handshake, hangs up: ask the logs of both"
}

// MuteError means that a server behind the far end accepts the connection and then sends nothing in answer to Asked.
type MuteError struct {
	Host, Asked string
	After       time.Duration
}

func (e *MuteError) Error() string {
	return fmt.Sprintf("%s takes the connection, but says nothing to %s within %s", e.Host, e.Asked, brief(e.After))
}

// Remedy says where to look.
func (e *MuteError) Remedy() string {
	return "the way there works: ask its own log why it does not answer (its security group is not the reason)"
}

// StatusError means that a server was reached and answers with a status from 400 on.
type StatusError struct {
	URL    string
	Status int
	Server string
}

func (e *StatusError) Error() string {
	text := e.URL + ": the server answers " + strconv.Itoa(e.Status)
	if e.Server != "" {
		text += " (" + quoted(e.Server) + ")"
	}
	return text
}

// Remedy says that the path is fine.
func (e *StatusError) Remedy() string {
	return "the path works: it is the server's own answer; probe a URL that answers with a status below 400"
}

// inWords names an endpoint in a sentence.
func inWords(e tunnel.Endpoint) string {
	if e.Host == "" {
		return fmt.Sprintf("port %d of the task", e.Port)
	}
	return e.String()
}

func orElse(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}

// quoted makes text from a server safe to show: with control characters escaped, and not too long.
func quoted(text string) string {
	if len(text) > 120 {
		text = text[:120] + "…"
	}
	q := strconv.Quote(text)
	if inner := q[1 : len(q)-1]; inner == text {
		return text
	}
	return q
}
