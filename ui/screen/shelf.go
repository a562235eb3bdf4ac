package screen

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
)

// shelf is what has been saved, and the way to save more.
type shelf struct {
	Saved

	write func([]SavedTunnel) (path string, err error) // nil: there is nowhere to save to
	told  []string                                     // project files that the user has been told of
}

// any reports whether a tunnel has been saved.
func (s *shelf) any() bool { return len(s.Tunnels) > 0 }

// NowhereError is a wish to save without a config file to save to.
type NowhereError struct{}

func (e *NowhereError) Error() string { return "there is no config file to save to" }

// Remedy names the flag.
func (e *NowhereError) Remedy() string { return "start culvert with --config FILE" }

// save offers to write those of some tunnels that are open and not saved yet to the config file.
func (s *shelf) save(ts *tunnels, rows []*row) wish {
	var fresh []SavedTunnel
	taken := func(name string) bool {
		_, known := s.named(name)
		return known || slices.ContainsFunc(fresh, func(s SavedTunnel) bool { return s.Name == name })
	}
	passing := 0
	for _, r := range rows {
		if r.holder != nil || r.State.Final() || slices.ContainsFunc(s.Tunnels, func(s SavedTunnel) bool { return s.runs(r) }) {
			continue
		}
		if one, ok := saving(r, taken); ok {
			fresh = append(fresh, one)
		} else {
			passing++
		}
	}
	switch {
	case len(fresh) > 0 && s.write == nil:
		return fail(&NowhereError{})
	case len(fresh) > 0:
		text := []string{"Save to the config file:", ""}
		for _, one := range fresh {
			text = append(text, say.Line(one.Name+": "+one.Target.String()+" "+one.Forward.String()))
		}
		return confirm("save", "save", func() wish { return s.saveNow(fresh) }, text...)
	case ts.open() == 0:
		return tell("no tunnel is open that could be saved")
	case passing > 0:
		return tell("a tunnel to a task without a service cannot be saved: the task will not come again")
	}
	return tell("every open tunnel is saved already")
}

func (s *shelf) saveNow(fresh []SavedTunnel) wish {
	return beside(func() tea.Msg {
		path, err := s.write(fresh)
		return then(func() wish {
			if err != nil {
				return fail(err)
			}
			s.Tunnels = append(s.Tunnels, fresh...)
			return tell("saved " + plural(len(fresh), "tunnel") + " to " + path)
		})
	})
}
