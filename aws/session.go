package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"culvert/internal/say"
)

// Session is the answer of StartSession and ResumeSession. Token is a secret, as is a presigned stream URL: neither is printed,
// logged or encoded.
type Session struct {
	ID        string
	StreamURL string `json:"-"`
	Token     string `json:"-"`
}

// String returns the id.
func (s Session) String() string { return "session " + s.ID }

// GoString returns the id.
func (s Session) GoString() string { return s.String() }

// Format prints the id for every verb.
func (s Session) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, s.String()) }

// LogValue logs the id and the host of the stream.
func (s Session) LogValue() slog.Value {
	host := ""
	if u, err := url.Parse(s.StreamURL); err == nil {
		host = u.Host
	}
	return slog.GroupValue(slog.String("id", s.ID), slog.String("stream", host))
}

// StartSession opens a session to a container; t must have a RuntimeID.
func (c *Client) StartSession(ctx context.Context, t Target, d Document) (Session, error) {
	if t.Cluster == "" || t.Task == "" || t.RuntimeID == "" {
		return Session{}, &NotReadyError{Target: t, Cause: CauseNotStarted}
	}
	reason := c.pipeline.reason()
	out, err := c.ssm.StartSession(ctx, &ssm.StartSessionInput{
		Target: sdk.String(t.ID()), DocumentName: &d.Name, Parameters: d.Parameters, Reason: &reason,
	})
	if err != nil {
		explained := c.explain(ctx, err, about{Cluster: t.Cluster, Document: d.Name, Resource: t.ID(), Target: t})
		if _, silent := errors.AsType[*NotConnectedError](explained); silent {
			c.unreached.add(t.ID())
		}
		return Session{}, fmt.Errorf("start session: %w", explained)
	}
	c.unreached.remove(t.ID())
	c.learnSkew(out.ResultMetadata)
	s := Session{ID: sdk.ToString(out.SessionId), StreamURL: sdk.ToString(out.StreamUrl), Token: sdk.ToString(out.TokenValue)}
	if err := s.check("ssm:StartSession"); err != nil {
		return Session{}, fmt.Errorf("start session: %w", err)
	}
	return s, nil
}

const (
	maxSessionID = 96   // characters (SSM API Reference, StartSession)
	maxToken     = 4096 // characters; for a stream URL as well. AWS's have some hundred
)

// check refuses answers that AWS never gives, as the id appears in logs, records and commands to be pasted, and token and URL
// are passed on. Its error quotes none of them.
func (s Session) check(operation string) error {
	var problem string
	switch {
	case s.ID == "" || s.StreamURL == "" || s.Token == "":
		problem = "session id, stream URL or token is missing"
	case !isSessionID(s.ID):
		problem = "the session id is none of AWS's"
	case !isWord(s.Token):
		problem = "the token is none of AWS's"
	case !isWord(s.StreamURL):
		problem = "the stream URL is none of AWS's"
	default:
		return nil
	}
	return &AnswerError{Operation: operation, Problem: problem}
}

// isSessionID reports whether an id has the form of session ids: the name of whoever has opened it, a dash, and letters and
// digits.
func isSessionID(id string) bool {
	return id != "" && len(id) <= maxSessionID && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.@=,+-", r)
	})
}

// isWord reports whether a text is printable ASCII without blanks and not longer than a token may be.
func isWord(text string) bool {
	return len(text) <= maxToken && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// ResumeSession asks for a new token. A Session without a token means that the session is over, or that the service does not
// know it; neither is an error.
func (c *Client) ResumeSession(ctx context.Context, id string) (Session, error) {
	out, err := c.ssm.ResumeSession(ctx, &ssm.ResumeSessionInput{SessionId: &id})
	if isOver(err) {
		return Session{ID: id}, nil
	}
	if err != nil {
		return Session{}, fmt.Errorf("resume session: %w", c.explain(ctx, err, about{Resource: c.arn("ssm", "session/"+id)}))
	}
	c.learnSkew(out.ResultMetadata)
	s := Session{ID: id, StreamURL: sdk.ToString(out.StreamUrl), Token: sdk.ToString(out.TokenValue)}
	if s.Token == "" {
		return Session{ID: id}, nil
	}
	if err := s.check("ssm:ResumeSession"); err != nil {
		return Session{}, fmt.Errorf("resume session: %w", err)
	}
	return s, nil
}

// TerminateSession ends a session; one that is already over is no error.
func (c *Client) TerminateSession(ctx context.Context, id string) error {
	_, err := c.EndSession(ctx, id)
	return err
}

// EndSession is TerminateSession, and reports whether the service knew the session. It does not know a session that is over,
// nor one of another account.
func (c *Client) EndSession(ctx context.Context, id string) (known bool, err error) {
	_, err = c.ssm.TerminateSession(ctx, &ssm.TerminateSessionInput{SessionId: &id})
	if err == nil || isOver(err) {
		return err == nil, nil
	}
	return false, fmt.Errorf("terminate session: %w", c.explain(ctx, err, about{Resource: c.arn("ssm", "session/"+id)}))
}

// isOver reports whether SSM answers that it does not know a session.
func isOver(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && api.ErrorCode() == "DoesNotExistException"
}

// learnSkew remembers how far AWS's clock is from ours. The SDK corrects its own signatures by that, as SignUpgrade does.
func (c *Client) learnSkew(m middleware.Metadata) {
	if attempts, ok := retry.GetAttemptResults(m); ok && len(attempts.Results) > 0 {
		m = attempts.Results[len(attempts.Results)-1].ResponseMetadata
	}
	if skew, ok := awsmiddleware.GetAttemptSkew(m); ok {
		if skew.Abs() < minSkew {
			skew = 0 // the Date header has whole seconds, and the time that the answer took is in it
		}
		c.skew.Store(int64(skew))
	}
}

// Skew is how far AWS's clock is ahead of ours, by the answers so far; 0 when that is less than a minute. Signatures are
// corrected by it.
func (c *Client) Skew() time.Duration { return time.Duration(c.skew.Load()) }

// minSkew is the least difference that is corrected. SigV4 refuses signatures that are more than five minutes off.
const minSkew = time.Minute

// CheckStreamURL refuses a stream URL that is not wss://ssmmessages.<region>.<suffix>, unless the SSM endpoint was
// overridden: then any websocket URL will do.
func (c *Client) CheckStreamURL(u string) error {
	parsed, err := url.Parse(u)
	if err != nil || !isWord(u) {
		return &StreamURLError{Problem: "it cannot be parsed", Region: c.region}
	}
	e := &StreamURLError{Host: say.Brief(parsed.Host), Region: c.region}
	switch {
	case parsed.Host == "" || parsed.User != nil || parsed.Fragment != "":
		e.Problem = "it is no plain websocket URL"
	case c.overridden && (parsed.Scheme == "ws" || parsed.Scheme == "wss"):
		return nil
	case parsed.Scheme != "wss":
		e.Problem = "it is not encrypted (wss)"
	case parsed.Port() != "" && parsed.Port() != "443":
		e.Problem = "it is not on port 443"
	case !c.isStreamHost(parsed.Hostname()):
		e.Problem = "it leads elsewhere than to Session Manager of this region"
	default:
		return nil
	}
	return e
}

// StreamURLError means that a session's stream URL does not lead to Session Manager. It was not dialled.
type StreamURLError struct{ Host, Problem, Region string }

func (e *StreamURLError) Error() string {
	return fmt.Sprintf("refuse stream URL with host %q: %s", e.Host, e.Problem)
}

// Remedy says which URL was expected.
func (e *StreamURLError) Remedy() string {
	return fmt.Sprintf("expected wss://%s; if SSM is served elsewhere on purpose, pass --endpoint-url or set AWS_ENDPOINT_URL_SSM; to reach Session Manager by another address, pass --stream-endpoint", serviceHost("ssmmessages", e.Region))
}

// SignUpgrade adds SigV4 headers (service ssmmessages) to the request for a websocket upgrade, with the present credentials. A
// request whose URL is presigned is not changed, as in AWS's own client.
func (c *Client) SignUpgrade(ctx context.Context, r *http.Request) error {
	if isPresigned(r.URL) {
		return nil
	}
	credentials, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("sign websocket upgrade: %w", c.explainCredentials(ctx, err))
	}
	// Only the host is signed, as by AWS's own client: the websocket library adds other headers later.
	bare := (&http.Request{Method: http.MethodGet, URL: r.URL, Host: r.Host, Header: http.Header{}}).WithContext(ctx)
	empty := sha256.Sum256(nil)
	err = v4.NewSigner().SignHTTP(ctx, credentials, bare, hex.EncodeToString(empty[:]), "ssmmessages", c.region, c.now())
	if err != nil {
		return fmt.Errorf("sign websocket upgrade: %w", err)
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	maps.Copy(r.Header, bare.Header)
	return nil
}

// isPresigned reports whether a URL has a signature in its query.
func isPresigned(u *url.URL) bool {
	for name := range u.Query() {
		if strings.HasPrefix(strings.ToLower(name), "x-amz-") {
			return true
		}
	}
	return false
}
