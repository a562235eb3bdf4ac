package screen

import (
	"net/url"
	"strings"

	tea "charm.land/bubbletea/v2"

	"culvert/internal/say"
	"culvert/tunnel"
	"culvert/tunnel/doctor"
	"culvert/ui/draw"
)

// probe is the dialog that asks for a URL which the doctor is to reach through a tunnel. The user may leave it empty.
type probe struct {
	*look

	about     string
	field     *draw.Field
	linkLocal bool // the host may be a link-local address
	chosen    func(*url.URL) wish
}

func newProbe(l *look, about, before string, linkLocal bool, chosen func(*url.URL) wish) *probe {
	p := &probe{look: l, about: about, field: draw.NewField("URL to reach", "none"), linkLocal: linkLocal, chosen: chosen}
	p.field.Set(before)
	return p
}

func (p *probe) title() string {
	return p.theme.Strong.Paint("doctor") + " " + p.theme.Accent.Paint(p.about)
}

func (p *probe) foot() string { return "" }

func (p *probe) help() []draw.Binding {
	return []draw.Binding{p.keys.in.As("examine"), p.keys.back.As("cancel")}
}

func (p *probe) draw(w, _ int, _ bool) []string {
	t := p.theme
	lines := []string{""}
	for _, line := range draw.Wrap("Which host cannot be reached? https://HOST/ and http://HOST/ go through the proxy, tcp://HOST:PORT and tls://HOST:PORT past it. Without one the doctor looks as far as the tunnel's own end.", w-4) {
		lines = append(lines, "  "+t.Muted.Paint(line)+" ")
	}
	return append(append(append(lines, ""), p.field.Draw(t, w, true)...), "")
}

// parse reads the URL that was typed; nil for an empty field.
func (p *probe) parse() (*url.URL, error) {
	text := p.field.Value()
	if text == "" {
		return nil, nil //nolint:nilnil // an empty field is allowed
	}
	u, err := doctor.ParseProbe(text)
	if err != nil {
		return nil, err
	}
	if e := (tunnel.Endpoint{Host: u.Hostname()}); e.LinkLocal() && !p.linkLocal {
		return nil, &tunnel.LinkLocalError{Host: u.Hostname()}
	}
	return u, nil
}

func (p *probe) update(msg tea.Msg) (wish, bool) {
	switch m := msg.(type) {
	case tea.KeyPressMsg:
		switch m.String() {
		case "esc":
			return dismiss(p), true
		case "enter":
			u, err := p.parse()
			if err != nil {
				p.field.Wrong = say.Line(err.Error() + ": " + say.Remedy(err))
				return nil, true
			}
			return all(dismiss(p), p.chosen(u)), true
		}
	case tea.PasteMsg:
		m.Content = strings.Join(strings.Fields(say.Line(m.Content)), " ")
		msg = m
	}
	if p.field.Update(msg) {
		p.field.Wrong = ""
	}
	return nil, true
}
