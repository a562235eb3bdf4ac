package aws

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// keptAhead is how long a connection that was opened ahead is kept for its use. The service closes connections on which nothing
// is sent.
const keptAhead = 20 * time.Second

// early is a connection to the message service that was opened before there is a session for it.
type early struct {
	host   string        // with its port
	taken  chan struct{} // closed when somebody takes the connection
	opened chan struct{} // closed when conn is set, or the connection has failed

	mu      sync.Mutex
	conn    io.Closer // nil before, and when the connection has failed
	dropped bool      // nobody wants the connection any more
}

// drop closes the connection, at once or when it is opened.
func (e *early) drop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropped = true
	if e.conn != nil {
		_ = e.conn.Close()
	}
}

// arrive stores the opened connection, nil if it has failed.
func (e *early) arrive(conn io.Closer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conn = conn
	if e.dropped && conn != nil {
		_ = conn.Close()
	}
	close(e.opened)
}

// OpenAhead connects to Session Manager's API and, by open, to the message service while the caller still looks for a target,
// which spares two or three round trips until a session is open. It returns when the connection to the message service has been
// taken (TakeAhead), has failed or has become too old, or when ctx ends; nothing depends on it. An endpoint without TLS is
// taken to be near: nothing is opened for it.
func (c *Client) OpenAhead(ctx context.Context, open func(ctx context.Context, stream *url.URL) (io.Closer, error)) {
	api := c.farAPI(ctx)
	if api == nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { c.knock(ctx, api) })
	both.Go(func() { c.keepStream(ctx, c.likelyStream(api), open) })
	both.Wait()
}

// OpenStreamAhead is OpenAhead for the message service alone, for a caller that has a connection to the API.
func (c *Client) OpenStreamAhead(ctx context.Context, open func(ctx context.Context, stream *url.URL) (io.Closer, error)) {
	if api := c.farAPI(ctx); api != nil {
		c.keepStream(ctx, c.likelyStream(api), open)
	}
}

// farAPI is the URL of Session Manager's API. It is nil when the API is served without TLS, and so is taken to be near, and
// when the endpoint is no URL, which the first call reports.
func (c *Client) farAPI(ctx context.Context) *url.URL {
	address, _ := c.endpoint(ctx, bareAPI{name: "ssm"})
	api, err := url.Parse(address)
	if err != nil || api.Scheme != "https" {
		return nil
	}
	return api
}

// knock makes a request to an API so that its connection is kept for the next call. The request has no action and no signature;
// its answer does not matter.
func (c *Client) knock(ctx context.Context, api *url.URL) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, api.JoinPath("/").String(), nil)
	if err != nil {
		return
	}
	answer, err := boundedClient{c.config.HTTPClient, c.bounds}.Do(request)
	if err != nil {
		c.log.Debug("no connection ahead", "host", api.Host, "error", err)
		return
	}
	_ = answer.Body.Close() // the body was read into memory
}

// likelyStream is the URL at which the streams of sessions will most likely be. The one that counts is told by StartSession.
func (c *Client) likelyStream(api *url.URL) *url.URL {
	stream := url.URL{Scheme: "wss", Host: api.Host, Path: "/"}
	if !c.overridden {
		stream.Host = "ssmmessages." + strings.TrimPrefix(api.Host, "ssm.")
	}
	return &stream
}

// keepStream is OpenStreamAhead for a URL that is known.
func (c *Client) keepStream(ctx context.Context, stream *url.URL, open func(ctx context.Context, stream *url.URL) (io.Closer, error)) {
	if proxy, err := c.Proxy(&http.Request{URL: stream}); proxy != nil || err != nil {
		return // behind a proxy the connection would be for one host name, and nobody knows which yet
	}
	e := &early{host: hostPort(webURL(stream)), opened: make(chan struct{}), taken: make(chan struct{})}
	if !c.early.CompareAndSwap(nil, e) {
		return
	}
	conn, err := open(ctx, stream)
	if err != nil {
		c.log.Debug("no connection ahead", "host", stream.Host, "error", err)
		conn = nil
	}
	e.arrive(conn)
	old := time.NewTimer(keptAhead)
	defer old.Stop()
	if conn != nil {
		select {
		case <-e.taken:
		case <-old.C:
		case <-ctx.Done():
		}
	}
	if c.early.CompareAndSwap(e, nil) {
		e.drop()
	}
}

// TakeAhead is the connection that was opened ahead to the host of a stream; it waits for one that is still being opened. The
// caller owns the connection. It is nil when there is none.
func (c *Client) TakeAhead(ctx context.Context, stream *url.URL) io.Closer {
	e := c.early.Load()
	if e == nil || e.host != hostPort(webURL(stream)) || !c.early.CompareAndSwap(e, nil) {
		return nil
	}
	close(e.taken)
	select {
	case <-e.opened:
		return e.conn
	case <-ctx.Done():
		e.drop()
		return nil
	}
}
