package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Detail is what there is to see of one tunnel beside its totals, at the moment of asking.
type Detail struct {
	ID          int          `json:"id"`
	Connections []Connection `json:"connections"`       // the last ended ones and the open ones, oldest first, at most MaxConnections
	Omitted     int          `json:"omitted,omitempty"` // open connections that are older and not among them
	Hosts       []Host       `json:"hosts"`             // busiest first, the open connections included
	Steps       []Step       `json:"steps"`             // the last ones, oldest first
	// Destinations are those of a tunnel to any host, as they were opened.
	Destinations []Destination `json:"destinations,omitempty"`
	Error        string        `json:"error,omitempty"` // why there is no answer
}

const (
	// MaxConnections bounds the connections of an answer.
	MaxConnections = 500
	// maxDetail bounds an answer that is read, in bytes: far more than a holder of ours ever says.
	maxDetail = 8 << 20
)

// Connection is one connection through a tunnel.
type Connection struct {
	ID       uint64    `json:"id"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"` // zero while it is open
	Protocol string    `json:"protocol"`
	Host     string    `json:"host,omitempty"`  // of the first request, where the protocol names one
	Hosts    int       `json:"hosts,omitempty"` // how many its requests named, where that was more than one
	Received uint64    `json:"received"`
	Sent     uint64    `json:"sent"`
	Requests uint64    `json:"requests,omitempty"`
	Status   int       `json:"status,omitempty"`
	Refused  uint64    `json:"refused,omitempty"` // requests that the proxy itself has turned down
	Error    string    `json:"error,omitempty"`
	Remedy   string    `json:"remedy,omitempty"`
}

// OldHolderError is a holder that does not know what it is asked.
type OldHolderError struct{ Name string }

func (e *OldHolderError) Error() string {
	return "culvert up " + e.Name + " is held by an older culvert, which does not know what it is asked"
}

// Remedy says how the set gets a younger one.
func (e *OldHolderError) Remedy() string {
	return "run culvert down " + e.Name + " and culvert up again when nobody needs its tunnels"
}

// NoTunnelError is a tunnel that a set does not have.
type NoTunnelError struct {
	Name string
	ID   int
}

func (e *NoTunnelError) Error() string {
	return fmt.Sprintf("culvert up %s has no tunnel %d", e.Name, e.ID)
}

// Why a holder has nothing to tell, in the words of the answer.
const (
	unknownRequest = "unknown request"
	noTunnel       = "no such tunnel"
)

// Detail asks the process that holds a set for one of its tunnels. The error is an *OldHolderError when it does not know
// that question, a *NoTunnelError when it does not hold that tunnel.
func (d Dir) Detail(ctx context.Context, name string, id int) (Detail, error) {
	return d.about(ctx, name, request{Do: doDetail, ID: id})
}

// DestinationDetail is Detail with nothing but the connections to one destination of a tunnel to any host, named as Detail
// names it. There are none to one that is not open.
func (d Dir) DestinationDetail(ctx context.Context, name string, id int, destination string) (Detail, error) {
	return d.about(ctx, name, request{Do: doDestination, ID: id, Destination: destination})
}

func (d Dir) about(ctx context.Context, name string, r request) (Detail, error) {
	var answer Detail
	if err := CheckName(name); err != nil {
		return answer, err
	}
	asking, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	err := d.request(asking, name, r, &answer)
	switch {
	case errors.Is(err, io.EOF), answer.Error == unknownRequest: // the first ones hung up on what they did not know
		return Detail{}, &OldHolderError{Name: name}
	case err != nil:
		return Detail{}, err
	case answer.Error != "":
		return Detail{}, &NoTunnelError{Name: name, ID: r.ID}
	}
	return answer, nil
}

// request sends one request to the process that holds a set, and reads its answer.
func (d Dir) request(ctx context.Context, name string, r request, answer any) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", d.Socket(name))
	if err != nil {
		return fmt.Errorf("ask the holder of %s: %w", name, err)
	}
	defer conn.Close() //nolint:errcheck // the answer is read
	callOff := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer callOff()
	if err := json.NewEncoder(conn).Encode(r); err != nil {
		return fmt.Errorf("ask the holder of %s: %w", name, err)
	}
	if err := json.NewDecoder(io.LimitReader(conn, maxDetail)).Decode(answer); err != nil {
		return fmt.Errorf("ask the holder of %s: %w", name, err)
	}
	return nil
}
