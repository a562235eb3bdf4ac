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

// What a call can cost, whoever answers it.
const (
	// silence is how long a call waits for a whole answer, with all of its tries. AWS answers within a second or two.
	silence = 12 * time.Second
	// lastMoment is how much of that time must be left for another try: as long as the longest pause before one.
	lastMoment = maxBackoff
	// maxAnswer bounds the body of an answer, in bytes after decompression. The largest answers, of DescribeTasks, have half a
	// megabyte.
	maxAnswer = 16 << 20
	// maxValues bounds the number of values in a JSON answer: a value of a few bytes of text can take a hundred bytes of
	// memory.
	maxValues = 1 << 20
	// maxHeader bounds the header of an answer, in bytes; also that of a proxy's answer to CONNECT.
	maxHeader = 64 << 10
)

// bounds are added to every client of the SDK, including those that get credentials. The zero value has the limits above.
type bounds struct {
	silence time.Duration // in place of the constant, for tests; 0 is the constant
	proxies *proxies
}

// addTo adds middleware around an operation, and around each of its tries.
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

// ongoing is a call that is under way, and what it has met so far. A call that gets credentials is a part of the call that
// needs them (outer).
type ongoing struct {
	outer *ongoing

	mu       sync.Mutex
	deadline time.Time // for a whole answer; zero before the first try, and after an answer
	now      *Phases   // of the try that is under way
	last     error     // the error of the try before
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

// begun notes the try that is under way, or nil when it is over, in this call and in those that wait for it.
func (o *ongoing) begun(now *Phases) {
	for ; o != nil; o = o.outer {
		o.mu.Lock()
		o.now = now
		o.mu.Unlock()
	}
}

// tried notes the error with which a try ended.
func (o *ongoing) tried(err error) {
	for ; o != nil; o = o.outer {
		o.mu.Lock()
		o.now, o.last = nil, err
		o.mu.Unlock()
	}
}

// obstacle is what a call had met when its caller's time was over; nil when it had met nothing.
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

// answered has the time for a whole answer begin again with the next try.
func (o *ongoing) answered() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deadline = time.Time{}
}

// until is the deadline for a whole answer. The first try sets it.
func (o *ongoing) until(within time.Duration) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.deadline.IsZero() {
		o.deadline = time.Now().Add(within)
	}
	return o.deadline
}

// Watch returns a context that remembers what the calls and dials with it have met, and a function that tells the error of
// that; nil when nothing is in the way.
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

// callMiddleware adds what a call had met to its error, when the deadline of its caller has ended it.
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

// obstacleError is what a call had met (err) when the deadline of its caller ended it (over).
type obstacleError struct{ err, over error }

func (e *obstacleError) Error() string   { return e.err.Error() }
func (e *obstacleError) Unwrap() []error { return []error{e.err, e.over} }

// triedMiddleware notes the error with which a try ended, as the retryer sees it.
func triedMiddleware(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleFinalize(ctx, in)
	ongoingOf(ctx).tried(err)
	return out, metadata, err
}

// tryMiddleware bounds the time of a try, and reads the whole answer before the SDK looks at it.
func (b bounds) tryMiddleware(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (out middleware.DeserializeOutput, metadata middleware.Metadata, err error) {
	request, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return next.HandleDeserialize(ctx, in)
	}
	o := ongoingOf(ctx)
	until := o.until(b.within())
	_, err = b.exchange(ctx, until, request.Method, request.URL, func(ctx context.Context) (*http.Response, error) { //nolint:bodyclose // the body was read into memory
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

// finalError is an error after which the call is not tried again: in vain, or too late.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

// RetryableError is what the SDK's retryers ask for.
func (*finalError) RetryableError() bool { return false }

func (b bounds) within() time.Duration {
	if b.silence != 0 {
		return b.silence
	}
	return silence
}

// boundedClient has the bounds for requests that no client of the SDK makes.
type boundedClient struct {
	sdk.HTTPClient

	bounds bounds
}

// Do sends a request as an HTTP client does. The body of the answer has been read into memory.
func (c boundedClient) Do(r *http.Request) (*http.Response, error) {
	return c.bounds.exchange(r.Context(), time.Now().Add(c.bounds.within()), r.Method, r.URL, func(ctx context.Context) (*http.Response, error) {
		return c.HTTPClient.Do(r.WithContext(ctx))
	})
}

// exchange sends a request and reads the whole answer into memory. Its own errors, besides those of send, are an *AnswerError,
// or a *url.Error around what it was waiting for when the time was over.
func (b bounds) exchange(ctx context.Context, until time.Time, method string, u *url.URL, send func(context.Context) (*http.Response, error)) (*http.Response, error) {
	waiting, stop := context.WithDeadline(ctx, until)
	defer stop()
	proxy, _ := b.proxies.forURL(u) // send fails with the same error
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

// saysHTTPS recognises the answers of Go, nginx and Apache to plain HTTP at a TLS port.
func saysHTTPS(answer *http.Response) bool {
	body, ok := answer.Body.(*wholeBody)
	return ok && bytes.Contains(body.text, []byte("HTTPS")) && answer.Header.Get("X-Amzn-Requestid") == ""
}

// wholeBody is a body that has been read into memory.
type wholeBody struct {
	*bytes.Reader

	text []byte
}

func (*wholeBody) Close() error { return nil }

// read reads the body into memory and replaces it by a wholeBody.
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

// schemeError means that the endpoint wants the other scheme: it was asked in plain HTTP at a TLS port, or with TLS at a port
// without.
type schemeError struct{ wants string }

func (e *schemeError) Error() string {
	if e.wants == "https" {
		return "it wants TLS and was asked in plain HTTP"
	}
	return "it speaks plain HTTP and was asked with TLS"
}

// otherScheme is the scheme that an endpoint wants instead; "" when the error is about something else.
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

// settled reports whether trying a call again is in vain, as the cause does not change within the seconds that a call has.
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

// atProxy reports whether the connection to a proxy failed. net/http marks that with an Op of its own.
func atProxy(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == proxyConnect
}

// refused reports whether an address refused the connection, as nobody listens there.
func refused(err error) bool {
	const windows = syscall.Errno(10061) // WSAECONNREFUSED, which is no ECONNREFUSED there
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, windows)
}
