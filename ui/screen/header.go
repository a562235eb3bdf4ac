package screen

import (
	"strings"

	"culvert/internal/say"
	"culvert/ui/draw"
)

// header says where the user is: profile, account, region, role and how long the credentials last. What matters most
// stands first; at no width is one of them missing, long names are shortened.
func (a *app) header(w, lines int) []string {
	t, p := a.theme, a.here
	dot := " " + t.Muted.Paint(t.Glyph.Dot) + " "
	name := t.Header.Paint("culvert")
	profile := say.Line(p.profileName())
	if a.o.Demo {
		name, profile = t.Header.Paint("culvert demo"), "embedded"
	}
	known := func(s string) string {
		if s == "" && (p.client == nil && p.trouble == nil || p.client != nil && p.who == nil) {
			return t.Glyph.More // it is being asked for
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
	role := func(room int) string {
		return t.Text.Paint(t.CutMiddle(known(roleName(p.identity.ARN)), max(room, 4)))
	}
	label := func(word, value string) string { return t.Muted.Paint(word+" ") + value }

	place := label("profile", t.Accent.Paint(t.CutMiddle(profile, 20))) + dot + label("account", account) + dot + label("region", t.Strong.Paint(region))
	if lines > 1 {
		second := ink.Paint(expiry)
		room := w - draw.Width(second) - 9 - 5
		return []string{" " + name + "  " + place, " " + label("as", role(room-3)) + dot + second}
	}
	first := " " + name + "  " + place
	last := ink.Paint(expiry)
	room := w - draw.Width(first) - draw.Width(last) - 3 - 3 - 1
	if room >= 14 {
		return []string{first + dot + label("as", role(room-3)) + dot + last}
	}
	// No room for words: the values alone.
	first = " " + t.Accent.Paint(t.CutMiddle(profile, 8)) + dot + account + dot + t.Strong.Paint(region)
	last = ink.Paint(strings.TrimPrefix(expiry, "expires in "))
	return []string{first + dot + role(w-draw.Width(first)-draw.Width(last)-6) + dot + last}
}

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

// expiry is how long the credentials last, and whether that needs attention.
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
		return "expires in " + draw.Age(left), true
	}
	return "expires in " + draw.Age(left), false
}
