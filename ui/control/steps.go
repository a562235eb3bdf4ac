package control

import (
	"fmt"
	"time"
)

// MaxSteps bounds the steps of a tunnel: the last ones are kept.
const MaxSteps = 50

// longResume is how long a session may take to be resumed before that is called an interruption: its connections wait, and
// AWS closes every socket once an hour.
const longResume = 5 * time.Second

// Step is a change of a tunnel's state.
type Step struct {
	At      time.Time `json:"time"`
	State   string    `json:"state"`
	Task    string    `json:"task,omitempty"`
	Session string    `json:"session,omitempty"`
	Agent   string    `json:"agent_version,omitempty"`
	Error   string    `json:"error,omitempty"`
	Remedy  string    `json:"remedy,omitempty"`
}

// Troubles are the interruptions of the set's tunnels since they were ready, and those that did not work at the end; each in
// words, with the remedy of the last one.
func (s Set) Troubles() []*SetError {
	var all []*SetError
	for _, t := range s.Tunnels {
		if e := t.trouble(); e != nil {
			e.Problem = fmt.Sprintf("%s: tunnel %d (%s) %s", s.Name, t.ID, t.Local, e.Problem)
			all = append(all, e)
		}
	}
	return all
}

// trouble is what there is to say against a tunnel that was ready, nil when it has worked all the time.
func (t Tunnel) trouble() *SetError {
	var (
		began time.Time // of the interruption that goes on; zero while there is none
		lost  bool      // the connections are
		cause Step      // of the last interruption
		times int
		away  time.Duration
		state string
	)
	over := func(at time.Time) {
		if took := at.Sub(began); !began.IsZero() && (lost || took >= longResume) {
			times++
			away += took
		}
		began, lost = time.Time{}, false
	}
	for _, s := range t.Steps {
		state = s.State
		switch s.State {
		case "open", "asleep":
			over(s.At)
			continue
		case "reopening", "failed":
			lost = true
		}
		if began.IsZero() {
			began = s.At
		}
		if s.Error != "" {
			cause = s
		}
	}
	why := &SetError{Advice: cause.Remedy}
	because := ""
	if cause.Error != "" {
		because = ": " + cause.Error
	}
	switch {
	case !began.IsZero():
		why.Problem = fmt.Sprintf("did not work at the end: it was %s, since %s%s", state, began.UTC().Format(time.TimeOnly), because)
		return why
	case times == 0:
		return nil
	}
	how := "once"
	if times > 1 {
		how = fmt.Sprintf("%d times", times)
	}
	why.Problem = fmt.Sprintf("was interrupted %s, for %s in all%s", how, max(away.Round(100*time.Millisecond), 100*time.Millisecond), because)
	return why
}
