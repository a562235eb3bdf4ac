package aws

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// What an endpoint, or whoever answers in its place, can cost.
const (
	// silence is how long a call goes on without a whole answer, its tries together. AWS answers within a second or two.
	silence = 12 * time.Second
	// lastMoment is what must be left of it for another try: the longest pause before one.
	lastMoment = maxBackoff
	// maxAnswer bounds the body of an answer, unpacked; DescribeTasks' largest have half a megabyte.
	maxAnswer = 16 << 20
	// maxValues bounds the values in a JSON answer: a few bytes of text can become a hundred of memory.
	maxValues = 1 << 20
	// maxHeader bounds an answer's header, that of a proxy included.
	maxHeader = 64 << 10
)

// bounds are added to every client of the SDK, those that look for credentials included. The zero value has the limits
// above.
type bounds struct {
	silence time.Duration // for tests; 0 is the constant
	proxies *proxies
}

// addTo puts the bounds around an operation and around each of its tries.
func (b bounds) addTo(stack *middleware.Stack) error {
	err := stack.Initialize.Add(middleware.InitializeMiddlewareFunc("culvert.Call", callMiddleware), middleware.Before)
	if err != nil {
		return err
	}
	if _, ok := stack.Finalize.Get("Retry"); ok {
		err = stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("culvert.Tried", triedMiddleware), "Retry", middleware.After)
		if err != nil {
			return err
		}
	}
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("culvert.Bounds", b.tryMiddleware), middleware.After)
}

// ongoing is a call under way, with what has become of it so far. One that looks for credentials is part of another.
type ongoing struct {
	outer *ongoing

	mu       sync.Mutex
	deadline time.Time // of a whole answer; zero until the first try, and after an answer
	now      *Phases   // of the try under way
	last     error     // of the try before
}

type ongoingKey struct{}

func ongoingOf(ctx context.Context) *ongoing {
	o, _ := ctx.Value(ongoingKey{}).(*ongoing)
	return o
}

// withOngoing begins a call.
func withOngoing(ctx context.Context) (context.Context, *ongoing) {
	o := &ongoing{outer: ongoingOf(ctx)}
	return context.WithValue(ctx, ongoingKey{}, o), o
}

// begun notes the try under way, here and in the calls that wait for this one; nil when it is over.
func (o *ongoing) begun(now *Phases) {
	for ; o != nil; o = o.outer {
		o.mu.Lock()
		o.now = now
		o.mu.Unlock()
	}
}

// tried notes how a try ended.
func (o *ongoing) tried(err error) {
	for ; o != nil; o = o.outer {
		o.mu.Lock()
		o.now, o.last = nil, err
		o.mu.Unlock()
	}
}

// obstacle is what the call had run into when its caller's time was over; nil when it had met none.
func (o *ongoing) obstacle() error {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.now != nil {
		return o.now.failure()
	}
	return o.last
}

// answered begins the time for a whole answer anew.
func (o *ongoing) answered() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deadline = time.Time{}
}

// until is when the call has to have a whole answer.
func (o *ongoing) until(within time.Duration) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.deadline.IsZero() {
		o.deadline = time.Now().Add(within)
	}
	return o.deadline
}

// Watch returns a context that remembers what the calls and dials under it run into, and the one who tells: nil when
// nothing is in the way.
func (c *Client) Watch(ctx context.Context) (watched context.Context, obstacle func() error) {
	watched, o := withOngoing(ctx)
	return watched, func() error {
		met := o.obstacle()
		if met == nil {
			return nil
		}
		return c.explain(context.WithoutCancel(ctx), met, about{})
	}
}

// callMiddleware keeps, for a call that its caller's deadline ends, what it had run into.
func callMiddleware(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	inner, o := withOngoing(ctx)
	out, metadata, err := next.HandleInitialize(inner, in)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		if obstacle := o.obstacle(); obstacle != nil {
			err = &obstacleError{err: obstacle, over: err}
		}
	}
	return out, metadata, err
}

// obstacleError is what a call had run into when its caller's deadline ended it.
type obstacleError struct{ err, over error }

func (e *obstacleError) Error() string   { return e.err.Error() }
func (e *obstacleError) Unwrap() []error { return []error{e.err, e.over} }

// triedMiddleware notes how a try ended, as the retryer will see it.
func triedMiddleware(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleFinalize(ctx, in)
	ongoingOf(ctx).tried(err)
	return out, metadata, err
}

// tryMiddleware bounds a try and reads its whole answer before anything looks at it.
func (b bounds) tryMiddleware(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (out middleware.DeserializeOutput, metadata middleware.Metadata, err error) {
	request, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return next.HandleDeserialize(ctx, in)
	}
	o := ongoingOf(ctx)
	until := o.until(b.within())
	_, err = b.exchange(ctx, until, request.Method, request.URL, func(ctx context.Context) (*http.Response, error) { //nolint:bodyclose // it is in memory
		var err error
		out, metadata, err = next.HandleDeserialize(ctx, in)
		if answer, ok := out.RawResponse.(*smithyhttp.Response); ok {
			return answer.Response, err
		}
		return nil, err
	})
	switch {
	case err == nil:
		o.answered()
	case settled(err) || time.Until(until) < lastMoment:
		err = &finalError{err}
	}
	return out, metadata, err
}

// finalError is one after which another try is in vain, or there is no time for one.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// RetryableError tells every retryer of the SDK.
func (*finalError) RetryableError() bool { return false }

func (b bounds) within() time.Duration {
	if b.silence != 0 {
		return b.silence
	}
	return silence
}

// boundedClient has the bounds for requests that are not an SDK client's.
type boundedClient struct {
	sdk.HTTPClient

	bounds bounds
}

// Do is that of an HTTP client; the answer is in memory.
func (c boundedClient) Do(r *http.Request) (*http.Response, error) {
	return c.bounds.exchange(r.Context(), time.Now().Add(c.bounds.within()), r.Method, r.URL, func(ctx context.Context) (*http.Response, error) {
		return c.HTTPClient.Do(r.WithContext(ctx))
	})
}

// exchange sends a request and reads the whole answer, which then is in memory. The errors that are not the sender's own
// are an *AnswerError, or a *url.Error around what was waited for in vain.
func (b bounds) exchange(ctx context.Context, until time.Time, method string, u *url.URL, send func(context.Context) (*http.Response, error)) (*http.Response, error) {
	waiting, stop := context.WithDeadline(ctx, until)
	defer stop()
	proxy, _ := b.proxies.forURL(u) // the error is the sender's as well
	followed, phases := Follow(waiting, u, proxy)
	defer phases.End()
	failed := func(err error) error {
		return &url.Error{Op: method, URL: (&url.URL{Scheme: u.Scheme, Host: u.Host}).String(), Err: err}
	}

	answer, err := send(followed)
	if err == nil {
		err = b.read(answer, phases)
	}
	switch {
	case err != nil && errors.Is(waiting.Err(), context.DeadlineExceeded):
		return nil, phases.failure()
	case err != nil:
		return nil, err
	case proxy != nil && answer.StatusCode == http.StatusProxyAuthRequired:
		return nil, failed(refusalOf(answer))
	case u.Scheme == "http" && answer.StatusCode == http.StatusBadRequest && saysHTTPS(answer):
		return nil, failed(&schemeError{wants: "https"})
	}
	return answer, nil
}

// saysHTTPS knows the words of Go, nginx and Apache for plain HTTP at a TLS port.
func saysHTTPS(answer *http.Response) bool {
	body, ok := answer.Body.(*wholeBody)
	return ok && bytes.Contains(body.text, []byte("HTTPS")) && answer.Header.Get("X-Amzn-Requestid") == ""
}

// wholeBody is a body that was read already.
type wholeBody struct {
	*bytes.Reader

	text []byte
}

func (*wholeBody) Close() error { return nil }

// read takes a body in and puts it back as text in memory.
func (b bounds) read(answer *http.Response, phases *Phases) error {
	phases.reach(phaseBody)
	defer answer.Body.Close() //nolint:errcheck // it was read to its end, or is not wanted
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return &url.Error{Op: "Read", URL: phases.address(), Err: err}
	}
	problem := ""
	switch {
	case len(text) > maxAnswer:
		problem = fmt.Sprintf("it has more than %d MiB", maxAnswer>>20)
	case bytes.Count(text, []byte(","))+bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxValues:
		problem = fmt.Sprintf("it has more than %d values", maxValues)
	}
	if problem != "" {
		return &AnswerError{Address: hostPort(phases.target), Status: answer.StatusCode, Problem: problem}
	}
	answer.Body = &wholeBody{bytes.NewReader(text), text}
	return nil
}

// schemeError is http:// spoken to a TLS port, or https:// to one without.
type schemeError struct{ wants string }

func (e *schemeError) Error() string {
	if e.wants == "https" {
		return "it wants TLS and was asked in plain HTTP"
	}
	return "it speaks plain HTTP and was asked with TLS"
}

// otherScheme is the scheme that an address wants instead, "" when the error is about something else.
func otherScheme(err error) string {
	if e, ok := errors.AsType[*schemeError](err); ok {
		return e.wants
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return "http"
	}
	if strings.Contains(err.Error(), "malformed HTTP response \"\\x15\\x03") { // a TLS alert; net/http has no type for it
		return "https"
	}
	return ""
}

// settled reports that trying a call again is in vain: nothing changes by itself in the seconds that a call has.
func settled(err error) bool {
	_, stalled := errors.AsType[*StallError](err)
	_, senseless := errors.AsType[*AnswerError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	boundless := strings.Contains(err.Error(), "response headers exceeded") // net/http has no type for it
	_, unusable := errors.AsType[*ProxyURLError](err)
	if boundless || stalled || senseless || untrusted || unusable || socksLogin(err) || otherScheme(err) != "" {
		return true
	}
	if refusal, ok := errors.AsType[*proxyRefusalError](err); ok {
		return refusal.Status < http.StatusInternalServerError
	}
	lookup, ok := errors.AsType[*net.DNSError](err)
	return ok && lookup.IsNotFound || atProxy(err) && refused(err)
}

// atProxy reports whether the connection to a proxy failed (net/http's own word for it).
func atProxy(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == proxyConnect
}

// refused reports whether nobody listens at an address.
func refused(err error) bool {
	const windows = syscall.Errno(10061) // WSAECONNREFUSED, which is no ECONNREFUSED there
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, windows)
}
