package aws

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Temporary reports whether trying again later may help, without anybody changing anything.
func Temporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

// NoRegionError means that neither flag, environment nor profile names a region.
type NoRegionError struct{ Profile string }

func (e *NoRegionError) Error() string {
	return fmt.Sprintf("no AWS region: neither the environment nor profile %s names one", e.Profile)
}

// Remedy says where a region can be given.
func (e *NoRegionError) Remedy() string {
	return "pass --region, set AWS_REGION, or run: " + command("aws", []string{"configure", "set", "region", "REGION", "--profile", e.Profile})
}

// RegionError means that a region is not written like a region of AWS.
type RegionError struct{ Region, Profile string }

func (e *RegionError) Error() string { return fmt.Sprintf("%q is no AWS region", e.Region) }

// Remedy shows how a region is written.
func (e *RegionError) Remedy() string {
	return "write --region as eu-west-1 (" + Shell{Profile: e.Profile}.AWS("account", "list-regions") + " names them all)"
}

// NoProfileError means that the profile asked for is in neither of AWS's files.
type NoProfileError struct {
	Profile string
	Known   []string // nearest first
	Err     error
}

func (e *NoProfileError) Error() string { return fmt.Sprintf("no AWS profile %q", e.Profile) }
func (e *NoProfileError) Unwrap() error { return e.Err }

// Remedy lists the profiles that there are.
func (e *NoProfileError) Remedy() string {
	if len(e.Known) == 0 {
		return "run: " + command("aws", []string{"configure", "--profile", e.Profile}) + " (or aws configure sso), or drop --profile and AWS_PROFILE"
	}
	return "profiles there are: " + strings.Join(e.Known, ", ")
}

// ConfigError means that AWS's configuration cannot be used as it is.
type ConfigError struct {
	Profile string
	Err     error
}

func (e *ConfigError) Error() string { return fmt.Sprintf("read the AWS configuration: %v", e.Err) }
func (e *ConfigError) Unwrap() error { return e.Err }

// Remedy says which files to look at.
func (e *ConfigError) Remedy() string {
	return fmt.Sprintf("correct profile %s in ~/.aws/config and ~/.aws/credentials (or the files that AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, AWS_CA_BUNDLE and REQUESTS_CA_BUNDLE name)", e.Profile)
}

// EndpointError means that an endpoint is no http or https URL, or that it has a user name or password in it; then URL is
// empty.
type EndpointError struct {
	Setting string // the setting that has the endpoint; empty for --endpoint-url
	URL     string
	Secret  bool
}

func (e *EndpointError) Error() string {
	if e.Secret {
		return "an endpoint URL cannot hold a user name or a password"
	}
	return fmt.Sprintf("endpoint %q is no URL", e.URL)
}

// Remedy shows how an endpoint is written.
func (e *EndpointError) Remedy() string {
	return "write " + orWord(e.Setting, "--endpoint-url") + " as http://HOST:PORT or https://HOST[:PORT]"
}

// ProxyURLError means that the proxy variables of the environment cannot be used.
type ProxyURLError struct {
	Host string // for which a proxy was looked up
	Err  error
}

func (e *ProxyURLError) Error() string {
	return fmt.Sprintf("find the proxy for %s: %v", e.Host, e.Err)
}
func (e *ProxyURLError) Unwrap() error { return e.Err }

// Remedy shows how a proxy is written.
func (e *ProxyURLError) Remedy() string {
	return "write HTTPS_PROXY as http://HOST:PORT (or https://, socks5://, socks5h://), with a user as http://USER:PASSWORD@HOST:PORT, " + percentEncoded +
		"; or name " + e.Host + " in NO_PROXY if it needs no proxy"
}

// ClockError means that this machine's clock differs too much from AWS's for its signatures to be accepted.
type ClockError struct {
	Ahead time.Duration // how far AWS's clock is ahead of ours; 0 when not known
	Err   error
}

func (e *ClockError) Error() string {
	if e.Ahead == 0 {
		return "AWS rejects the signature's time: this machine's clock is wrong"
	}
	side := "behind"
	if e.Ahead < 0 {
		side = "ahead"
	}
	return fmt.Sprintf("this machine's clock is %s %s of AWS's", e.Ahead.Abs().Round(time.Second), side)
}
func (e *ClockError) Unwrap() error { return e.Err }

// Remedy sets the clock.
func (e *ClockError) Remedy() string {
	return "set the clock (timedatectl set-ntp true; in a virtual machine restart its time service)"
}

// UnreachableError means that no connection to an endpoint is possible, or none that can be used.
type UnreachableError struct {
	Address string // host:port
	Proxy   string // host:port of the proxy in use for it; empty without one
	Trust   bool   // the endpoint's certificate is not trusted
	Unknown bool   // the name does not resolve
	Stream  bool   // it is the endpoint of the sessions' websockets, not of the API
	AtProxy bool   // the connection to the proxy failed
	Refused int    // HTTP status with which the proxy refuses; 407 for a SOCKS proxy that wants another login; 0 when it does not refuse
	Scheme  string // the scheme that the endpoint, or the proxy, wants instead; empty when it is not the scheme that is wrong
	Err     error

	ProxyScheme string   // http, https, socks5 or socks5h; empty without a proxy
	ProxyUser   bool     // the proxy's URL has a user in it
	Logins      []string // of a 407: the ways to log in that the proxy takes; empty when it does not say
	OtherName   bool     // the certificate is for other names than the address
}

func (e *UnreachableError) Error() string {
	via := ""
	if e.Proxy != "" {
		via = " through the proxy " + e.Proxy
	}
	return fmt.Sprintf("reach %s%s: %v", e.Address, via, e.Err)
}
func (e *UnreachableError) Unwrap() error { return e.Err }

// Temporary is false for a certificate, a wrong scheme, or a proxy that wants a login: these do not change by themselves.
func (e *UnreachableError) Temporary() bool {
	return !e.Trust && e.Scheme == "" && e.Refused != http.StatusProxyAuthRequired
}

// Remedy depends on what went wrong.
func (e *UnreachableError) Remedy() string {
	switch {
	case e.OtherName && e.Stream:
		return fmt.Sprintf("name %s in --stream-endpoint by a name that its certificate has; an address of a VPC endpoint is VPCE.ssmmessages.REGION.vpce.amazonaws.com", e.Address)
	case e.Trust && e.AtProxy:
		return fmt.Sprintf("point AWS_CA_BUNDLE at the certificates (PEM) of the authority that the proxy %s has its own from, and of AWS's", e.Proxy)
	case e.Trust:
		return "something between here and AWS shows its own certificate: point AWS_CA_BUNDLE at its authority's certificates (PEM)"
	case e.Scheme != "" && e.AtProxy:
		return fmt.Sprintf("write HTTPS_PROXY as %s://%s", e.Scheme, e.Proxy)
	case e.Scheme != "":
		return fmt.Sprintf("write the endpoint as %s://%s (--endpoint-url, AWS_ENDPOINT_URL)", e.Scheme, e.Address)
	case e.Refused == http.StatusProxyAuthRequired:
		return e.loginRemedy()
	case e.Refused != 0:
		return fmt.Sprintf("let the proxy %s allow connections to %s, or name that in NO_PROXY if it needs no proxy", e.Proxy, e.Address)
	case e.Proxy != "":
		return fmt.Sprintf("check HTTPS_PROXY (%s), or name %s in NO_PROXY if it needs no proxy", e.Proxy, e.Address)
	case e.Stream:
		return fmt.Sprintf("allow this machine to connect to %s: it carries the sessions and is another host than the API's, often missing in allow-lists; or set HTTPS_PROXY; or, where only a VPC endpoint without private DNS leads there, pass its address with --stream-endpoint", e.Address)
	case e.Unknown:
		return "check the region's spelling, the DNS server, and whether HTTPS_PROXY must be set for " + e.Address
	}
	return fmt.Sprintf("check that this machine may connect to %s (network, VPN, firewall), or set HTTPS_PROXY", e.Address)
}

// percentEncoded says how a user name and a password are written in a URL.
const percentEncoded = "percent-encoded (@ is %40, : is %3A, / is %2F, # is %23, % is %25, \\ is %5C)"

// loginRemedy is for a proxy that wants a login; it depends on the ways to log in that the proxy takes.
func (e *UnreachableError) loginRemedy() string {
	exempt := fmt.Sprintf(", or name %s in NO_PROXY if it needs no proxy", e.Address)
	if len(e.Logins) > 0 && !slices.Contains(e.Logins, "basic") {
		return fmt.Sprintf("the proxy takes only %s, which culvert does not speak (it speaks basic): run a proxy that logs in to it on this machine, cntlm (NTLM) or px (NTLM, Negotiate, Kerberos), "+
			"and set HTTPS_PROXY to that one's address%s", strings.Join(e.Logins, ", "), exempt)
	}
	form := fmt.Sprintf("%s://USER:PASSWORD@%s", orWord(e.ProxyScheme, "http"), e.Proxy)
	if e.ProxyUser {
		return fmt.Sprintf("correct the user and password in HTTPS_PROXY, which the proxy does not take: %s, both %s%s", form, percentEncoded, exempt)
	}
	return fmt.Sprintf("write the proxy's user and password into HTTPS_PROXY: %s, both %s%s", form, percentEncoded, exempt)
}

// OverdueError is the error that was in the way (Err) when the caller's time was over (Over).
type OverdueError struct{ Err, Over error }

func (e *OverdueError) Error() string   { return e.Err.Error() }
func (e *OverdueError) Unwrap() []error { return []error{e.Err, e.Over} }

// ThrottledError means that AWS refused a call, with all of its attempts, because too many are made.
type ThrottledError struct {
	Operation string
	Attempts  int // 0 when not known
	Err       error
}

func (e *ThrottledError) Error() string {
	if e.Attempts == 0 {
		return e.Operation + " is throttled"
	}
	return fmt.Sprintf("%s is throttled, after %d attempts", e.Operation, e.Attempts)
}
func (e *ThrottledError) Unwrap() error { return e.Err }

// Temporary is true.
func (e *ThrottledError) Temporary() bool { return true }

// Remedy is to wait.
func (e *ThrottledError) Remedy() string {
	return "wait and try again; others in the account and region share the limit (a longer --refresh asks less often)"
}

// FaultError is an answer of AWS that no other error type is for.
type FaultError struct {
	Operation, Code, Message string
	Status                   int // of the HTTP answer, 0 when not known
	Request                  string
	Err                      error
}

func (e *FaultError) Error() string { return fmt.Sprintf("%s: %s: %s", e.Operation, e.Code, e.Message) }
func (e *FaultError) Unwrap() error { return e.Err }

// Temporary is true for errors on AWS's side.
func (e *FaultError) Temporary() bool { return e.Status >= 500 }

// Remedy depends on whose fault it is.
func (e *FaultError) Remedy() string {
	request := ""
	if e.Request != "" {
		request = " (AWS request id " + e.Request + ")"
	}
	if e.Temporary() {
		return "AWS reports a fault of its own: try again, and look at https://health.aws.amazon.com/health/status" + request
	}
	return "AWS refuses the request as it is: --log-level debug shows it" + request
}

// AnswerError means that something other than AWS has answered, or that AWS's answer is not as documented.
type AnswerError struct {
	Operation string
	Address   string // host:port; empty when not known
	Status    int
	Problem   string
	Err       error
}

func (e *AnswerError) Error() string {
	text := e.Operation
	if e.Address != "" {
		text += " at " + e.Address
	}
	if e.Status != 0 {
		text += fmt.Sprintf(" (HTTP %d)", e.Status)
	}
	return text + ": the answer makes no sense: " + e.Problem
}
func (e *AnswerError) Unwrap() error { return e.Err }

// Remedy names what commonly answers in AWS's place.
func (e *AnswerError) Remedy() string {
	return "check --endpoint-url and AWS_ENDPOINT_URL, and whether a proxy or a sign-in page of the network answers in AWS's place"
}
