package screen

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/ui/draw"
)

// pick is a dialog that offers names, filtered while the user types.
type pick struct {
	*look

	name   string
	table  *draw.Table[choice]
	number func(i int) wish        // is called when the key with the number of a choice is pressed; nil: choices have no numbers
	free   func(typed string) bool // reports whether a name that is not offered may be chosen; nil: none may
	chosen func(string) wish
}

// choice is a name that is offered, and a few words about it.
type choice struct{ name, about string }

func newPick(l *look, name string, choices []choice, chosen func(string) wish) *pick {
	p := &pick{look: l, name: name, chosen: chosen}
	p.table = draw.NewTable(l.theme, l.keys.table(), func(c choice) string { return c.name },
		draw.Column[choice]{Title: "NAME", Sought: draw.AsName, Text: func(c choice) string { return say.Line(c.name) }},
		draw.Column[choice]{Title: "", Sought: draw.AsText, Least: 8, Rest: true, Text: func(c choice) string { return c.about }, Ink: func(choice) draw.Ink { return l.theme.Muted }, Drop: 1},
	)
	p.table.Type()
	p.table.Set(choices)
	return p
}

// newNumbered offers a few texts, each with a number by which it can be chosen.
func newNumbered(l *look, name string, choices []choice, chosen func(int) wish) *pick {
	numbered := make([]choice, len(choices))
	for i, c := range choices {
		numbered[i] = choice{fmt.Sprintf("%d  %s", i+1, c.name), say.Line(c.about)}
	}
	widest := 0
	for _, c := range numbered {
		widest = max(widest, draw.Width(c.name))
	}
	for i := range numbered { // the words are cut to what fits, as a column that is too wide would be left out
		numbered[i].about = l.theme.Cut(numbered[i].about, pickWidth-widest-4)
	}
	p := newPick(l, name, numbered, func(name string) wish {
		return chosen(slices.IndexFunc(numbered, func(c choice) bool { return c.name == name }))
	})
	p.number = func(i int) wish {
		if i >= len(choices) {
			return nil
		}
		return all(dismiss(p), chosen(i))
	}
	return p
}

// newProfiles offers the profiles of AWS's files.
func newProfiles(l *look, here *place, profiles func() []string) *pick {
	var choices []choice
	if profiles != nil {
		for _, name := range profiles() {
			about := ""
			if name == here.profileName() {
				about = "in use"
			}
			choices = append(choices, choice{name, about})
		}
	}
	p := newPick(l, "profile", choices, func(name string) wish { return goTo(name, "") })
	p.table.MoveTo(here.profileName())
	return p
}

// newRegions offers AWS's regions; one that is newer than culvert can be typed.
func newRegions(l *look, here *place) *pick {
	choices := regions()
	for i := range choices {
		if choices[i].name == here.regionName() {
			choices[i].about += ", in use"
		}
	}
	p := newPick(l, "region", choices, func(name string) wish { return goTo(here.profile, name) })
	p.free = func(typed string) bool { return strings.Count(typed, "-") >= 2 }
	p.table.MoveTo(here.regionName())
	return p
}

func (p *pick) title() string { return p.theme.Strong.Paint(p.name) + "  " + p.table.Finding() }

func (p *pick) foot() string { return p.table.Counted("choice") }

func (p *pick) help() []draw.Binding {
	return []draw.Binding{p.keys.in.As("choose"), p.keys.back}
}

// The size of a list to pick from at the most.
const (
	pickWidth = 56
	pickLines = 16
)

func (p *pick) draw(w, h int, _ bool) []string {
	t := p.theme
	w, h = min(w, pickWidth), min(h, pickLines, max(p.table.Len()+1, 3))
	switch {
	case p.table.Len() == 0:
		lines := []string{""}
		for _, line := range draw.Wrap("There is nothing to choose from: AWS's files name no "+p.name+".", w-4) {
			lines = append(lines, "  "+line)
		}
		return t.Fill(append(lines, ""), w, len(lines)+1)
	case p.table.Shown() == 0 && p.free != nil && p.free(p.table.Filter()):
		return t.Fill([]string{"", "  enter takes " + say.Line(p.table.Filter())}, w, h)
	case p.table.Shown() == 0:
		return t.Fill([]string{"", "  No " + p.name + " matches."}, w, h)
	}
	return t.Fill(p.table.Draw(w, h, true), w, h)
}

func (p *pick) update(msg tea.Msg) (wish, bool) {
	k, isKey := msg.(tea.KeyPressMsg)
	if !isKey {
		if c, ok := p.table.Row(); ok && picked(p.table, msg) {
			return all(dismiss(p), p.chosen(c.name)), true
		}
		p.table.Update(msg)
		return nil, true
	}
	switch k.String() {
	case "enter":
		name := p.table.Filter()
		if c, ok := p.table.Row(); ok {
			name = c.name
		} else if p.free == nil || !p.free(name) {
			return nil, true
		}
		return all(dismiss(p), p.chosen(name)), true
	case "esc":
		return dismiss(p), true
	default:
		if key := k.String(); p.number != nil && len(key) == 1 && key >= "1" && key <= "9" {
			return p.number(int(key[0] - '1')), true
		}
		p.table.Update(msg)
	}
	return nil, true
}

// regions returns AWS's regions, as of November 2026 (AWS General Reference, "Regions").
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
