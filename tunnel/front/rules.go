package front

import "slices"

// Rules say which hosts are reached through the task, which directly from this machine, and which are refused.
type Rules struct {
	via, deny []Pattern // without via all hosts are reached through the task
}

// NewRules returns rules by the patterns of --via and --deny.
func NewRules(via, deny []Pattern) Rules {
	return Rules{via: slices.Clone(via), deny: slices.Clone(deny)}
}

// Way is how a host is reached.
type Way int

// The ways.
const (
	Through  Way = iota // through the task
	Directly            // from this machine
)

// Way says how a host and port are reached, however the host is spelled. Every error is a *RefusalError: a malformed host, one
// that is loopback or link-local, or one that a pattern of --deny means, whatever --via says about it.
func (r Rules) Way(name string, port uint16) (Way, error) {
	_, way, err := r.resolve(name, port)
	return way, err
}

// resolve is Way, and also returns the host in the spelling in which it is dialled.
func (r Rules) resolve(name string, port uint16) (host, Way, error) {
	h, err := parseHost(name)
	if err == nil && port == 0 {
		err = errNoPort
	}
	if err != nil {
		return h, Through, &RefusalError{Host: name, Port: port, Why: CauseMalformed, Detail: err.Error()}
	}
	if kind := h.local(); kind != "" {
		return h, Through, &RefusalError{Host: h.name, Port: port, Why: CauseLocal, Detail: kind}
	}
	for _, p := range r.deny {
		if p.matches(h, port) {
			return h, Through, &RefusalError{Host: h.name, Port: port, Why: CauseDenied, Detail: p.String()}
		}
	}
	if len(r.via) > 0 && !slices.ContainsFunc(r.via, func(p Pattern) bool { return p.matches(h, port) }) {
		return h, Directly, nil
	}
	return h, Through, nil
}
