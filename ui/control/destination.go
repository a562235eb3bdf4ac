package control

import "time"

// MaxDestinations bounds the destinations of a tunnel that others are told of.
const MaxDestinations = 1000

// Dynamic is what a tunnel to any host was opened with.
type Dynamic struct {
	Via          []string `json:"via,omitempty"` // patterns of what goes through the task; none: all of it
	Deny         []string `json:"deny,omitempty"`
	Destinations int      `json:"destinations"` // at most, at a time
	Warm         []string `json:"warm,omitempty"`
}

// Destination is one host and port of a tunnel to any host.
type Destination struct {
	Destination string    `json:"destination"`
	Direct      bool      `json:"direct,omitempty"` // from this machine, not through a task
	Warm        bool      `json:"warm,omitempty"`
	State       string    `json:"state"`
	Task        string    `json:"task,omitempty"`
	Session     string    `json:"session,omitempty"`
	Agent       string    `json:"agent_version,omitempty"`
	Sent        uint64    `json:"sent"`
	Received    uint64    `json:"received"`
	Connections int       `json:"connections"` // open now
	Accepted    uint64    `json:"accepted"`    // since it was opened
	Opened      time.Time `json:"opened,omitzero"`
	Used        time.Time `json:"used,omitzero"` // when it had a connection last
	Error       string    `json:"error,omitempty"`
	Remedy      string    `json:"remedy,omitempty"`
}

// Way is through what a destination is reached, in a word or two.
func (d Destination) Way() string {
	switch {
	case d.Direct:
		return "directly"
	case d.Task == "":
		return "-"
	}
	return d.Task
}
