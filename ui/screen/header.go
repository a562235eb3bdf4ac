package screen

import (
	"strings"

	"culvert/internal/say"
	"culvert/ui/draw"
)

// header says in one line where the user is: profile, account, region, role and how long the credentials last. What matters
// most stands first. None of these is left out at any width: instead the words before them go, and then long names are cut.
func (a *app) header(w int) string {
	t, p := a.theme, a.here
	dot := " " + t.Muted.Paint(t.Glyph.Dot) + " "
	name := t.Header.Paint("culvert")
	profile := say.Line(p.profileName())
	if a.o.Demo {
		name, profile = t.Header.Paint("culvert demo"), "embedded"
	}
	known := func(s string) string {
		if s == "" && (p.client == nil && p.trouble == nil || p.client != nil && p.who == nil) {
			return t.Glyph.More // the value is being asked for
		}
		return orNone(s, t)
	}
	account := known(p.identity.Account)
	region := known(say.Line(p.regionName()))
	expiry, alarm := a.expiry()
	ink := t.Muted
	switch {
	case alarm && expiry == "expired":
		ink = t.Alarm
	case alarm:
		ink = t.Warning
	}
	as := known(roleName(p.identity.ARN))
	role := func(room int) string { return t.Text.Paint(t.CutMiddle(as, max(room, 4))) }
	label := func(word, value string) string { return t.Muted.Paint(word+" ") + value }

	words := " " + name + "  " + label("profile", t.Accent.Paint(t.CutMiddle(profile, 20))) + dot + label("account", account) + dot +
		label("region", t.Strong.Paint(region)) + dot + t.Muted.Paint("as ")
	values := " " + t.Accent.Paint(t.CutMiddle(profile, max(8, w/5))) + dot + account + dot + t.Strong.Paint(region) + dot
	if w >= namedHeader {
		values = " " + name + " " + values
	}
	short := strings.TrimPrefix(expiry, "expires in ")
	for _, c := range []struct{ before, after string }{{words, expiry}, {values, expiry}} {
		if room := w - draw.Width(c.before+dot+c.after) - 1; room >= min(draw.Width(as), wholeRole) {
			return c.before + role(room) + dot + ink.Paint(c.after)
		}
	}
	return values + role(w-draw.Width(values+dot+short)-1) + dot + ink.Paint(short)
}

// namedHeader is the width from which there is room for the program's name beside values without words, wholeRole how
// much of a role has to be in sight before there is room for words.
const (
	namedHeader = 80
	wholeRole   = 30
)

func orNone(s string, t *draw.Theme) string {
	if s == "" {
		return t.Glyph.None
	}
	return s
}

// roleName is the part of a caller's ARN that tells people apart: role/session, user/name or root.
func roleName(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return say.Line(arn)
	}
	return say.Line(strings.TrimPrefix(parts[5], "assumed-role/"))
}

// expiry says how long the credentials last; alarm reports whether that needs attention.
func (a *app) expiry() (text string, alarm bool) {
	p := a.here
	switch {
	case a.tunnels.expired(p):
		return "expired", true
	case p.client == nil && p.trouble != nil, p.identity.Account == "" && p.who != nil:
		return "not signed in", true
	case p.identity.Account == "":
		return "signing in" + a.theme.Glyph.More, false
	case p.expires.IsZero():
		return "no expiry", false
	}
	left := p.expires.Sub(a.now)
	switch {
	case left <= 0:
		return "expired", true
	case left < expiresSoon:
		return "expires in " + say.Age(left), true
	}
	return "expires in " + say.Age(left), false
}
