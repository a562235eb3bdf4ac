package cli

import (
	"cmp"
	"net/url"
	"os"
	"slices"
	"strings"

	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/ui/control"
	"culvert/ui/headless"
)

// `down` gives back the variables that `up` has set for the later steps of a GitHub job: each gets its value from before, which
// may be a company's proxy. These values are in the record of the set, so that it does not matter how the set has ended.

// exported are the variables for the later steps, given the environment. There are none without a proxy.
func (u *up) exported(given []string, proxy string) []headless.Pair {
	if proxy == "" || u.proxy.Off {
		return nil
	}
	if !u.proxy.export {
		all := headless.ProxyPairs(nil, proxy, headless.ProxyEnv{}, nil)
		return slices.DeleteFunc(all, func(p headless.Pair) bool { return p.Name != "CULVERT_PROXY" && p.Name != "PROXY_SERVER" })
	}
	return headless.ProxyPairs(given, proxy, u.proxy.ProxyEnv, u.directHosts())
}

// directHosts are the hosts that the later steps reach without the proxy.
func (u *up) directHosts() []string { return slices.Concat(runnerHosts(), u.noProxy) }

// checkProxyEnv refuses what --proxy-env cannot do for `up`.
func (u *up) checkProxyEnv(a *app) error {
	switch said := "--proxy-env=" + u.proxy.text; {
	case u.proxy.export && a.github == nil:
		return usage("leave it out, and take the proxy from "+a.shared.shell().Culvert("status")+" or up -o json", "%s sets variables for the later steps of a GitHub job, and this is none", said)
	case (u.proxy.All || u.proxy.Java) && !u.proxy.export && !u.form.variables():
		return usage("write --proxy-env=export,"+u.proxy.text, "%s adds to what later steps get, which is nothing without export", said)
	}
	return nil
}

// current is the value that the next step of the job will see for a variable.
func (a *app) current(name string) string {
	if value, changed := a.given[name]; changed {
		return value
	}
	return os.Getenv(name)
}

// before is the value that a variable had before a set was up. earlier is what the record of the set says of an earlier export.
func (a *app) before(earlier []control.Export, name string) string {
	value := a.current(name)
	for _, e := range earlier {
		if e.Name == name && e.Is(value) {
			return e.Before
		}
	}
	return value
}

// export sets variables for the later steps, and notes in the set's record what they were before.
func (a *app) export(dir control.Dir, set control.Set, u *up, proxy string) error {
	if a.github == nil {
		return nil
	}
	record, _ := dir.Read(set.Name) // there is one while the set is up; if it cannot be read, Export returns the error
	var given []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		given = append(given, name+"="+a.before(record.Exported, name))
	}
	exported := u.exported(given, proxy)
	if len(exported) == 0 {
		return nil
	}
	var notes []control.Export
	for _, p := range exported {
		notes = append(notes, control.NewExport(p.Name, a.before(record.Exported, p.Name), p.Value))
	}
	if err := dir.Export(set.Name, notes); err != nil {
		return err
	}
	return a.github.Export(exported)
}

// giveBack sets the variables of a set that has ended to what they were before, for the later steps. A variable that was changed
// since is left alone. If another set has noted a value of the ended set as the one before, it will give back the one before
// both.
func (a *app) giveBack(dir control.Dir, exported []control.Export) error {
	if a.github == nil || len(exported) == 0 {
		return nil
	}
	var back []headless.Pair
	for _, e := range exported {
		if now := a.current(e.Name); now == "" || now == e.Before || e.Is(now) {
			back = append(back, headless.Pair{Name: e.Name, Value: e.Before})
			if a.given == nil {
				a.given = map[string]string{}
			}
			a.given[e.Name] = e.Before
		}
	}
	names, err := dir.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := passOver(dir, name, exported); err != nil {
			return err
		}
	}
	return a.github.Export(back)
}

// passOver notes in the record of another set what its variables were before the set that has ended.
func passOver(dir control.Dir, name string, ended []control.Export) error {
	r, err := dir.Read(name)
	if err != nil {
		return nil //nolint:nilerr // the other set has ended meanwhile
	}
	changed := false
	for i, mine := range r.Exported {
		for _, e := range ended {
			if e.Name == mine.Name && e.Is(mine.Before) {
				r.Exported[i].Before, changed = e.Before, true
			}
		}
	}
	if !changed {
		return nil
	}
	return dir.Export(name, r.Exported)
}

// warnOfExport warns when the later steps of a job get no proxy although --proxy-env asks for one, or do not use it for some
// hosts. The process in the background has warned only in its log, which the runner does not read.
func (a *app) warnOfExport(set control.Set, r wantedSet, u *up) {
	var seen []string
	proxy := slices.IndexFunc(set.Tunnels, func(t control.Tunnel) bool { return t.ProxyURL != "" })
	for _, t := range set.Tunnels {
		seen = append(seen, t.Remote+" "+headless.Seen(cmp.Or(t.Proof, "none"), t.Server, t.Host == "" && (t.Proof == "http-proxy" || t.Dynamic != nil)))
		if t.LoginWanted {
			wanted := &doctor.LoginWantedError{Remote: specOf(r, t.ID).Remote}
			a.github.Warn(wanted.Error(), wanted.Remedy())
		}
	}
	var warnings []headless.Warning
	switch {
	case u.proxy.Off:
	case proxy < 0 && u.proxy.Said != "":
		warnings = append(warnings, headless.NoProxyAt("--proxy-env="+u.proxy.Said, seen))
	case proxy < 0 || a.github == nil:
	default:
		how := u.proxy.ProxyEnv
		how.Drop = how.Drop && u.proxy.export // without export NO_PROXY stays as it is
		warnings = append(warnings, headless.Exempted(os.Environ(), how, u.noProxy, a.probed(r), specOf(r, set.Tunnels[proxy].ID).Dynamic), headless.Undone(os.Environ(), how, u.directHosts()))
	}
	for _, w := range warnings {
		if w != (headless.Warning{}) {
			a.warn(&control.SetError{Problem: w.Problem, Advice: w.Remedy})
		}
	}
}

// specOf is the spec with which a tunnel was asked for, by its number in the set.
func specOf(r wantedSet, id int) tunnel.Spec {
	if id < 1 || id > len(r.wanted) {
		return tunnel.Spec{}
	}
	return r.wanted[id-1].Spec
}

// probed is the URL that was fetched through the proxy; nil when none was.
func (a *app) probed(r wantedSet) *url.URL {
	for _, w := range r.wanted {
		if w.Probe.Kind == headless.ProbeURL {
			return w.Probe.URL
		}
	}
	if a.shared.probe.Kind == headless.ProbeURL {
		return a.shared.probe.URL
	}
	return nil
}
