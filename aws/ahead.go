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

// keptAhead is how long a connection that was opened ahead may wait for its use; the service ends those that say nothing.
const keptAhead = 20 * time.Second

// early is the connection for a stream, opened before there is a session for it.
type early struct {
	host   string        // with its port
	taken  chan struct{} // closed by who takes it
	opened chan struct{} // closed when conn is there, or is not to come

	mu      sync.Mutex
	conn    io.Closer // nil when it has failed
	dropped bool      // nobody waits for it any more
}

// drop closes what is there, or what is to come.
func (e *early) drop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropped = true
	if e.conn != nil {
		_ = e.conn.Close()
	}
}

// arrive notes that the connection is there.
func (e *early) arrive(conn io.Closer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conn = conn
	if e.dropped && conn != nil {
		_ = conn.Close()
	}
	close(e.opened)
}

// OpenAhead connects to Session Manager's API, and by open to the message service, while the caller finds out what for: two
// or three round trips less until a session stands. It returns when the connection to the message service was taken (TakeAhead),
// has failed or grown old, or ctx ends; nothing depends on it. An endpoint without TLS is near: nothing is opened for it.
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

// OpenStreamAhead is OpenAhead for the message service alone, where a connection to the API is there.
func (c *Client) OpenStreamAhead(ctx context.Context, open func(ctx context.Context, stream *url.URL) (io.Closer, error)) {
	if api := c.farAPI(ctx); api != nil {
		c.keepStream(ctx, c.likelyStream(api), open)
	}
}

// farAPI is Session Manager's API; nil where that is near, or what it is called is no URL: the first call says so.
func (c *Client) farAPI(ctx context.Context) *url.URL {
	address, _ := c.endpoint(ctx, bareAPI{name: "ssm"})
	api, err := url.Parse(address)
	if err != nil || api.Scheme != "https" {
		return nil
	}
	return api
}

// knock leaves a connection to an API for the next call. What is answered to a request without an action and a signature
// does not matter.
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
	_ = answer.Body.Close() // it is in memory
}

// likelyStream is where the streams of sessions will most likely be: what StartSession says counts.
func (c *Client) likelyStream(api *url.URL) *url.URL {
	stream := url.URL{Scheme: "wss", Host: api.Host, Path: "/"}
	if !c.overridden {
		stream.Host = "ssmmessages." + strings.TrimPrefix(api.Host, "ssm.")
	}
	return &stream
}

// keepStream is OpenStreamAhead to a place that is known.
func (c *Client) keepStream(ctx context.Context, stream *url.URL, open func(ctx context.Context, stream *url.URL) (io.Closer, error)) {
	if proxy, err := c.Proxy(&http.Request{URL: stream}); proxy != nil || err != nil {
		return // a tunnel through a proxy would be one to a host that nobody has named yet
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

// TakeAhead is the connection that was opened ahead to the host of a stream, whose owner the caller then is; it waits for one
// that is being opened. nil when there is none.
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
