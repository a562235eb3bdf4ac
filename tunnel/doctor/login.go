package doctor

import (
	"encoding/base64"
	"log/slog"
	"net/url"
	"strings"
)

// Login is a user and password for a proxy. A nil *Login is none. Printed and logged, it is the user's name alone.
type Login struct {
	User     string
	password string
}

// maxLogin bounds a user's name and a password, which SOCKS sends with a length of one byte (RFC 1929).
const maxLogin = 255

// LoginError means that a user or a password cannot be sent to a proxy.
type LoginError struct{ Problem string }

func (e *LoginError) Error() string { return e.Problem }

// Remedy says what a user and a password may be.
func (e *LoginError) Remedy() string {
	return "use up to 255 bytes without line breaks or other control characters, and no colon in the user's name"
}

// NewLogin returns a login. The error is a *LoginError for a user or password that HTTP (RFC 7617) or SOCKS (RFC 1929) cannot
// carry.
func NewLogin(user, password string) (*Login, error) {
	for what, text := range map[string]string{"the proxy's user": user, "the proxy's password": password} {
		switch {
		case text == "":
			return nil, &LoginError{Problem: what + " is empty"}
		case len(text) > maxLogin:
			return nil, &LoginError{Problem: what + " is too long"}
		case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return nil, &LoginError{Problem: what + " has a control character in it"}
		}
	}
	if strings.Contains(user, ":") {
		return nil, &LoginError{Problem: "the proxy's user has a colon in it"}
	}
	return &Login{User: user, password: password}, nil
}

// URL is the URL of a proxy at an address, with user and password in it.
func (l *Login) URL(scheme, address string) string {
	if l == nil {
		return scheme + "://" + address
	}
	return scheme + "://" + encoded(l.User) + ":" + encoded(l.password) + "@" + address
}

// encoded escapes a part of a URL so that it has no character that means something to a shell: net/url alone would leave $, & and
// ; in it.
func encoded(part string) string { return strings.ReplaceAll(url.QueryEscape(part), "+", "%20") }

// Masked is URL with the password masked, to be shown.
func (l *Login) Masked(scheme, address string) string {
	if l == nil {
		return l.URL(scheme, address)
	}
	return scheme + "://" + encoded(l.User) + ":***@" + address
}

// Secrets are the forms in which the password may occur in output: as it is, as a part of a URL, and in a header.
func (l *Login) Secrets() []string {
	if l == nil {
		return nil
	}
	secrets := []string{l.password, l.basic()}
	if in := encoded(l.password); in != l.password {
		secrets = append(secrets, in)
	}
	return secrets
}

func (l *Login) basic() string {
	return base64.StdEncoding.EncodeToString([]byte(l.User + ":" + l.password))
}

// header is the header line of a request with the login; empty for a nil *Login.
func (l *Login) header() string {
	if l == nil {
		return ""
	}
	return "Proxy-Authorization: Basic " + l.basic() + "\r\n"
}

// String is the user's name.
func (l *Login) String() string {
	if l == nil {
		return ""
	}
	return l.User
}

// GoString is String.
func (l *Login) GoString() string { return l.String() }

// LogValue is the user's name.
func (l *Login) LogValue() slog.Value { return slog.StringValue(l.String()) }
