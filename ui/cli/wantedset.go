package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"culvert/aws"
	"culvert/internal/near"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/ui/control"
	"culvert/ui/headless"
)

// wantedSet is the set of tunnels that a call of `culvert up` asks for, every value checked.
type wantedSet struct {
	name   string
	wanted []headless.Forward
	in     []control.Account // the account of each of wanted
	parent *control.Process
	demand *headless.OnDemand // starts the task to which all of wanted lead; nil when nothing is to be started
	text   []string           // the set in words, to compare with what is up under the name
}

// login is the login for the proxy of a tunnel, by the tunnel's number in the set; nil for none.
func (r wantedSet) login(id int) *doctor.Login {
	if id < 1 || id > len(r.wanted) {
		return nil
	}
	return r.wanted[id-1].Login
}

// record is the record of the set, with this process as its holder.
func (r wantedSet) record(dir control.Dir) control.Record {
	record := control.Record{Name: r.name, Process: control.Self(), Since: time.Now(), Request: r.text, Log: dir.Log(r.name)}
	for _, in := range r.in {
		if known := recorded(in); !slices.Contains(record.Accounts, known) {
			record.Accounts = append(record.Accounts, known)
		}
	}
	return record
}

func (u *up) wantedSet(a *app, words []string) (wantedSet, error) {
	r := wantedSet{name: u.name}
	err := u.demand.check(a.shared.readOnly)
	if err != nil {
		return r, err
	}
	if r.wanted, r.in, err = u.wanted(a, words); err != nil {
		return r, err
	}
	if r.name == "" {
		if len(words) > 1 {
			return r, usage("pass --name NAME as well", "several tunnels are one set, which needs a name")
		}
		r.name = defaultName
		if len(words) == 1 {
			r.name = words[0]
		}
	}
	if err := control.CheckName(r.name); err != nil {
		return r, err
	}
	if u.during < 0 {
		return r, usage("give a duration such as 90m", "--for %s is in the past", u.during)
	}
	if u.parent != 0 {
		parent, alive := control.Of(u.parent)
		if !alive {
			return r, usage("give the number of a process that runs", "--parent %d: there is no such process", u.parent)
		}
		r.parent = &parent
	}
	r.text = a.textOf(r)
	if u.demand.wanted() {
		_, service, _ := u.demand.query(&u.aim)
		r.text = append(r.text, u.demand.wording(service))
		r.demand = a.onDemand(&u.demand, &u.aim, r.in[0])
	}
	return r, nil
}

// textOf is a wanted set in words, which are equal for two calls that ask for the same.
func (a *app) textOf(r wantedSet) []string {
	var text []string
	if a.shared.demo {
		text = append(text, "demo")
	}
	for i, w := range r.wanted {
		q := w.Query
		local := listensOn(w.Spec)
		where := ""
		if q.Home != (aws.Home{}) {
			where = " in " + q.Home.String()
		}
		user := ""
		if w.Login != nil {
			user = " as the proxy's user " + w.Login.User
		}
		through := q.Target().String()
		if w.Spec.To != "" {
			through = cmp.Or(through, "any service")
		}
		text = append(text, fmt.Sprintf("%s%s: %s to %s%s%s", through, where, local, w.Spec.FarEnd(), wordingOf(w.Spec.Dynamic)+wording(recorded(r.in[i])), user))
	}
	return text
}

// listensOn says where a forward is to listen. Without an address it says only the port.
func listensOn(s tunnel.Spec) string {
	switch {
	case s.Socket != "":
		return s.Socket
	case s.Local.IsValid():
		return s.Local.String()
	}
	return fmt.Sprintf("port %d", s.Local.Port())
}

// wanted returns the forwards of the saved tunnels and groups that words name, or without words those of the flags, and the
// account of each.
func (u *up) wanted(a *app, words []string) (all []headless.Forward, in []control.Account, err error) {
	if len(words) == 0 {
		all, err = a.wanted(&u.aim, &u.forwards, &u.demand)
		return all, slices.Repeat([]control.Account{a.shared.own()}, len(all)), err
	}
	if u.demand.wanted() {
		return nil, nil, usage("give a target and forwards by flags, or leave them out", "--run and --start are for one target, and %q stands for what is saved, with a target of its own", words[0])
	}
	if u.aim.given() || u.forwards.given() {
		return nil, nil, usage("name saved tunnels, or give a target and forwards, but not both", "%q stands for what is saved, with its own target and forward", words[0])
	}
	var names []string
	for _, word := range words {
		members, err := a.members(word)
		if err != nil {
			return nil, nil, err
		}
		for _, member := range members {
			if !slices.Contains(names, member) {
				names = append(names, member)
			}
		}
	}
	anyHost := false
	for _, name := range names {
		i := slices.IndexFunc(a.shared.saved.tunnels, func(t savedTunnel) bool { return t.name == name })
		saved := a.shared.saved.tunnels[i]
		if !u.hold { // the process in the foreground has already told this
			a.noticeOrigin(saved)
		}
		forward := saved.forward
		if forward.Dynamic != nil {
			forward.Dynamic, anyHost = a.shared.anyHostOf(forward.Dynamic), true
		}
		if err := errors.Join(u.forwards.reach(forward.Remote), u.forwards.listen(&forward)); err != nil {
			return nil, nil, fmt.Errorf("tunnel %s of %s: %w", name, saved.file, err)
		}
		spec := forward.Spec(aws.Target{})
		spec.KeepAlive = a.shared.keepAlive
		spec.Lanes, spec.OneTask = a.shared.lanesOf(&saved)
		wanted := headless.Forward{Query: forPort(saved.target.Query(), spec), Spec: spec}
		if !a.shared.set.Lookup("probe").Changed {
			wanted.Probe = saved.probe.Probe
		}
		if wanted.Login, err = a.shared.loginOf(&saved); err != nil {
			return nil, nil, err
		}
		account := a.shared.accountOf(&saved)
		named := saved.named(account)
		wanted.Profile, wanted.Region = named.Profile, named.Region
		all, in = append(all, wanted), append(in, account)
	}
	if !anyHost {
		err = a.shared.withoutAnyHost()
	}
	return all, in, cmp.Or(err, a.shared.checkProbe(all))
}

// members returns the names of the saved tunnels for a word: the tunnel with this name, or those of a group.
func (a *app) members(word string) ([]string, error) {
	saved := &a.shared.saved
	if slices.ContainsFunc(saved.tunnels, func(t savedTunnel) bool { return t.name == word }) {
		return []string{word}, nil
	}
	for _, g := range saved.groups {
		if g.name == word {
			return g.tunnels, nil
		}
	}
	known := a.savedNames()
	switch near := near.Name(word, known); {
	case len(known) == 0:
		return nil, usage("save it under tunnels: in "+findPaths().Config+", or give --target and -L", "no saved tunnel %q: there are none", word)
	case near != "":
		return nil, usage(fmt.Sprintf("did you mean %q? Saved are: %s", near, strings.Join(known, ", ")), "no saved tunnel or group %q", word)
	}
	return nil, usage("saved are: "+strings.Join(known, ", "), "no saved tunnel or group %q", word)
}

func (a *app) savedNames() []string {
	names := a.shared.saved.names()
	slices.Sort(names)
	return slices.Compact(names)
}

// savedWords returns the saved names for a shell; none after an error, as a shell can show no error there.
func (a *app) savedWords() []string {
	if a.shared.resolve() != nil {
		return nil
	}
	return a.savedNames()
}
