package main

import (
	"regexp"
	"slices"
	"strings"

	"culvert/internal/film"
)

// moment is what must be the same whenever the script is played: a screen without what is never twice the same.
type moment struct {
	Name  string
	Lines []string
}

// moments are those of a cast.
func moments(c film.Cast) []moment {
	var all []moment
	for _, m := range c.Moments() {
		all = append(all, moment{m.Name, stable(m.Screen.Lines())})
	}
	return all
}

// stable is what remains of a screen: frames with their titles, heads of tables, words, keys. Where a graph or a table of
// traffic is to be seen, its lines depend on the moment, and so does the lower edge of a frame.
func stable(lines []string) []string {
	moving := slices.ContainsFunc(lines, func(line string) bool {
		return strings.Contains(line, "received ") || strings.Contains(line, "Tunnels 1")
	})
	var kept []string
	for y, line := range lines {
		edge := strings.ContainsAny(line, "┏┌")
		head := strings.Trim(line, upper) == ""
		if line = plain(line); line != "" && (!moving || edge || head || y == len(lines)-1) {
			kept = append(kept, line)
		}
	}
	return kept
}

// upper are the characters of the head of a table, in its frame.
const upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ ┃│"

// plain is a line without numbers, ids, and the widths that depend on them.
func plain(line string) string {
	for _, r := range volatile() {
		line = r.what.ReplaceAllString(line, r.by)
	}
	return strings.TrimSpace(line)
}

type replacement struct {
	what *regexp.Regexp
	by   string
}

func volatile() []replacement {
	return []replacement{
		{regexp.MustCompile(`[▁-█]`), " "},
		{regexp.MustCompile(`(local port +\d+ +free).*`), "$1"},   // another one is in use
		{regexp.MustCompile(`[0-9a-f]{32}|demo-[a-z0-9]+`), "ID"}, // of tasks and sessions
		{regexp.MustCompile(` \d[\dhms]* ago`), ""},               // of a report, after a while
		{regexp.MustCompile(`\d[\d.,:]*`), "0"},
		{regexp.MustCompile(`(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) 0 `), ""}, // of yesterday's events, after midnight
		{regexp.MustCompile(`0 [kM]?B`), "0 B"},
		{regexp.MustCompile(`[━─]+`), "━"},
		{regexp.MustCompile(`[┃│]`), ""},
		{regexp.MustCompile(` +`), " "},
	}
}
