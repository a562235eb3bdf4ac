package aws

import (
	"context"
	"errors"
	"io"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// stub is a connection that notes its end.
type stub struct{ closed atomic.Bool }

func (s *stub) Close() error {
	s.closed.Store(true)
	return nil
}

// aheadOf is a client whose API nobody serves, as what is answered there does not matter.
func aheadClient(t *testing.T) *Client {
	t.Helper()
	c, err := Connect(t.Context(), Options{Region: "eu-west-1", Endpoint: "https://127.0.0.1:1", Keys: Keys{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func streamTo(host string) *url.URL {
	return &url.URL{Scheme: "wss", Host: host, Path: "/v1/data-channel/x"}
}

func TestWhatIsOpenedAheadHasOneOwner(t *testing.T) {
	for name, use := range map[string]struct {
		do     func(context.Context, *Client, context.CancelFunc) io.Closer
		closed bool
	}{
		"taken": {func(ctx context.Context, c *Client, _ context.CancelFunc) io.Closer {
			return c.TakeAhead(ctx, streamTo("127.0.0.1:1"))
		}, false},
		"another host": {func(ctx context.Context, c *Client, _ context.CancelFunc) io.Closer {
			return c.TakeAhead(ctx, streamTo("127.0.0.2:1"))
		}, true},
		"no use": {func(_ context.Context, _ *Client, cancel context.CancelFunc) io.Closer {
			cancel()
			return nil
		}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, conn := aheadClient(t), &stub{}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			began := time.Now()
			opened, ended := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(ended)
				c.OpenAhead(ctx, func(context.Context, *url.URL) (io.Closer, error) {
					close(opened)
					return conn, nil
				})
			}()
			<-opened
			got := use.do(ctx, c, cancel)
			<-ended
			if (got == nil) != use.closed || conn.closed.Load() != use.closed {
				t.Errorf("%s: got %v, closed %v", name, got, conn.closed.Load())
			}
			if took := time.Since(began); took > keptAhead {
				t.Errorf("%s: kept for %s", name, took)
			}
			if again := c.TakeAhead(t.Context(), streamTo("127.0.0.1:1")); again != nil {
				t.Errorf("%s: handed out once more", name)
			}
		})
	}
}

func TestWhoGivesUpWaitingLeavesNothingOpen(t *testing.T) {
	c, conn := aheadClient(t), &stub{}
	opening, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		c.OpenAhead(t.Context(), func(context.Context, *url.URL) (io.Closer, error) {
			close(opening)
			<-goOn
			return conn, nil
		})
	}()
	<-opening
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if got := c.TakeAhead(over, streamTo("127.0.0.1:1")); got != nil {
		t.Errorf("got %v", got)
	}
	close(goOn)
	<-ended
	if !conn.closed.Load() {
		t.Error("a connection that came too late is left open")
	}
}

func TestWhatCannotBeOpenedAheadIsNotMissed(t *testing.T) {
	c := aheadClient(t)
	c.OpenAhead(t.Context(), func(context.Context, *url.URL) (io.Closer, error) { return nil, errors.New("no way") })
	if got := c.TakeAhead(t.Context(), streamTo("127.0.0.1:1")); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestTheLikelyStreamIsTheRegions(t *testing.T) {
	for _, c := range []struct {
		client    *Client
		api, want string
	}{
		{&Client{}, "https://ssm.eu-west-1.amazonaws.com", "wss://ssmmessages.eu-west-1.amazonaws.com/"},
		{&Client{}, "https://ssm.cn-north-1.amazonaws.com.cn", "wss://ssmmessages.cn-north-1.amazonaws.com.cn/"},
		{&Client{overridden: true}, "https://localhost:4566/x", "wss://localhost:4566/"},
	} {
		u, err := url.Parse(c.api)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.client.likelyStream(u).String(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.api, got, c.want)
		}
	}
}
