package ui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
)

// pick is a dialog that offers a few names, filtered while the user types.
type pick struct {
	app    *app
	name   string
	table  *table[choice]
	free   func(typed string) bool // whether a name that is not offered may be chosen, too; nil: none
	chosen func(string) tea.Cmd
}

// choice is a name on offer with a word about it.
type choice struct{ name, about string }

func newPick(a *app, name string, choices []choice, chosen func(string) tea.Cmd) *pick {
	p := &pick{app: a, name: name, chosen: chosen}
	p.table = newTable(a.theme, a.keys, func(c choice) string { return c.name },
		column[choice]{title: "NAME", grow: true, text: func(c choice) string { return say.Line(c.name) }},
		column[choice]{title: "", text: func(c choice) string { return c.about }, ink: func(choice) ink { return a.theme.muted }, drop: 1},
	)
	p.table.typing = true
	p.table.set(choices)
	return p
}

// newProfiles offers the profiles of AWS's files.
func newProfiles(a *app) *pick {
	var choices []choice
	if a.o.Profiles != nil {
		for _, name := range a.o.Profiles() {
			about := ""
			if name == a.here.profileName() {
				about = "in use"
			}
			choices = append(choices, choice{name, about})
		}
	}
	p := newPick(a, "profile", choices, func(name string) tea.Cmd { return a.goTo(name, "") })
	p.table.moveTo(a.here.profileName())
	return p
}

// newRegions offers AWS's regions; one that is newer than culvert can be typed.
func newRegions(a *app) *pick {
	choices := regions()
	for i := range choices {
		if choices[i].name == a.here.regionName() {
			choices[i].about += ", in use"
		}
	}
	p := newPick(a, "region", choices, func(name string) tea.Cmd { return a.goTo(a.here.profile, name) })
	p.free = func(typed string) bool { return strings.Count(typed, "-") >= 2 }
	p.table.moveTo(a.here.regionName())
	return p
}

func (p *pick) title() string { return p.app.theme.strong.paint(p.name) + "  " + p.table.finding() }

func (p *pick) foot() string { return p.table.counted("choice") }

func (p *pick) help() []binding {
	return []binding{p.app.keys.in.as("choose"), p.app.keys.back}
}

// The most that a list to pick from takes.
const (
	pickWidth = 56
	pickLines = 16
)

func (p *pick) draw(w, h int) []string {
	t := p.app.theme
	w, h = min(w, pickWidth), min(h, pickLines, max(len(p.table.rows)+1, 3))
	switch {
	case len(p.table.rows) == 0:
		lines := []string{""}
		for _, line := range wrap("There is nothing to choose from: AWS's files name no "+p.name+".", w-4) {
			lines = append(lines, "  "+line)
		}
		return t.fill(append(lines, ""), w, len(lines)+1)
	case len(p.table.shown) == 0 && p.free != nil && p.free(p.table.filter):
		return t.fill([]string{"", "  enter takes " + say.Line(p.table.filter)}, w, h)
	case len(p.table.shown) == 0:
		return t.fill([]string{"", "  No " + p.name + " matches."}, w, h)
	}
	return t.fill(p.table.draw(w, h, true), w, h)
}

func (p *pick) update(msg tea.Msg) (tea.Cmd, bool) {
	k, isKey := msg.(tea.KeyPressMsg)
	if !isKey {
		p.table.update(msg)
		return nil, true
	}
	switch k.String() {
	case "enter":
		name := p.table.filter
		if c, ok := p.table.row(); ok {
			name = c.name
		} else if p.free == nil || !p.free(name) {
			return nil, true
		}
		p.app.dismiss()
		return p.chosen(name), true
	case "esc":
		p.app.dismiss()
	default:
		p.table.update(msg)
	}
	return nil, true
}

// regions are AWS's, as of November 2026 (AWS General Reference, "Regions").
func regions() []choice {
	return slices.Clone([]choice{
		{"af-south-1", "Cape Town"}, {"ap-east-1", "Hong Kong"}, {"ap-east-2", "Taipei"}, {"ap-northeast-1", "Tokyo"},
		{"ap-northeast-2", "Seoul"}, {"ap-northeast-3", "Osaka"}, {"ap-south-1", "Mumbai"}, {"ap-south-2", "Hyderabad"},
		{"ap-southeast-1", "Singapore"}, {"ap-southeast-2", "Sydney"}, {"ap-southeast-3", "Jakarta"}, {"ap-southeast-4", "Melbourne"},
		{"ap-southeast-5", "Malaysia"}, {"ap-southeast-6", "New Zealand"}, {"ap-southeast-7", "Thailand"}, {"ca-central-1", "Canada"},
		{"ca-west-1", "Calgary"}, {"cn-north-1", "Beijing"}, {"cn-northwest-1", "Ningxia"}, {"eu-central-1", "Frankfurt"},
		{"eu-central-2", "Zurich"}, {"eu-north-1", "Stockholm"}, {"eu-south-1", "Milan"}, {"eu-south-2", "Spain"},
		{"eu-west-1", "Ireland"}, {"eu-west-2", "London"}, {"eu-west-3", "Paris"}, {"il-central-1", "Tel Aviv"},
		{"me-central-1", "UAE"}, {"me-south-1", "Bahrain"}, {"mx-central-1", "Mexico"}, {"sa-east-1", "São Paulo"},
		{"us-east-1", "N. Virginia"}, {"us-east-2", "Ohio"}, {"us-gov-east-1", "GovCloud, east"}, {"us-gov-west-1", "GovCloud, west"},
		{"us-west-1", "N. California"}, {"us-west-2", "Oregon"},
	})
}
