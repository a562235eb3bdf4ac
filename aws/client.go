// Package aws answers two questions: what can be reached in an account, and may I have a session?
package aws

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
)

// Options say which account and region to use, and how.
type Options struct {
	Profile, Region string
	Endpoint        string // overrides every service's endpoint, as AWS_ENDPOINT_URL does
	RoleARN         string // assumed through GitHub's OIDC token where that environment is there, else through STS
	Log             *slog.Logger
	// Own are addresses that culvert itself will listen on: never used as a proxy, whatever HTTPS_PROXY says.
	Own []netip.AddrPort
}

// Client talks to one account and region. Its methods are safe for concurrent use.
type Client struct{}

// Connect resolves region and credentials (it calls no service beyond what the credentials need).
func Connect(ctx context.Context, o Options) (*Client, error) { panic("being built") }

// Region, Profile as resolved.
func (c *Client) Region() string  { panic("being built") }
func (c *Client) Profile() string { panic("being built") }

// Identity is who the credentials belong to.
type Identity struct{ Account, ARN, UserID string }

// Identity asks STS.
func (c *Client) Identity(ctx context.Context) (Identity, error) { panic("being built") }

// Own adds an address that culvert listens on, see Options.Own.
func (c *Client) Own(a netip.AddrPort) { panic("being built") }

// Proxy is the proxy for a request, from HTTPS_PROXY and NO_PROXY, never one of our own listeners.
func (c *Client) Proxy(r *http.Request) (*url.URL, error) { panic("being built") }

// Session is what StartSession and ResumeSession answer. Token is a secret and never logged.
type Session struct{ ID, StreamURL, Token string }

// Overridden reports whether the SSM endpoint was overridden (flag, environment or profile).
func (c *Client) StartSession(ctx context.Context, t Target, d Document) (Session, error) {
	panic("being built")
}

// ResumeSession asks for a new token; an answer without one means that the session is over.
func (c *Client) ResumeSession(ctx context.Context, id string) (Session, error) { panic("being built") }

// TerminateSession ends a session; one that is already over is no error.
func (c *Client) TerminateSession(ctx context.Context, id string) error { panic("being built") }

// CheckStreamURL refuses a stream URL that is not wss://ssmmessages.<region>.<suffix>, unless the SSM endpoint was overridden.
func (c *Client) CheckStreamURL(u string) error { panic("being built") }

// SignUpgrade adds SigV4 headers (service ssmmessages) to the websocket upgrade request with live credentials.
func (c *Client) SignUpgrade(ctx context.Context, r *http.Request) error { panic("being built") }

// GenerateDataKey asks KMS for the 64 bytes that an encrypted session needs.
func (c *Client) GenerateDataKey(ctx context.Context, key string, encryptionContext map[string]string) (plain, sealed []byte, err error) {
	panic("being built")
}

// Discover lists the account.
func (c *Client) Discover(ctx context.Context) (*Catalog, error) { panic("being built") }

// Successor picks a ready container for t: another running task of the same service and container where there is one,
// else t itself if it is still ready. Picks at random among equals.
func (c *Client) Successor(ctx context.Context, t Target) (Target, error) { panic("being built") }

// Check describes t's task: nil while it runs and is meant to go on, else a typed error (*TaskGoneError, …).
func (c *Client) Check(ctx context.Context, t Target) error { panic("being built") }
