package screen

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/ui/draw"
)

// savedForm is the dialog that names, changes and renames a saved tunnel or group. Every field is checked while it is typed.
type savedForm struct {
	*look

	shelf      *shelf
	was        Change // the change before what the form says: without Is and IsGroup
	project    string // the project file that has the tunnel or group; empty for the user's own file
	heading    string
	role       string // the role of the account, for which there is no field
	checkProbe func(string) error

	name, target, forward, probe, profile, region, groups *draw.Field       // the fields of a tunnel
	via, deny, most                                       *draw.Field       // the fields of a tunnel to any host, whose field forward is its local side; else nil
	warm                                                  []tunnel.Endpoint // the warm destinations of that tunnel, for which there is no field
	named                                                 bool              // the tunnel leads to a destination by its name
	members                                               *draw.Field       // the field of a group

	at      int
	saving  bool
	failure error
}

// newSavedForm makes the dialog for a change: of a tunnel or group that exists, or of a new one, for which the fields are
// proposed. Nothing is saved before the user agrees.
func newSavedForm(l *look, s *shelf, c Change, o Options) *savedForm {
	f := &savedForm{look: l, shelf: s, checkProbe: o.CheckProbe}
	f.was = Change{Was: c.Was, WasGroup: c.WasGroup}
	f.name = draw.NewField("name", "one word, as in culvert up NAME")
	if c.IsGroup.Name != "" {
		f.heading = "edit group"
		f.name.Set(c.IsGroup.Name)
		f.members = draw.NewField("tunnels", "names of saved tunnels")
		f.members.Set(strings.Join(c.IsGroup.Tunnels, " "))
		f.check()
		return f
	}
	f.heading = "save"
	if c.Was.Name != "" {
		f.heading = "edit"
	}
	if f.project = c.Was.Project; f.project != "" {
		f.was.Was = SavedTunnel{} // a project file is not changed: the tunnel becomes a new one of the user's own
	}
	one := c.Is
	f.role = one.Entry.Role
	f.name.Set(one.Name)
	f.target = draw.NewField("target", "cluster/service")
	f.target.Set(one.Target.String())
	f.forward = draw.NewField("forward", "a port, as 5432, or 15432:HOST:5432")
	f.forward.Set(one.Forward.String())
	if f.named = one.Forward.To != ""; f.named {
		f.target = draw.NewField("through", "found by itself")
		f.target.Set(one.Target.String())
		f.forward = draw.NewField("to", "a destination's name, or 15432:NAME")
		f.forward.Set(one.Forward.String())
	}
	if of := one.Forward.Dynamic; of != nil {
		f.lead(of)
	}
	f.probe = draw.NewField("probe", "chosen by the port", "", "none", "tcp", "http")
	f.probe.Set(one.Probe)
	f.profile = draw.NewField("profile", "whatever is looked at")
	if o.Profiles != nil {
		f.profile.Choice = append([]string{""}, o.Profiles()...)
	}
	f.profile.Set(one.Entry.Profile)
	f.region = draw.NewField("region", "whatever is looked at")
	f.region.Set(one.Entry.Region)
	f.groups = draw.NewField("groups", "none")
	f.groups.Set(strings.Join(s.groupsOf(one.Name), " "))
	f.check()
	return f
}

func (f *savedForm) fields() []*draw.Field {
	if f.members != nil {
		return []*draw.Field{f.name, f.members}
	}
	if f.via != nil {
		return []*draw.Field{f.name, f.target, f.forward, f.via, f.deny, f.most, f.probe, f.profile, f.region, f.groups}
	}
	return []*draw.Field{f.name, f.target, f.forward, f.probe, f.profile, f.region, f.groups}
}

// lead makes the dialog one for a tunnel to any host.
func (f *savedForm) lead(to *tunnel.Dynamic) {
	local := f.forward.Value()
	f.forward = draw.NewField("any host at", "a local port, as 1080")
	f.forward.Set(local)
	f.via, f.deny, f.most = anyFields()
	setAny(to, f.via, f.deny, f.most)
	f.warm = to.Warm
}

// forwarding reads the forward from the form.
func (f *savedForm) forwarding() (tunnel.Forward, error) {
	switch {
	case f.named:
		return tunnel.ParseNamed(f.forward.Value())
	case f.via == nil:
		return tunnel.ParseForward(f.forward.Value())
	}
	forward, err := anywhere(f.forward.Value(), f.via, f.deny, f.most)
	if err == nil {
		forward.Dynamic.Warm = f.warm
	}
	return forward, err
}

// maxSavedName bounds the name of a saved tunnel or group, in characters.
const maxSavedName = 64

// wrongName says why a name cannot be used; empty when it can.
func wrongName(name string) string {
	switch {
	case name == "":
		return "it needs a name"
	case strings.HasPrefix(name, "-"):
		return "a name does not begin with -: commands would take it for a flag"
	case utf8.RuneCountInString(name) > maxSavedName:
		return "too long"
	case strings.ContainsAny(name, " \t/,"), say.Line(name) != name:
		return "one word of letters, digits and signs, without / and ,"
	}
	return ""
}

// check says what is wrong, field by field.
func (f *savedForm) check() {
	for _, field := range f.fields() {
		field.Wrong = ""
	}
	s, name := f.shelf, f.name.Value()
	f.name.About, f.name.Wrong = "", wrongName(name)
	if by := s.taken(name); by != "" && name != f.was.Was.Name && name != f.was.WasGroup.Name {
		f.name.Wrong = "there is one of that name already: " + say.Line(by)
	} else if t, ok := s.named(name); ok && t.Project != "" {
		f.name.About = "wins over that of " + say.Line(t.Project)
	}
	if f.members != nil {
		f.checkMembers()
		return
	}
	problem := func(err error) string {
		if err == nil {
			return ""
		}
		return say.Line(err.Error())
	}
	_, err := aws.ParseTarget(f.target.Value())
	if !f.named || f.target.Value() != "" {
		f.target.Wrong = problem(err)
	}
	_, err = f.forwarding()
	if bad, ok := errors.AsType[*tunnel.FormError](err); ok {
		f.forward.Wrong = say.Line(bad.Problem)
	}
	if f.via != nil {
		checkAny(f.via, f.deny, f.most)
	}
	if probe := f.probe.Value(); probe != "" && f.checkProbe != nil {
		f.probe.Wrong = problem(f.checkProbe(probe))
	}
	f.profile.About = ""
	if profile := f.profile.Value(); profile != "" && len(f.profile.Choice) > 0 && !slices.Contains(f.profile.Choice, profile) {
		f.profile.About = "not in AWS's files here"
	}
	if strings.ContainsAny(f.region.Value(), " \t") {
		f.region.Wrong = "a region is one word"
	}
	f.groups.About = "words; a group that is not there is made"
	for _, group := range words(f.groups) {
		_, tunnel := s.named(group)
		switch {
		case wrongName(group) != "":
			f.groups.Wrong = say.Line(group) + ": " + wrongName(group)
		case tunnel || group == name:
			f.groups.Wrong = say.Line(group) + " is the name of a tunnel"
		}
	}
}

func (f *savedForm) checkMembers() {
	members := words(f.members)
	if len(members) == 0 {
		f.members.Wrong = "a group needs a tunnel"
	}
	for i, name := range members {
		t, ok := f.shelf.named(name)
		switch {
		case !ok:
			f.members.Wrong = "there is no tunnel " + say.Line(name)
		case t.Project != "":
			f.members.Wrong = say.Line(name) + " is of the project file " + say.Line(t.Project)
		case slices.Contains(members[:i], name):
			f.members.Wrong = say.Line(name) + " is named twice"
		}
	}
}

// words returns the words of a field, which have commas or blanks between them.
func words(f *draw.Field) []string {
	return strings.FieldsFunc(f.Value(), func(r rune) bool { return r == ' ' || r == ',' })
}

// change returns the change that the form says.
func (f *savedForm) change() Change {
	c := f.was
	if f.members != nil {
		c.IsGroup = SavedGroup{Name: f.name.Value(), Tunnels: words(f.members)}
		return c
	}
	target, _ := aws.ParseTarget(f.target.Value()) // no error: check has read it before
	forward, _ := f.forwarding()
	c.Is = SavedTunnel{Name: f.name.Value(), Target: target, Forward: forward, Probe: f.probe.Value()}
	c.Is.Entry = Account{Profile: f.profile.Value(), Region: f.region.Value(), Role: f.role}
	c.Groups = append([]string{}, words(f.groups)...)
	return c
}

func (f *savedForm) title() string {
	t := f.theme
	title := t.Strong.Paint(f.heading)
	if name := f.was.Was.Name + f.was.WasGroup.Name; name != "" {
		title += " " + t.Accent.Paint(t.Cut(say.Line(name), 40))
	}
	return title
}

func (f *savedForm) foot() string { return "" }

func (f *savedForm) help() []draw.Binding {
	return []draw.Binding{f.keys.in.As("save"), f.keys.back.As("cancel"), draw.Bind("", "next", "tab")}
}

func (f *savedForm) draw(w, _ int, _ bool) []string {
	t := f.theme
	lines := f.head(w)
	for i, field := range f.fields() {
		lines = append(lines, field.Draw(t, w, i == f.at)...)
	}
	switch {
	case f.saving:
		lines = append(lines, "", " "+t.Busy.Paint(f.spinner()+" saving"))
	case f.failure != nil:
		lines = append(append(lines, ""), f.problem(f.failure, w, shortAdvice)...)
	}
	return append(lines, "")
}

// head returns the lines about what is special with the tunnel or group.
func (f *savedForm) head(w int) []string {
	if f.project == "" {
		return []string{""}
	}
	lines := []string{""}
	for _, line := range draw.Wrap("It is of the project file "+say.Line(f.project)+", which stays as it is: what is saved here is your own, and wins.", w-4) {
		lines = append(lines, "  "+f.theme.Muted.Paint(line))
	}
	return append(lines, "")
}

func (f *savedForm) update(msg tea.Msg) (wish, bool) {
	fields := f.fields()
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		if f.saving {
			return nil, true
		}
		switch msg.String() {
		case "esc":
			return dismiss(f), true
		case "enter":
			return f.save(), true
		case "up", "shift+tab":
			f.at = (f.at + len(fields) - 1) % len(fields)
			return nil, true
		case "down", "tab":
			f.at = (f.at + 1) % len(fields)
			return nil, true
		}
	case tea.PasteMsg:
		msg.Content = strings.Join(strings.Fields(say.Line(msg.Content)), " ")
		return nil, f.changed(msg)
	case tea.MouseClickMsg:
		f.click(msg.Y)
		return nil, true
	}
	return nil, f.changed(msg)
}

func (f *savedForm) changed(msg tea.Msg) bool {
	if f.fields()[f.at].Update(msg) {
		f.failure = nil
		f.check()
	}
	return true
}

// click moves the keyboard to the field in a line.
func (f *savedForm) click(line int) {
	at := len(f.head(dialogWidth - 2))
	for i, field := range f.fields() {
		lines := len(field.Draw(f.theme, dialogWidth-2, i == f.at))
		if line >= at && line < at+lines {
			f.at = i
			return
		}
		at += lines
	}
}

// save writes the change. When that fails, the dialog stays and shows why.
func (f *savedForm) save() wish {
	for i, field := range f.fields() {
		if field.Wrong != "" {
			f.at = i
			return nil
		}
	}
	c := f.change()
	f.saving, f.failure = true, nil
	return f.shelf.keep([]Change{c}, "saved "+say.Line(c.Is.Name+c.IsGroup.Name), func(err error) wish {
		f.saving = false
		if err == nil {
			return dismiss(f)
		}
		f.failure = err
		f.refresh()
		return nil
	})
}

// refresh reads anew what the file says of the tunnel or group, so that a second try changes that.
func (f *savedForm) refresh() {
	if was := f.was.Was.Name; was != "" {
		f.was.Was, _ = f.shelf.named(was)
	}
	if was := f.was.WasGroup.Name; was != "" {
		i := slices.IndexFunc(f.shelf.Groups, func(g SavedGroup) bool { return g.Name == was })
		f.was.WasGroup = SavedGroup{}
		if i >= 0 {
			f.was.WasGroup = f.shelf.Groups[i]
		}
	}
	f.check()
}
