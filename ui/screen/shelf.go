package screen

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/ui/draw"
)

// shelf holds the saved tunnels and groups, and saves more.
type shelf struct {
	Saved

	look  *look
	write func([]Change) (Written, error) // writes changes to the config file; nil when there is none to save to
	told  []string                        // project files of which the user was told

	undo  func() (Written, error) // takes the last change back; nil when there is none
	until time.Time               // until when that can be undone
}

// undoChange is how long a change of the config file can be undone by a key.
const undoChange = 10 * time.Second

// any reports whether a tunnel has been saved.
func (s *shelf) any() bool { return len(s.Tunnels) > 0 }

// NowhereError means that there is no config file to save to.
type NowhereError struct{}

func (e *NowhereError) Error() string { return "there is no config file to save to" }

// Remedy names the flag for a config file.
func (e *NowhereError) Remedy() string { return "start culvert with --config FILE" }

// save asks for a name for a tunnel that is open and not saved yet, and saves the tunnel. Among several the user chooses one.
func (s *shelf) save(ts *tunnels, rows []*row) wish {
	var fresh []SavedTunnel
	taken := func(name string) bool {
		return s.taken(name) != "" || slices.ContainsFunc(fresh, func(s SavedTunnel) bool { return s.Name == name })
	}
	passing, started, known := 0, 0, ""
	for _, r := range rows {
		if r.holder != nil || r.State.Final() {
			continue
		}
		if i := slices.IndexFunc(s.Tunnels, func(s SavedTunnel) bool { return s.runs(r) }); i >= 0 {
			known = s.Tunnels[i].Name
			continue
		}
		if r.order != nil {
			started++
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
	case len(fresh) == 1:
		return fillIn(Change{Is: fresh[0]})
	case len(fresh) > 1:
		return s.choose(fresh)
	case ts.open() == 0:
		return tell("no tunnel is open that could be saved")
	case started > 0:
		return tell("a tunnel to what is started for it cannot be saved: the config file has no word for that; its form shows the command")
	case passing > 0:
		return tell("a tunnel to a task without a service cannot be saved: the task will not come again")
	case len(rows) == 1 && known != "":
		return tell("this tunnel is saved already, as " + known)
	}
	return tell("every open tunnel is saved already")
}

// choose lets the user choose one of several tunnels to save, or all of them under the proposed names.
func (s *shelf) choose(fresh []SavedTunnel) wish {
	choices := []choice{{name: "all " + draw.Thousands(len(fresh)), about: "under these names"}}
	for _, one := range fresh {
		choices = append(choices, choice{one.Name, say.Line(one.Target.String() + " " + forwardWords(one.Forward))})
	}
	return chooseNumbered("save", choices, func(i int) wish {
		if i > 0 {
			return fillIn(Change{Is: fresh[i-1]})
		}
		var changes []Change
		for _, one := range fresh {
			changes = append(changes, Change{Is: one})
		}
		return s.keep(changes, "saved "+plural(len(fresh), "tunnel"), nil)
	})
}

// taken says what has a name already in the user's own file; empty when nothing has. Names in project files may be used again.
func (s *shelf) taken(name string) string {
	if t, ok := s.named(name); ok && t.Project == "" {
		return "the tunnel " + t.Target.String() + " " + forwardWords(t.Forward)
	}
	if i := slices.IndexFunc(s.Groups, func(g SavedGroup) bool { return g.Name == name && g.Project == "" }); i >= 0 {
		return "a group"
	}
	return ""
}

// groupsOf returns the user's own groups that have a tunnel.
func (s *shelf) groupsOf(name string) []string {
	var groups []string
	for _, g := range s.Groups {
		if g.Project == "" && slices.Contains(g.Tunnels, name) {
			groups = append(groups, g.Name)
		}
	}
	return groups
}

// keep makes changes in the config file, and shows what it says then. settled is called with the error, or nil; without it an
// error is shown as a notice.
func (s *shelf) keep(changes []Change, done string, settled func(error) wish) wish {
	if s.write == nil {
		return fail(&NowhereError{})
	}
	return beside(func() tea.Msg {
		kept, err := s.write(changes)
		return then(func() wish {
			w := s.kept(kept, err, done+" in "+kept.Path)
			if settled != nil {
				return all(w, settled(err))
			}
			if err != nil {
				return fail(err)
			}
			return w
		})
	})
}

// kept takes over what the files say after a change, which may have failed.
func (s *shelf) kept(kept Written, err error, done string) wish {
	if kept.Path != "" {
		s.Saved = kept.Saved
	}
	if err != nil {
		return nil
	}
	if s.undo, s.until = kept.Undo, s.look.now.Add(undoChange); s.undo != nil {
		done += "; " + s.look.keys.saved.Shortest() + " " + s.look.keys.undo.Shortest() + " takes it back"
	}
	return tell(done)
}

// takeBack undoes the last change of the config file, while that can be done.
func (s *shelf) takeBack() wish {
	undo := s.undo
	if undo == nil || s.look.now.After(s.until) {
		return tell("there is no change of the last " + say.Age(undoChange) + " to take back")
	}
	s.undo = nil
	return beside(func() tea.Msg {
		kept, err := undo()
		return then(func() wish {
			kept.Undo = nil
			if err != nil {
				return all(s.kept(kept, err, ""), fail(err))
			}
			return s.kept(kept, nil, "taken back: "+kept.Path+" is what it was")
		})
	})
}
