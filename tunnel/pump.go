package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// pump is a socket that carries a session: a reader, a writer, and how they are doing.
type pump struct {
	socket  *socket
	channel *channel
	pong    chan string  // the payloads of pings that are still to be answered
	heard   atomic.Int64 // when anything last came from the service, in unix nanoseconds
	frames  atomic.Int64 // how many messages came
	bulk    int          // how much the traffic looks like a download, see measure; only the reader touches it

	over  context.Context //nolint:containedctx // the life of the socket, not of a call
	end   context.CancelCauseFunc
	ended chan struct{} // closed when reader and writer have returned
	why   error         // what ended the socket; set before ended is closed, as is life
	began time.Time
	life  time.Duration // how long the socket carried the session

	// During a handover the writer is told by park to write nothing more, as another socket takes over, and by resume to go on,
	// as that one failed.
	park, resume chan struct{}
}

// hear notes that something has come from the service.
func (p *pump) hear() {
	now := time.Now().UnixNano()
	p.heard.Store(now)
	p.channel.served.Store(now)
}

// The agent sends a download in messages of 1 KiB, one each millisecond. Waking the reader for each costs more CPU than all that
// is done with a message, so during a download the reader rests before it reads, until a few have gathered. It does not rest
// where they come faster than that and a read brings many anyway.
//
// That a download is going on is told from the sizes of the frames: pump.bulk counts the large ones up to a limit, and each small
// one, as a conversation has, takes some of them back. It cannot take all of them: a mux frame of 32 KiB ends in a small message too.
const (
	bulkMessage = 900                   // bytes: a frame of this size or more is a large one
	bulkAfter   = 256                   // large frames: from here on it is a download. They take a third of a second, beside which bulkRest is little
	bulkLess    = 8                     // large frames that one small frame takes back
	strandLess  = 2                     // the same on a strand's lane, where a small frame for each 8 KiB means nothing: the agent's answer to an acknowledge of the bundle
	bulkRest    = 15 * time.Millisecond // how long the reader rests before a read during a download
	bulkPlenty  = 16 << 10              // bytes: after a read that brought so many the reader does not rest
)

// idle is called by the reader before a read that may have to wait: all that has come is handed on, and in a download it rests.
func (p *pump) idle() {
	p.channel.flushNow()
	if p.bulk >= bulkAfter && p.socket.raw.in.last < bulkPlenty {
		p.channel.acknowledgeNow()
		time.Sleep(bulkRest)
	}
}

// measure takes the size of a frame, in bytes, for idle to know whether a download is going on.
func (p *pump) measure(size int) {
	less := bulkLess
	if p.channel.strand {
		less = strandLess
	}
	if size >= bulkMessage {
		p.bulk = min(p.bulk+1, bulkAfter+4*less)
	} else {
		p.bulk = max(p.bulk-less, 0)
	}
}

// read is the reader: it hands every frame to the channel, which never blocks. It returns when the socket cannot be read any more,
// or the channel says that the session is over.
func (p *pump) read() error {
	defer p.channel.flushNow()
	buffer := make([]byte, 0, 16<<10)
	for {
		kind, r, err := p.socket.conn.NextReader()
		if err != nil {
			return err
		}
		buffer, err = readAll(r, buffer[:0])
		if err != nil {
			return err
		}
		p.hear()
		if kind != websocket.BinaryMessage {
			continue // text: AWS sends none to a client
		}
		p.measure(len(buffer))
		p.frames.Add(1)
		if err := p.channel.take(buffer); err != nil {
			return err
		}
	}
}

// readAll is io.ReadAll that appends to a buffer of the caller's.
func readAll(r io.Reader, b []byte) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

// write is the writer, the only goroutine that writes to the socket: acknowledges and messages of the channel, pings, pongs.
func (p *pump) write(ctx context.Context) error {
	timer := time.NewTimer(checkEvery)
	defer timer.Stop()
	var batch [][]byte
	var asked time.Time // when the ping was sent that is not answered yet; zero when none is unanswered
	pinged, before := time.Now(), p.socket.wall()
	for {
		now, wall := time.Now(), p.socket.wall()
		suspect := wall.Sub(before) > clockJump
		before = wall
		heard := time.Unix(0, p.heard.Load())
		if !asked.IsZero() && !heard.Before(asked) { // an answer in the same instant is one
			asked = time.Time{}
		}
		if !asked.IsZero() && now.Sub(asked) > pongWithin {
			return errDeadPeer
		}
		if asked.IsZero() && (suspect || now.Sub(pinged) > pingEvery || (p.channel.quiet(now) > impatient && now.Sub(heard) > impatient)) {
			if err := p.control(websocket.PingMessage, "culvert"); err != nil {
				return err
			}
			asked, pinged = now, now
		}
		for range len(p.pong) {
			if err := p.control(websocket.PongMessage, <-p.pong); err != nil {
				return err
			}
		}
		var again time.Time
		var err error
		batch, again, err = p.channel.collect(batch[:0], now)
		if err != nil {
			return err
		}
		if err := p.writeBatch(batch, writeTimeout); err != nil {
			return err
		}
		wait := checkEvery
		if !again.IsZero() {
			wait = min(wait, again.Sub(now))
		}
		if wait <= 0 {
			select {
			case <-p.park:
				if err := p.parked(ctx); err != nil {
					return err
				}
			case <-ctx.Done():
				return p.goodbye(ctx, batch)
			default:
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-p.channel.wake:
		case <-p.park:
			if err := p.parked(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return p.goodbye(ctx, batch)
		}
	}
}

func (p *pump) control(kind int, data string) error {
	if err := p.socket.conn.WriteControl(kind, []byte(data), time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("write websocket control: %w", err)
	}
	return p.socket.raw.flush()
}

func (p *pump) writeBatch(batch [][]byte, within time.Duration) error {
	if len(batch) == 0 {
		return nil
	}
	if err := p.socket.conn.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return fmt.Errorf("write deadline: %w", err)
	}
	for _, frame := range batch {
		err := p.socket.conn.WriteMessage(websocket.BinaryMessage, frame)
		frames.give(frame)
		if err != nil {
			return fmt.Errorf("write frame: %w", err)
		}
	}
	return p.socket.raw.flush()
}

// goodbye is the end of a websocket that culvert itself ends: it sends the acknowledges of all that was received and then a close
// frame. An agent that was asked to end a session waits until all that it sent is acknowledged.
func (p *pump) goodbye(ctx context.Context, batch [][]byte) error {
	for more := true; more; {
		var err error
		if batch, more, err = p.channel.collectAcks(batch[:0], time.Now()); err == nil {
			err = p.writeBatch(batch, goodbyeWithin)
		}
		more = more && err == nil
	}
	message := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = p.socket.conn.WriteControl(websocket.CloseMessage, message, time.Now().Add(goodbyeWithin))
	_ = p.socket.raw.flush()
	return context.Cause(ctx)
}
