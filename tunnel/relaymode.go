package tunnel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/aws"
)

// RelayMode says whether tunnels use the relay of their task.
type RelayMode int

// The modes.
const (
	RelayAuto    RelayMode = iota // use the relay where the task definition has one and the relay answers
	RelayNo                       // never use a relay
	RelayRequire                  // connections fail without a relay
)

// ErrRelayUnwanted is why no relay is looked for with RelayNo.
var ErrRelayUnwanted = errors.New("--relay no: none is looked for")

// seekWithin bounds the search for a relay where none is required.
const seekWithin = 5 * time.Second

// SeekRelay sets the relay in a spec that is to be given to Open, as Options.Relay wants it. It asks only ECS: nothing is sent to
// a task whose definition has no port mapping named aws.RelayName. The error is always nil unless a relay is required. A spec
// whose far end is behind the task gets no relay.
func (e *Engine) SeekRelay(ctx context.Context, s *Spec) error {
	mode := e.options.Relay
	s.Relay, s.Unrelayed = nil, nil
	if s.Dynamic != nil || s.Remote.Host != "" {
		if mode == RelayRequire {
			return &NotRelayedError{FarEnd: s.FarEnd()}
		}
		return nil
	}
	if mode == RelayNo {
		s.Unrelayed = ErrRelayUnwanted
		return nil
	}
	if mode == RelayAuto {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, seekWithin)
		defer cancel()
	}
	client := s.Client
	if client == nil {
		client = e.options.Client
	}
	found, err := relayOf(ctx, client, s, mode == RelayRequire)
	switch {
	case err == nil:
		s.Relay = &Relay{Port: found.Port, Required: mode == RelayRequire}
	case mode == RelayRequire:
		return fmt.Errorf("--relay require: %w", err)
	default:
		s.Unrelayed = err
		e.options.Log.Debug("no relay", "target", s.Target.String(), "error", err)
	}
	return nil
}

// relayOf returns the relay of the spec's task, or where the spec names no task that of one which its service has now.
func relayOf(ctx context.Context, client *aws.Client, s *Spec, asked bool) (aws.Relay, error) {
	at := s.Target
	if at.Task == "" {
		query := at.Query()
		query.Port = s.Remote.Port
		var err error
		if at, err = client.Lookup(ctx, query); err != nil {
			return aws.Relay{}, err
		}
	}
	found, err := client.Relay(ctx, at, asked)
	if err == nil && found.Port == s.Remote.Port {
		return aws.Relay{}, errors.New("the forward leads to the relay itself: it takes streams, not connections")
	}
	return found, err
}

// NotRelayedError means that a relay is required for a far end that no relay can open.
type NotRelayedError struct{ FarEnd string }

func (e *NotRelayedError) Error() string {
	return fmt.Sprintf("--relay require: %s is behind the task, and a relay opens ports of its own task alone", e.FarEnd)
}

// Remedy says what can be done instead.
func (e *NotRelayedError) Remedy() string {
	return "leave --relay require out, or forward to a port of the task, such as the proxy's: -L 3128"
}

// Relay says where a tunnel's tasks have a relay (culvert relay) beside the server that the tunnel leads to. Connections go
// through the relay as streams of a bundle, over as many sessions as the task affords, so that each can be as fast as all
// sessions together. Where the relay does not answer, connections go as they would without one.
type Relay struct {
	Port     uint16 // on the task's loopback address
	Required bool   // connections fail where the relay cannot be used
}
