package ui

import (
	"strings"

	"culvert/internal/say"
)

// header says where the user is: profile, account, region, role and how long the credentials last. What matters most
// stands first; at no width is one of them missing, long names are shortened.
func (a *app) header(w, lines int) []string {
	t, p := a.theme, a.here
	dot := " " + t.muted.paint(t.glyph.dot) + " "
	name := t.header.paint("culvert")
	profile := say.Line(p.profileName())
	if a.o.Demo {
		name, profile = t.header.paint("culvert demo"), "embedded"
	}
	account := orNone(p.identity.Account, t)
	region := orNone(say.Line(p.regionName()), t)
	expiry, alarm := a.expiry()
	ink := t.muted
	switch {
	case alarm && expiry == "expired":
		ink = t.alarm
	case alarm:
		ink = t.warning
	}
	role := func(room int) string {
		return t.text.paint(t.cutMiddle(orNone(roleName(p.identity.ARN), t), max(room, 4)))
	}
	label := func(word, value string) string { return t.muted.paint(word+" ") + value }

	place := label("profile", t.accent.paint(t.cutMiddle(profile, 20))) + dot + label("account", account) + dot + label("region", t.strong.paint(region))
	if lines > 1 {
		second := ink.paint(expiry)
		room := w - width(second) - 9 - 5
		return []string{" " + name + "  " + place, " " + label("as", role(room-3)) + dot + second}
	}
	first := " " + name + "  " + place
	last := ink.paint(expiry)
	room := w - width(first) - width(last) - 3 - 3 - 1
	if room >= 14 {
		return []string{first + dot + label("as", role(room-3)) + dot + last}
	}
	// No room for words: the values alone.
	first = " " + t.accent.paint(t.cutMiddle(profile, 8)) + dot + account + dot + t.strong.paint(region)
	last = ink.paint(strings.TrimPrefix(expiry, "expires in "))
	return []string{first + dot + role(w-width(first)-width(last)-6) + dot + last}
}

func orNone(s string, t *theme) string {
	if s == "" {
		return t.glyph.none
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
	case p.client == nil && p.trouble != nil, p.identity.Account == "" && p.who != nil:
		return "not signed in", true
	case p.identity.Account == "":
		return "signing in" + a.theme.glyph.more, false
	case p.expires.IsZero():
		return "no expiry", false
	}
	left := p.expires.Sub(a.now)
	switch {
	case left <= 0:
		return "expired", true
	case left < expiresSoon:
		return "expires in " + ageText(left), true
	}
	return "expires in " + ageText(left), false
}
