package doctor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"culvert/tunnel"
)

// AdviceError is something that works now and will make trouble.
type AdviceError struct{ ID, Problem, Advice string }

func (e *AdviceError) Error() string { return e.Problem }

// Remedy is the advice.
func (e *AdviceError) Remedy() string { return e.Advice }

// SlowError is something that neither succeeded nor failed in the time it was given.
type SlowError struct {
	What   string
	Within time.Duration
}

func (e *SlowError) Error() string { return fmt.Sprintf("no sign of %s within %s", e.What, e.Within) }

// Remedy is to look closer.
func (e *SlowError) Remedy() string {
	return "try again with --wait 2m; if it stays so, run it with --log-level debug"
}

// LateError is a check that had not ended when its time was over.
type LateError struct {
	Check string
	After time.Duration // that it was given; 0 when its turn did not come
	Err   error
}

func (e *LateError) Error() string {
	if e.After == 0 {
		return "there was no time left for " + e.Check
	}
	return fmt.Sprintf("%s did not come to an end within %s", e.Check, brief(e.After))
}
func (e *LateError) Unwrap() error { return e.Err }

// Remedy is to give it more.
func (e *LateError) Remedy() string {
	return "allow more time with --wait 2m; if it stays so, run it with --log-level debug"
}

// ShutError is a far end that took a connection and closed it without a word.
type ShutError struct {
	Remote tunnel.Endpoint
	Asked  bool // it was sent an HTTP request first
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

// SilentError is a far end that takes a connection and says nothing.
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

// NotProxyError is a server that is not the HTTP proxy that should be there.
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

// LoginWantedError is a proxy that lets nobody pass without a user, or not the one that was given.
type LoginWantedError struct {
	Remote tunnel.Endpoint
	Given  *Login
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

// CertificateError is a certificate that clients will refuse.
type CertificateError struct {
	Host    string
	Problem CertificateProblem
	Subject string
	Issuer  string
	Names   []string // that it is good for
	Expired time.Time
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

// SchemeError is http:// spoken to a TLS port, or https:// to one without.
type SchemeError struct {
	Host string // host:port
	TLS  bool   // what the port speaks
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

// CutError is a connection that ended before its answer was whole; Problem says at what point, as the end of a sentence.
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

// MuteError is a server that takes the connection and then says nothing.
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

// StatusError is a server that was reached and answers with a status that is no success.
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

// inWords is an endpoint in a sentence.
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

// quoted makes a stranger's words safe to show: without control characters, and not too many.
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
