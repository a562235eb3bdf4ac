package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"

	"culvert/aws"
)

// OpenAhead opens the connections that the first session will need, TLS included, while its target is still being looked for. It
// returns when they are in use or of no use any more, or when ctx ends.
func OpenAhead(ctx context.Context, client *aws.Client) {
	client.OpenAhead(ctx, streamsOf(client))
}

// streamsOf returns the function that opens a connection, TLS included, to the host of a stream URL.
func streamsOf(client *aws.Client) func(ctx context.Context, stream *url.URL) (io.Closer, error) {
	return func(ctx context.Context, stream *url.URL) (io.Closer, error) {
		address := stream.Host
		if stream.Port() == "" {
			address = net.JoinHostPort(stream.Hostname(), "443")
		}
		return dialAhead(ctx, client, address, stream.Hostname())
	}
}

// aheadConn is a connection to the message service whose TLS handshake is done, and on which no request was made yet.
type aheadConn struct {
	*tls.Conn

	raw *batchConn
}

func dialAhead(ctx context.Context, client *aws.Client, address, host string) (*aheadConn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := client.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	e := &aheadConn{raw: newBatchConn(conn)}
	e.raw.in.admit(handshakeLimit)
	settings := client.TLS()
	if settings.ServerName == "" {
		settings.ServerName = host
	}
	e.Conn = tls.Client(e.raw, settings)
	if err := e.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	e.raw.in.admit(upgradeLimit)
	return e, nil
}

// ahead returns a dial function that hands over the connection which was opened ahead to the stream's host; nil when there is
// none.
func (s *socket) ahead(ctx context.Context, client *aws.Client, stream *url.URL) func(context.Context, string, string) (net.Conn, error) {
	e, ok := client.TakeAhead(ctx, stream).(*aheadConn)
	if !ok {
		return nil
	}
	s.raw = e.raw
	s.callOff = context.AfterFunc(ctx, func() { _ = e.raw.Close() })
	return func(context.Context, string, string) (net.Conn, error) { return e, nil }
}
